/**
 * `calibrate`: a model and scans with known objects in, half-widths of intervals out. Writes `calibration.json` and `coverage.csv` to
 * the folder of the model, where `infer` finds the first.
 *
 * @example
 * await calibrateWorkflow({ model_path: 'run', calibration_data: ['a.npz', 'b.npz'], test_data: ['c.npz'] });
 */
import path from 'node:path';
import { calibrationDefinition, imageDefinition } from '../config/commands.js';
import { completeConfig, wholeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import type { CalibrationConfig } from '../config/schemas/calibration.js';
import { throwIfCancelled } from '../core/cancel.js';
import { PtychoError } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import type { Services } from '../core/services.js';
import { openRequestedScan } from '../data/preparedScan.js';
import { knownObject } from '../evaluation/besideTruth.js';
import {
  type Coverage,
  coverageOf,
  errorsOfImage,
  fitSpreadScale,
  type ImageErrors,
  leftOutCalibrations,
  rankCorrelation,
  UNCALIBRATED,
} from '../evaluation/calibration/calibrate.js';
import { writeAtomically } from '../formats/outputFiles.js';
import { requireNewIn } from '../formats/outputs.js';
import { weightsSha256 } from '../persistence/ensemble.js';
import {
  CALIBRATION_FILE,
  type Calibration,
  COVERAGE_FILE,
  calibratedImages,
  type SpreadCalibration,
  writeCalibration,
} from '../reconstruction/ensemble/calibration.js';
import { openModels, reconstructMembers } from '../reconstruction/ensemble/reconstruct.js';
import type { PtychoModel } from '../reconstruction/ptychoModel.js';
import { groupForModel, requireSide } from '../reconstruction/scanForModel.js';

/** Which spread. */
type SpreadSource = 'ensemble' | 'overlap';
const SOURCES = ['ensemble', 'overlap'] as const;
const QUANTITIES = ['amplitude', 'phase'] as const;

/** What intervals cover on one scan. */
export interface ScanCoverage {
  readonly scan: string;
  /** Whether it was calibrated on: then the coverage is right by construction. */
  readonly calibrated: boolean;
  readonly from: SpreadSource;
  readonly quantity: 'amplitude' | 'phase';
  readonly pixels: number;
  /** Rank correlation of spread and error. */
  readonly correlation: number;
  readonly levels: readonly Coverage[];
  /** What intervals of a normal distribution with the bare spread would cover. */
  readonly uncalibrated: readonly Coverage[];
}

/** What a calibration came to. */
export interface CalibrationSummary {
  readonly calibration: Calibration;
  readonly coverage: readonly ScanCoverage[];
  /** What intervals that the other scans calibrate cover on each that calibrates; empty where there is one alone. */
  readonly leftOut: readonly ScanCoverage[];
  readonly outputDir: string;
  readonly files: readonly string[];
}

/** Errors by where the spread is from. */
type ScanErrors = Readonly<Partial<Record<SpreadSource, ImageErrors>>> & { readonly scan: string };

/**
 * Calibrates the spread of a model's images: that of several networks, where it is an ensemble, and that of overlapping patches.
 * @throws PtychoError CONFIG_INVALID without a scan to calibrate on, and for one that is also tested with; DATASET_KEY_MISSING for a
 * scan without a known object; OUTPUT_EXISTS; and those of models, scans and engines
 */
export async function calibrateWorkflow(
  given: PartOf<CalibrationConfig>,
  services: Services = {},
): Promise<CalibrationSummary> {
  const config = wholeConfig(calibrationDefinition, given, services.logger);
  const { model_path, calibration_data, test_data } = config;
  requireScans(config);
  const outputDir = config.output_dir ?? (model_path.endsWith('.zip') ? path.dirname(model_path) : model_path);
  const names = [CALIBRATION_FILE, COVERAGE_FILE];
  await requireNewIn(outputDir, names, config, services);
  const { backend, execution } = config;
  const models = await openModels(model_path, { backend, execution, logger: services.logger });
  const [fitted, tested]: [ScanErrors[], ScanErrors[]] = [[], []];
  try {
    for (const file of calibration_data) fitted.push(await errorsOfScan(file, models, config, services));
    for (const file of test_data) tested.push(await errorsOfScan(file, models, config, services));
  } finally {
    await models[0].dispose();
  }
  const calibration: Calibration = {
    members: models.map(({ bundle }) => weightsSha256(bundle)),
    scans: calibration_data.map((file) => path.basename(file)),
    // calibrate scales nothing: images with varpro_scaling are others.
    images: calibratedImages({ ...config, varpro_scaling: false }),
    ...Object.fromEntries(SOURCES.flatMap((from) => (fitted[0][from] ? [[from, fitSpread(fitted, from)]] : []))),
  };
  const coverage = [
    ...fitted.flatMap((scan) => coverageOfScan(scan, calibration, true)),
    ...tested.flatMap((scan) => coverageOfScan(scan, calibration, false)),
  ];
  const leftOut = leftOutCalibrations(fitted, calibration).flatMap((without, i) =>
    coverageOfScan(fitted[i], without, false),
  );
  await writeCalibration(path.join(outputDir, CALIBRATION_FILE), calibration);
  await writeAtomically(path.join(outputDir, COVERAGE_FILE), table(coverage, leftOut));
  return { calibration, coverage, leftOut, outputDir, files: names };
}

function requireScans({ calibration_data, test_data }: CalibrationConfig): void {
  if (calibration_data.length === 0) {
    throw new PtychoError(
      'CONFIG_INVALID',
      'There is nothing to calibrate on: name scans with known objects ("ptychopinn calibrate A.npz B.npz --model_path run").',
      { key: 'calibration_data' },
    );
  }
  const calibrating = calibration_data.map((file) => path.resolve(file));
  const both = test_data.find((file) => calibrating.includes(path.resolve(file)));
  if (both === undefined) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `${both} is to calibrate and to test with; coverage on a scan that was calibrated on says nothing, so name other scans as test_data.`,
    { key: 'test_data', found: both },
  );
}

async function errorsOfScan(
  file: string,
  models: Awaited<ReturnType<typeof openModels>>,
  config: CalibrationConfig,
  services: Services,
): Promise<ScanErrors> {
  throwIfCancelled(services.signal, 'The calibration');
  const { batch_size, stitch_crop_px, patch_weighting, stitching, align_phases, neighbor_count, seed } = config;
  const { probe, measurement_domain, data, patch_fit, stitching_rounds } = config;
  const settings = {
    ...{ batch_size, stitch_crop_px, patch_weighting, stitching, align_phases, patch_fit, stitching_rounds },
    uncertainty: true,
  };
  const request = { ...completeConfig(imageDefinition, {}), neighbor_count, seed, probe, measurement_domain, data };
  const scan = await openRequestedScan(file, request, services.logger, { once: true, signal: services.signal });
  return closing(scan, async (raw) => {
    const truth = knownObject(raw, 'calibrate');
    const [first] = models as readonly PtychoModel[];
    requireSide(raw, first.N, config.model_path);
    // Every network reads all patterns.
    const prepared = await groupForModel(raw, first.bundle, request, services.logger, { once: models.length === 1 });
    const image = await reconstructMembers(models, prepared, settings, services);
    throwIfCancelled(services.signal, 'The calibration');
    const { spread, stitched } = image;
    const errors = (of: typeof spread) => of && errorsOfImage(stitched, of, truth, raw);
    return { scan: file, ensemble: errors(spread), overlap: errors(stitched.uncertainty) };
  });
}

function fitSpread(scans: readonly ScanErrors[], from: SpreadSource): SpreadCalibration {
  const errors = scans.flatMap((scan) => scan[from] ?? []);
  return {
    amplitude: fitSpreadScale(errors.map(({ amplitude }) => amplitude)),
    phase: fitSpreadScale(errors.map(({ phase }) => phase)),
  };
}

function coverageOfScan(
  scan: ScanErrors,
  calibration: Pick<Calibration, SpreadSource>,
  calibrated: boolean,
): ScanCoverage[] {
  return SOURCES.flatMap((from) =>
    QUANTITIES.flatMap((quantity): ScanCoverage[] => {
      const [errors, scale] = [scan[from]?.[quantity], calibration[from]?.[quantity]];
      if (!errors || !scale) return [];
      return [
        {
          ...{ scan: scan.scan, calibrated, from, quantity, pixels: errors.error.length },
          correlation: rankCorrelation(errors),
          levels: coverageOf(errors, scale),
          uncalibrated: coverageOf(errors, UNCALIBRATED),
        },
      ];
    }),
  );
}

function table(coverage: readonly ScanCoverage[], leftOut: readonly ScanCoverage[]): string {
  const head =
    'scan,used_to,spread,quantity,level,coverage,mean_half_width,coverage_uncalibrated,rank_correlation,pixels';
  const lines = (rows: readonly ScanCoverage[], used?: string) =>
    rows.flatMap(({ scan, calibrated, from, quantity, levels, uncalibrated, correlation, pixels }) =>
      levels.map(({ level, coverage, meanHalfWidth }, i) =>
        [
          JSON.stringify(path.basename(scan)),
          used ?? (calibrated ? 'calibrate' : 'test'),
          from,
          quantity,
          level,
          ...[coverage, meanHalfWidth, uncalibrated[i].coverage, correlation].map((v) => v.toPrecision(6)),
          pixels,
        ].join(','),
      ),
    );
  return `${[head, ...lines(coverage), ...lines(leftOut, 'left_out')].join('\n')}\n`;
}
