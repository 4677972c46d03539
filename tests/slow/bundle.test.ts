/** A thousand damaged copies of a bundle. */
import { describeBundleDamage } from '../hostile/bundleDamage.js';

describeBundleDamage(process.env.PTYCHOPINN_SLOW_SAMPLE === '1' ? 150 : 1000);
