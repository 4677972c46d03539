/** A thousand damaged copies of each kind of product. */
import { describeProductDamage } from '../persistence/product/damageSuite.js';

describeProductDamage(process.env.PTYCHOPINN_SLOW_SAMPLE === '1' ? 150 : 1000);
