/** `setImmediate`, put into every module of the browser's build that names it. */
import { setImmediate as turn } from './small.js';

export const setImmediate = (call: () => void): void => void turn().then(call);
