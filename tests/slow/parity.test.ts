/** The training that `tests/backends/parity.test.ts` leaves out. */
import { describeParity } from '../backends/backendParity.js';

describeParity([], [{ gridsize: 2, loss: 'mae' }]);
