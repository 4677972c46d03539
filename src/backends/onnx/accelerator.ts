/** Which device runs the programs: the policy, apart from the engine. */
import { messageOf, PtychoError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import type { Accelerator } from '../backend.js';

const installHint =
  'install onnxruntime-node with its CUDA libraries (npm i onnxruntime-node without ONNXRUNTIME_NODE_INSTALL=skip, linux x64, CUDA 12 and cuDNN 9 on the machine)';

/**
 * Decides on a device. `tryCuda` must create and run a session on CUDA and reject with the engine's reason where that
 * fails; `auto` then goes on with the CPU after one warning.
 *
 * @throws PtychoError ACCELERATOR_MISSING when CUDA was asked for by name and does not work.
 */
export async function chooseDevice(
  wanted: Accelerator,
  tryCuda: () => Promise<void>,
  logger: Logger,
): Promise<'cpu' | 'cuda'> {
  if (wanted === 'cpu') return 'cpu';
  try {
    await tryCuda();
    return 'cuda';
  } catch (error) {
    const reason = messageOf(error).split('\n')[0];
    if (wanted === 'cuda') {
      throw new PtychoError(
        'ACCELERATOR_MISSING',
        `Accelerator "cuda" does not work here (${reason}): ${installHint}, or use accelerator "cpu".`,
        { accelerator: wanted, reason },
        { cause: error },
      );
    }
    logger.warn(`POLICY-001: running on the CPU because CUDA does not work here (${reason}).`);
    return 'cpu';
  }
}
