/** The texts of the views of the kinds, in the language of the page. */

import { language } from '../language.js';
import { words as english } from './strings.en.js';

export const words = language === 'en' ? english : (await import(`./strings.${language}.js`)).words;
