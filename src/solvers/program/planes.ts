/**
 * Object, probe and sums of a pass as state of the engine: patches are cut out and added up there, by products with selection matrices that
 * the program makes from the corners of the patches. (The WebGPU engine gathers, but has no scatter that adds.) A pass takes the planes up and
 * the sums down once, whatever the number of its patterns; patterns themselves are the only thing that a run is fed.
 */
import type { DeviceState, Tensors } from '../../backends/backend.js';
import type { Tensor } from '../../core/tensor.js';
import type { ComplexNode } from '../../graph/complex.js';
import type { GraphNode } from '../../graph/node.js';
import * as op from '../../graph/ops.js';
import type { FieldMemory, FieldSizes } from '../fieldMemory.js';
import type { WaveSizes } from './waves.js';

/** Names of the state. The object is (height, width), the probe (N, probes·modes·N), turned round. */
export const PLANES = {
  object: ['plane_object_re', 'plane_object_im'],
  probe: ['plane_probe_re', 'plane_probe_im'],
  objectSums: ['plane_sum_re', 'plane_sum_im', 'plane_illumination'],
  probeSums: ['plane_probe_sum_re', 'plane_probe_sum_im', 'plane_object_intensity'],
} as const;

/** Sides of the object. */
export type ObjectSides = Pick<FieldSizes, 'height' | 'width'>;

/** Shapes of the state. */
export function planeShapes({
  N,
  modes,
  probes = 1,
  height,
  width,
}: FieldSizes): Readonly<Record<string, readonly number[]>> {
  const of = (names: readonly string[], shape: readonly number[]) => names.map((name) => [name, shape] as const);
  const probe = [N, probes * modes * N];
  const [sumRe, sumIm, light] = PLANES.probeSums;
  return Object.fromEntries([
    ...of([...PLANES.object, ...PLANES.objectSums], [height, width]),
    ...of([...PLANES.probe, sumRe, sumIm], probe),
    [light, probes === 1 ? [N, N] : [probes, N, N]],
  ]);
}

/**
 * Whether selecting costs at most four times as much as transforming: products of a pattern, 5 planes of N·(height·width + N·width) against
 * 2 transforms of 8 N³ a mode. An estimate: no GPU was there to measure it.
 */
export function selectionFits({ N, modes, height, width }: FieldSizes): boolean {
  return 5 * N * (height * width + N * width) <= 4 * (16 * N ** 3 * modes);
}

/** Patches of a batch, cut out of planes and added to them. Feeds: `rows`, `columns` [batch], the corners; negative where there is none. */
export class Selection {
  /** [batch, N, height] and [batch, N, width]: 1 where row (column) r of the patch is that one of the object. */
  readonly #rows: GraphNode;
  readonly #columns: GraphNode;

  constructor(
    private readonly sizes: WaveSizes,
    private readonly sides: ObjectSides,
  ) {
    this.#rows = this.#matrices('rows', sides.height);
    this.#columns = this.#matrices('columns', sides.width);
  }

  /** [height, width] → [batch, N, 1, N] */
  cut(plane: GraphNode): GraphNode {
    const { batch, N } = this.sizes;
    const patches = op.matmul(op.matmul(this.#rows, plane), op.transposeLast(this.#columns));
    return op.reshape(patches, [batch, N, 1, N]);
  }

  /** Σ over the batch of [batch, N, N] laid where they belong: [height, width]. */
  laid(patches: GraphNode): GraphNode {
    const { batch, N } = this.sizes;
    const { height, width } = this.sides;
    const wide = op.reshape(op.matmul(patches, this.#columns), [batch * N, width]);
    return op.matmul(op.transposeLast(op.reshape(this.#rows, [batch * N, height])), wide);
  }

  #matrices(name: string, side: number): GraphNode {
    const { batch, N } = this.sizes;
    const line = (length: number, shape: readonly number[]) =>
      op.constant(
        Float32Array.from({ length }, (_, i) => i),
        shape,
      );
    const indices = op.add(op.reshape(op.input(name, [batch]), [batch, 1, 1]), line(N, [1, N, 1]));
    const shape = [batch, N, side];
    return op.equal(op.broadcast(indices, shape), op.broadcast(line(side, [1, 1, side]), shape));
  }
}

/** The state of object and probe, as programs read it. */
export function planeNodes(sizes: FieldSizes): { readonly object: ComplexNode; readonly probe: ComplexNode } {
  const shapes = planeShapes(sizes);
  const pair = ([re, im]: readonly string[]): ComplexNode => ({
    re: op.state(re, shapes[re]),
    im: op.state(im, shapes[im]),
  });
  return { object: pair(PLANES.object), probe: pair(PLANES.probe) };
}

/** State that grows by values. */
export function grown(names: readonly string[], values: readonly GraphNode[]): Record<string, GraphNode> {
  return Object.fromEntries(names.map((name, i) => [name, op.add(op.state(name, values[i].shape), values[i])]));
}

/** The planes of one solver on the engine, and the way there and back. */
export class EnginePlanes {
  constructor(
    private readonly state: DeviceState,
    private readonly memory: FieldMemory,
  ) {}

  /** What programs run on. */
  get values(): DeviceState {
    return this.state;
  }

  /** Takes object and probe up, and sums as they are where a pass adds to them, else 0; `turned`: the probe and its sums as programs take them. */
  async put(turned: (planes: FieldMemory['probe']) => Tensors, sums: SumsWanted, accumulate: boolean): Promise<void> {
    const { object, sums: kept, sizes } = this.memory;
    const shapes = planeShapes(sizes);
    const values: Record<string, Tensor> = {};
    const set = (names: readonly string[], planes: readonly ArrayLike<number>[]) => {
      names.forEach((name, i) => {
        values[name] = { data: Float32Array.from(planes[i]), shape: shapes[name] };
      });
    };
    const pair = ({ probe_re, probe_im }: Tensors) => [probe_re.data, probe_im.data];
    set(PLANES.object, [object.re, object.im]);
    set(PLANES.probe, pair(turned(this.memory.probe)));
    const begin = (planes: readonly ArrayLike<number>[]) =>
      accumulate ? planes : planes.map(({ length }) => new Float32Array(length));
    if (sums.object) set(PLANES.objectSums, begin([kept.object.re, kept.object.im, kept.illumination.data]));
    if (sums.probe) set(PLANES.probeSums, begin([...pair(turned(kept.probe)), kept.objectIntensity.data]));
    await this.state.write(values);
  }

  /** Brings sums down; `back` lays what programs made of the probe as the host has it. */
  async take(back: (from: Float32Array, to: FieldMemory['probe']['re']) => void, wanted: SumsWanted): Promise<void> {
    const { sums } = this.memory;
    const names = [...(wanted.object ? PLANES.objectSums : []), ...(wanted.probe ? PLANES.probeSums : [])];
    if (names.length === 0) return;
    const found = await this.state.read(names);
    const data = (list: readonly string[]) => list.map((name) => found[name].data);
    if (wanted.object) {
      const [re, im, light] = data(PLANES.objectSums);
      sums.object.re.set(re);
      sums.object.im.set(im);
      sums.illumination.data.set(light);
    }
    if (wanted.probe) {
      const [re, im, light] = data(PLANES.probeSums);
      for (const plane of [sums.probe.re, sums.probe.im]) plane.fill(0);
      back(re, sums.probe.re);
      back(im, sums.probe.im);
      sums.objectIntensity.data.set(light);
    }
  }
}

/** Which sums a pass makes. */
export interface SumsWanted {
  readonly object: boolean;
  readonly probe: boolean;
}
