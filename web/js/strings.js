/** The texts of the bell in the language of the page. */

import { language } from './language.js';
import { strings as english } from './strings.en.js';

export const strings = language === 'en' ? english : (await import(`./strings.${language}.js`)).strings;
