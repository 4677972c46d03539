/** A sample of the damage that `npm run test:slow` does by the thousand. */
import { describeDamage } from './damageSuite.js';

describeDamage(40);
