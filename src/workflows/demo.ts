/**
 * `demo`: the whole path in a few minutes on a plain CPU: simulate a scan of a known object, train on it, reconstruct it,
 * compare with the truth, draw everything.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import {
  type ExecutionConfig,
  inferenceConfigSchema,
  type TrainingRequest,
  trainingRequestSchema,
} from '../config/schema.js';
import { readTextInput, TABLE_BYTES } from '../core/inputFile.js';
import { silentLogger } from '../core/log.js';
import { createdBy } from '../core/version.js';
import { counted } from '../core/words.js';
import { scoreAgainstTruth } from '../evaluation/score.js';
import { json, writeAtomically, writeDrawing } from '../formats/outputFiles.js';
import { withOutputFolder } from '../formats/outputs.js';
import { frameOfObject, moveToFrame, scanBounds } from '../reconstruction/frame.js';
import { imagePanels } from '../reconstruction/pictures.js';
import { RECONSTRUCTION_FILES } from '../reconstruction/reconstructionFile.js';
import { AMONG_OTHERS, figure } from '../report/figure.js';
import { lossChart } from '../report/loss.js';
import { pagePicture, renderPage } from '../report/page.js';
import { inferWorkflow } from './infer.js';
import { simulate, writeSimulatedScan } from './simulate.js';
import { type Services, trainWorkflow } from './train.js';

/** How the demonstration runs. */
export interface DemoOptions {
  readonly outputDir: string;
  readonly seed?: number;
  readonly epochs?: number;
  readonly gridsize?: number;
  readonly accelerator?: ExecutionConfig['accelerator'];
  readonly threads?: number;
  /** Replace files that no earlier demonstration made. */
  readonly overwrite?: boolean;
}

/** What the demonstration came to. */
export interface DemoSummary {
  readonly metrics: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly files: readonly string[];
}

/** Chosen so that two cores finish in about three minutes; measured in `docs/results.md`. */
const DEMO = {
  patterns: 324,
  step_px: 5,
  probe_diameter_px: 16,
  probe_curvature_rad: 1.2,
  photons: 1e6,
  epochs: 12,
  batch_size: 4,
  n_filters_scale: 1,
} as const;

/** The scan of the demonstration: a Siemens star in amplitude and phase under a small curved probe. */
export function demoScan(seed: number) {
  const objectSide = Math.ceil(Math.sqrt(DEMO.patterns) - 1) * DEMO.step_px + 64 + 4;
  return simulate({
    N: 64,
    object: 'siemens_star',
    object_side_px: objectSide,
    probe: 'structured',
    probe_diameter_px: DEMO.probe_diameter_px,
    probe_curvature_rad: DEMO.probe_curvature_rad,
    scan: 'jittered_raster',
    step_px: DEMO.step_px,
    photons: DEMO.photons,
    noise: true,
    seed,
    // The scan that docs/results.md was measured on.
    object_seed: seed,
    scan_seed: (seed + 1) % 2 ** 32,
    noise_seed: (seed + 2) % 2 ** 32,
  });
}

/**
 * Runs the demonstration and writes scan, bundle, pictures, `metrics.json` and `index.html` to `outputDir`.
 * @throws PtychoError as the workflows that it calls
 */
export async function demoWorkflow(
  options: DemoOptions,
  // That of these few options says nothing of what training and inference are given.
  { provenance: _, ...services }: Services = {},
): Promise<DemoSummary> {
  const { outputDir, overwrite = false } = options;
  const claim = { command: 'demo', overwrite, results: DEMO_RESULTS, isOwn: () => isDemo(outputDir) };
  return withOutputFolder(outputDir, claim, services, async (folder) => {
    await folder.make();
    return demonstrate(options, { ...services, signal: folder.signal, ownsOutputs: true });
  });
}

/** What the demonstration writes. */
const DEMO_RESULTS = [
  ...['index.html', 'scan.npz', 'wts.zip', 'history.csv', 'config.json', 'run.json', 'checkpoints'],
  ...['loss.svg', 'metrics.json', 'true_amplitude.png', 'true_phase.png'],
  ...RECONSTRUCTION_FILES,
];

/** Written first, so that the folder is known as one of the demonstration's also when it was interrupted. */
const MARKER = 'demo.json';

/** Whether a folder was made by a demonstration, which may be repeated in it. */
async function isDemo(folder: string): Promise<boolean> {
  if (existsSync(path.join(folder, MARKER))) return true;
  // Versions before the marker are known by their page.
  const page = await readTextInput(path.join(folder, 'index.html'), { maxBytes: TABLE_BYTES }).catch(() => '');
  return page.includes('<title>ptychopinn demo</title>');
}

async function demonstrate(options: DemoOptions, services: Services): Promise<DemoSummary> {
  const logger = services.logger ?? silentLogger;
  const started = performance.now();
  const seed = options.seed ?? 0;
  const folder = options.outputDir;
  const execution = { accelerator: options.accelerator ?? 'auto', threads: options.threads ?? null };
  await writeAtomically(path.join(folder, MARKER), json({ version: createdBy.version, seed }));

  logger.info('Simulating a scan: a Siemens star in amplitude and phase, a small curved probe, Poisson noise.');
  const scan = demoScan(seed);
  const scanFile = path.join(folder, 'scan.npz');
  await writeSimulatedScan(scanFile, scan);

  const request: TrainingRequest = trainingRequestSchema.parse({
    model: { gridsize: options.gridsize ?? 1, n_filters_scale: DEMO.n_filters_scale },
    train_data_file: scanFile,
    output_dir: folder,
    n_groups: 'all',
    nepochs: options.epochs ?? DEMO.epochs,
    batch_size: DEMO.batch_size,
    nll_weight: 0,
    mae_weight: 1,
    scheduler: 'WarmupCosine',
    lr_warmup_epochs: 1,
    lr_min_ratio: 0.01,
    neighbor_count: 7,
    seed,
    execution,
  });
  const trained = await trainWorkflow(request, services);
  const inferred = await inferWorkflow(
    inferenceConfigSchema.parse({
      model_path: folder,
      test_data_file: scanFile,
      output_dir: folder,
      neighbor_count: 7,
      seed,
      // What `auto` found is known now: not to be tried, and warned of, again.
      execution: { ...execution, accelerator: trained.device },
    }),
    services,
  );

  const bounds = scanBounds(scan.xcoords.data, scan.ycoords.data);
  const score = scoreAgainstTruth(inferred.stitched, scan.objectGuess, { bounds });
  const metrics = {
    amplitude_pearson: score.amplitude_pearson,
    phase_pearson: score.phase_pearson,
    complex_pearson: score.complex_pearson,
    relative_object_error: score.relative_object_error,
    constant_object_error: score.constant_object_error,
    ...(inferred.rFactor ? { r_factor: inferred.rFactor.image, constant_r_factor: inferred.rFactor.constant } : {}),
  };
  const curve = lossChart(
    [
      { name: 'training', values: trained.history.map((r) => r.loss) },
      { name: 'validation', values: trained.history.map((r) => r.val_loss) },
    ],
    { title: 'Loss', label: 'amplitude loss (R-factor)', bestEpoch: trained.bestEpoch },
  );
  // The part of the truth that the scan saw, in the same frame, so that the pictures lie on each other.
  const truth = moveToFrame(scan.objectGuess, frameOfObject(scan.objectGuess), inferred.stitched.frame);
  const place = { side_px: AMONG_OTHERS };
  const ours = imagePanels(inferred.stitched, {}, place);
  const theirs = imagePanels({ ...inferred.stitched, image: truth }, {}, place);
  const beside = (title: string, of: 'reconstructed_amplitude' | 'reconstructed_phase') =>
    figure(
      [ours[of], theirs[of]].flatMap((panel) => (panel ? [panel] : [])),
      { title },
    );
  await writeDrawing(folder, 'loss', curve, ['svg']);
  await writeAtomically(path.join(folder, 'metrics.json'), json(metrics));
  await writeAtomically(
    path.join(folder, 'index.html'),
    renderPage({
      title: 'ptychopinn demo',
      summary: `${scan.diffraction.shape[0]} simulated patterns, ${counted(trained.epochs, 'epoch')} in ${Math.round(trained.seconds)} s.`,
      pictures: [
        await pagePicture(beside('Phase: network and truth', 'reconstructed_phase')),
        await pagePicture(beside('Amplitude: network and truth', 'reconstructed_amplitude')),
      ],
      metrics: Object.entries(metrics).map(([name, value]) => ({ name, value, note: METRIC_NOTES[name] })),
      sections: [{ title: 'Training', pictures: [await pagePicture(curve)] }],
      facts: [{ name: 'version', value: `${createdBy.package} ${createdBy.version}` }],
    }),
  );
  return {
    metrics,
    seconds: (performance.now() - started) / 1000,
    files: [
      'index.html',
      'reconstructed_amplitude.png',
      'reconstructed_phase.png',
      'loss.svg',
      'metrics.json',
      'wts.zip',
    ],
  };
}

const METRIC_NOTES: Readonly<Record<string, string>> = {
  amplitude_pearson: 'means subtracted; a constant object scores 0, the truth 1',
  phase_pearson: 'plane removed, means subtracted',
  complex_pearson: 'modulus of the complex correlation, means subtracted',
  relative_object_error: 'relative L2 distance after one complex scale and a phase ramp',
  constant_object_error: 'the same for the best constant object',
  r_factor: 'amplitude misfit of the image through its own forward model',
  constant_r_factor: 'the same for the best constant object',
};
