/** A thousand damaged copies of each scan file. */
import { describeDamage } from '../hostile/damageSuite.js';

describeDamage(process.env.PTYCHOPINN_SLOW_SAMPLE === '1' ? 150 : 1000);
