/** A sample of the damage that `npm run test:slow` does by the thousand. */
import { describeProductDamage } from './damageSuite.js';

describeProductDamage(30);
