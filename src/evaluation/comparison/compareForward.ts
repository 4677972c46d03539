/**
 * Forward parity: what two bundles predict for the same patterns, patch by patch. For a model that was moved between engines,
 * imported or trained twice, where images would hide small differences and show those of stitching.
 *
 * @example
 * const { statistics } = await compareForward('run1', 'run2', 'test.npz');
 * console.log(statistics.identical, statistics.difference.phase.max_abs);
 */
import type { Backend } from '../../backends/backend.js';
import { describeEngine, selectBackend } from '../../backends/select.js';
import { comparisonDefinition } from '../../config/commands.js';
import { completeConfig } from '../../config/resolve.js';
import type { ComparisonConfig } from '../../config/schemas/comparison.js';
import { throwIfCancelled } from '../../core/cancel.js';
import { closing } from '../../core/inputFile.js';
import { silentLogger } from '../../core/log.js';
import type { Services } from '../../core/services.js';
import type { ComplexTensor, Tensor } from '../../core/tensor.js';
import type { DiffractionDataset } from '../../data/dataset.js';
import type { PreparedScan } from '../../data/preparedScan.js';
import type { RawData } from '../../data/rawData.js';
import type { ScanInput } from '../../reconstruction/inputs.js';
import { Predictor } from '../../reconstruction/predictor.js';
import type { PtychoModel } from '../../reconstruction/ptychoModel.js';
import { scanForModel, weightsFor } from '../../reconstruction/scanForModel.js';
import { ForwardComparison, type ForwardStatistics, type ShownPatch } from './forwardStatistics.js';
import { checkNames, type NamedModel, namedModels } from './names.js';
import { openForScan } from './predict.js';
import { openSubset, Subset } from './subset.js';

/** What the predictions of two bundles came to. */
export interface ForwardParity {
  readonly names: readonly [string, string];
  readonly statistics: ForwardStatistics;
  /** Patches that were compared: groups times members. */
  readonly patterns: number;
  /** Some of them, spread over the scan. */
  readonly shown: readonly ShownPatch[];
  /** Mean |difference| of amplitude and phase of every pixel of a patch, (N, N). */
  readonly maps: { readonly amplitude: Float64Array; readonly phase: Float64Array };
}

/** Which patterns and how; fields of `compare`, see docs/comparison.md. */
export interface ForwardOptions
  extends Partial<
      Pick<
        ComparisonConfig,
        | 'n_test_groups'
        | 'n_test_subsample'
        | 'test_subsample_seed'
        | 'neighbor_count'
        | 'batch_size'
        | 'probe'
        | 'measurement_domain'
        | 'backend'
      >
    >,
    Services {
  readonly data?: Partial<ComparisonConfig['data']>;
  readonly execution?: Partial<ComparisonConfig['execution']>;
}

/** Patches that are drawn. */
const SHOWN = 4;

/**
 * Compares what two bundles predict. With gridsize 1 on one side and groups on the other, the members of the groups are given to
 * the first one by one.
 *
 * @param bundleA `wts.zip`, or the folder that holds it
 * @param bundleB the other
 * @throws PtychoError for bundles, scans, options or engines that do not fit; CANCELLED
 */
export async function compareForward(
  bundleA: string,
  bundleB: string,
  data: ScanInput,
  options: ForwardOptions = {},
): Promise<ForwardParity> {
  const { signal, onProgress, logger, provenance: _, ...fields } = options;
  const config = completeConfig(
    comparisonDefinition,
    {
      // Scans in memory are not opened; nothing is written here.
      test_data_file: typeof data === 'string' ? data : '.',
      output_dir: '.',
      forward: true,
      models: [`A=${bundleA}`, `B=${bundleB}`],
      ...fields,
    },
    logger,
  );
  const services = { signal, onProgress, logger };
  if (typeof data !== 'string') return compareOn(data, config, services);
  return closing(await openSubset(config, logger), (raw) => compareOn(raw, config, services));
}

/**
 * Compares two bundles on an open scan.
 * @param ready called when everything has been checked
 */
export async function compareOn(
  raw: RawData,
  config: ComparisonConfig,
  services: Services,
  ready: () => Promise<void> = async () => {},
): Promise<ForwardParity> {
  const { signal, logger = silentLogger } = services;
  const named = namedModels(config);
  checkNames(named.map(({ name }) => name));
  const open = (model: NamedModel) => openForScan(model, raw, config);
  const opened = [await open(named[0]), await open(named[1])];
  const gridsizes = opened.map(({ bundle }) => bundle.config.model.gridsize);
  const subset = new Subset(raw, config, gridsizes, logger);
  const prepared = await subset.scan(Math.max(...gridsizes));
  await ready();
  const backend = await selectBackend(config, logger);
  logger.info(describeEngine(backend.info));
  const sides = opened.map((model) => new Side(model, scanForModel(prepared, model.bundle), backend, config));
  try {
    const { groups } = prepared;
    const comparison = new ForwardComparison(raw.N);
    const wanted = spread(groups.members.length, SHOWN);
    const shown: ShownPatch[] = [];
    for (let start = 0; start < groups.count; start += config.batch_size) {
      throwIfCancelled(signal, 'The comparison');
      const batch = Array.from({ length: Math.min(config.batch_size, groups.count - start) }, (_, i) => start + i);
      const [a, b] = [await sides[0].patches(batch), await sides[1].patches(batch)];
      comparison.add(a, b);
      const first = start * groups.C;
      for (const k of wanted.filter((w) => w >= first && w < first + batch.length * groups.C)) {
        const pattern = raw.sampleIndices[groups.members[k]];
        shown.push({ pattern, a: onePatch(a, k - first, raw.N), b: onePatch(b, k - first, raw.N) });
      }
      services.onProgress?.({
        stage: 'predicting',
        done: comparison.patches,
        total: groups.members.length,
        unit: 'patches',
      });
    }
    return {
      names: [named[0].name, named[1].name],
      statistics: comparison.finish(),
      patterns: comparison.patches,
      shown,
      maps: comparison.maps(),
    };
  } finally {
    for (const side of sides) await side.dispose();
    await backend.dispose();
  }
}

/** One of the two networks. */
class Side {
  private readonly dataset: DiffractionDataset;
  readonly #predictor: Predictor;
  readonly #flat: boolean;

  constructor(
    model: PtychoModel,
    { dataset, raw, statistics }: PreparedScan,
    backend: Backend,
    { batch_size }: ComparisonConfig,
  ) {
    this.dataset = dataset;
    const C = model.gridsize ** 2;
    // A network of single patterns gets the members of groups one by one.
    this.#flat = C !== dataset.C;
    this.#predictor = new Predictor(
      model.network(this.#flat ? undefined : dataset.canvasSide_px),
      weightsFor(model.bundle, raw, statistics),
      backend,
      this.#flat ? batch_size * dataset.C : batch_size,
    );
  }

  /** Patches (groups · C, N, N). */
  async patches(groups: ArrayLike<number>): Promise<ComplexTensor> {
    const { diffraction, positions } = await this.dataset.batch(groups);
    const { C, N } = this.dataset;
    const count = groups.length * C;
    const alone: Tensor = { data: new Float32Array(2 * count), shape: [count, 1, 1, 2] };
    const found = this.#flat
      ? await this.#predictor.patches({ data: diffraction.data, shape: [count, 1, N, N] }, alone)
      : await this.#predictor.patches(diffraction, positions);
    return { ...found, shape: [count, N, N] };
  }

  dispose(): Promise<void> {
    return this.#predictor.dispose();
  }
}

/** `count` whole numbers below `total`, evenly spread. */
function spread(total: number, count: number): number[] {
  const n = Math.min(total, count);
  return Array.from({ length: n }, (_, k) => Math.floor(((k + 0.5) * total) / n));
}

/** A copy, so that the batch need not be kept. */
function onePatch({ re, im }: ComplexTensor, k: number, side: number): ComplexTensor {
  const area = side * side;
  return { re: re.slice(k * area, (k + 1) * area), im: im.slice(k * area, (k + 1) * area), shape: [side, side] };
}
