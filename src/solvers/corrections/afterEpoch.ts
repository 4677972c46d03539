/** What object and probe are held within after each epoch, in the order of these steps. */
import type { SolverOptions } from '../../config/schemas/solver.js';
import { totalIntensity } from '../../physics/probe.js';
import { type EpochSchedule, TRAITS } from '../algorithms/algorithm.js';
import type { FieldMemory } from '../fieldMemory.js';
import { isPainted } from '../schedule.js';
import { slicesOf } from '../slices.js';
import { probesIn } from '../together/probes.js';
import { blankOutside, holdPower, orthogonaliseModes, smoothTotalVariation } from './constraints.js';
import { limitObject, removeGrid } from './objectLimits.js';
import { blankBeyond, blankFarField } from './probeLimits.js';
import { drawTogether } from './sliceRegularisation.js';

/** What has ended. */
interface EndedEpoch {
  readonly epoch: number;
  readonly schedule: Pick<EpochSchedule, 'object' | 'probe'>;
  /** Σ|P|² that is held, where it is. */
  readonly power: number;
}

/** Holds the probe, then the object, within what the options say of them. */
export function holdWithin(memory: FieldMemory, options: SolverOptions, ended: EndedEpoch): void {
  if (ended.schedule.probe) holdProbe(memory, options, ended);
  if (ended.schedule.object) holdObject(memory, options, ended.epoch);
}

function holdProbe(memory: FieldMemory, options: SolverOptions, { epoch, power }: EndedEpoch): void {
  const { N } = memory.sizes;
  const probes = probesIn(memory).map((one) => one.probe);
  if (options.probe_support !== null) {
    for (const probe of probes) blankOutside(probe, N, options.probe_support, memory.variation);
  }
  if (options.probe_radius_px !== null) blankBeyond([memory.probe, memory.variation], N, options.probe_radius_px);
  if (options.detector_support !== null) {
    for (const probe of probes) blankFarField(probe, N, options.detector_support, memory.variation);
  }
  // Stored waves belong to the modes as they are: the difference map's are turned where they are shown only.
  const turn = options.orthogonalise_stride !== null && epoch % options.orthogonalise_stride === 0;
  if (turn && !TRAITS[options.algorithm].storesWaves) for (const probe of probes) orthogonaliseModes(probe, N * N);
  if (options.hold_probe_power || options.probe_power_counts !== null) holdPower(memory, power);
}

function holdObject({ object, sizes }: FieldMemory, options: SolverOptions, epoch: number): void {
  const { height, width } = sizes;
  const slices = () => slicesOf(object, height * width);
  // A network paints it anew.
  const kept = !isPainted(options, epoch);
  if (kept) limitObject(object, options);
  if (kept && options.tv_weight > 0) {
    const rms = Math.sqrt(totalIntensity(object) / object.re.length);
    for (const slice of slices()) smoothTotalVariation(slice, { height, width }, options.tv_weight * rms);
  }
  if (options.grid_period_px !== null) {
    const { grid_period_px: period_px, grid_window: window } = options;
    for (const slice of slices()) removeGrid(slice, { height, width }, { period_px, window });
  }
  if (kept && options.slices > 1 && options.slice_regularisation > 0) {
    drawTogether(slices(), { height, width }, options.slice_regularisation);
  }
}
