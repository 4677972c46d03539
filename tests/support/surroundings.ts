/** Before all tests: finds the Python that they ask, once for all processes. */
import { lookForPython } from './python.js';

export default function setup(): void {
  lookForPython();
}
