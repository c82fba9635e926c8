/** The views of the kinds of the test app. */

export { register, render, streamOf } from './registry.js';

import './importer.js';
import './packer.js';
