/** An engine whose predictions are known: the patch of a pattern is the pattern itself. For tests of everything around it. */
import type { Backend, Tensors } from '../../src/backends/backend.js';
import type { PtychoNetwork } from '../../src/model/network.js';

/** A mirror, and what was asked of it. */
export interface MirrorBackend extends Backend {
  /** Batch sizes in the order in which they were run. */
  readonly runs: number[];
  /** Programs that were compiled and not disposed. */
  readonly open: () => number;
}

/** @param wait awaited before every answer */
export function mirrorBackend(wait: (run: number) => Promise<void> = async () => {}): MirrorBackend {
  let open = 0;
  const runs: number[] = [];
  return {
    info: { name: 'onnx', engine: 'mirror', device: 'cpu', threads: 1 },
    runs,
    open: () => open,
    async compile() {
      open++;
      return {
        async run({ input }: Tensors) {
          runs.push(input.shape[0]);
          await wait(runs.length);
          return {
            object_real: { data: Float32Array.from(input.data), shape: input.shape },
            object_imag: { data: new Float32Array(input.data.length), shape: input.shape },
          };
        },
        async dispose() {
          open--;
        },
      };
    },
    createState: () => Promise.reject(new Error('a mirror has no state')),
    async dispose() {},
  };
}

/** As much of a network as a reconstruction needs, for patterns smaller than any real one. */
export function mirrorNetwork(N: number): Pick<PtychoNetwork, 'spec' | 'predict'> {
  const probe = { re: new Float32Array(N * N).fill(1), im: new Float32Array(N * N), shape: [N, N] };
  const spec = { config: { N }, scale: { probe }, canvasSide_px: 2 * N };
  return { spec, predict: (batch: number) => ({ name: `predict_b${batch}` }) } as never;
}
