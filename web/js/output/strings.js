/** The texts of views of a job's output, in the language of the page. */

import { language } from '../language.js';
import { words as english } from './strings.en.js';

export const words = language === 'en' ? english : (await import(`./strings.${language}.js`)).words;
