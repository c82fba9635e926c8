/**
 * The views of the kinds of jobs. To add one, create a file beside this one that calls `register`, and one import line
 * here; a kind without a renderer gets the generic one.
 */

export { register, render, streamOf } from './registry.js';

import './csv.js';
import './story.js';
import './zip.js';
