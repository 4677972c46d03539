/** A sample of `tests/slow/bundle.test.ts`. */
import { describeBundleDamage } from './bundleDamage.js';

describeBundleDamage(60);
