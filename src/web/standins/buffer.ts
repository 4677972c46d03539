/** `Buffer`, put into every module of the browser's build that names it: the package of that name. */
import { Buffer as PageBuffer } from 'node:buffer';

export const Buffer = PageBuffer;
