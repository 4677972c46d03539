/**
 * `demo`: the whole path in a few minutes on a plain CPU: simulate a scan of a known object, train on it, reconstruct it, solve it
 * without a network, compare both with the truth, draw everything.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import {
  type ExecutionConfig,
  inferenceConfigSchema,
  type TrainingRequest,
  trainingRequestSchema,
} from '../config/schema.js';
import { comparisonConfigSchema } from '../config/schemas/comparison.js';
import { type SolveConfig, solveConfigSchema } from '../config/schemas/solve.js';
import { readTextInput, TABLE_BYTES } from '../core/inputFile.js';
import { silentLogger } from '../core/log.js';
import { createdBy } from '../core/version.js';
import { counted } from '../core/words.js';
import { compareImages } from '../evaluation/comparison/compare.js';
import { comparisonPanels, shownImages } from '../evaluation/comparison/page.js';
import { scoreAgainstTruth } from '../evaluation/score.js';
import { json, writeAtomically, writeDrawing } from '../formats/outputFiles.js';
import { withOutputFolder } from '../formats/outputs.js';
import { scanBounds } from '../reconstruction/frame.js';
import { RECONSTRUCTION_FILES } from '../reconstruction/reconstructionFile.js';
import { figure } from '../report/figure.js';
import { lossChart } from '../report/loss.js';
import { pagePicture, renderPage } from '../report/page.js';
import { drawSimulation } from '../simulation/picture.js';
import { inferWorkflow } from './infer.js';
import { simulate, writeSimulatedScan } from './simulate.js';
import { solveWorkflow } from './solve.js';
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

/**
 * Chosen so that two cores finish in about three minutes and the network has learned: small patterns, of which there are many, give
 * four times the steps of patterns of twice the side. Measured in `docs/results.md`.
 */
const DEMO = {
  N: 32,
  patterns: 961,
  step_px: 2.5,
  probe_diameter_px: 8,
  probe_curvature_rad: 1.2,
  photons: 1e6,
  epochs: 12,
  batch_size: 4,
  n_filters_scale: 1,
  solver_epochs: 60,
} as const;

/** The scan of the demonstration: a Siemens star in amplitude and phase under a small curved probe. */
function demoScan(seed: number) {
  return simulate({
    N: DEMO.N,
    object: 'siemens_star',
    object_side_px: Math.ceil((Math.sqrt(DEMO.patterns) - 1) * DEMO.step_px) + DEMO.N + 4,
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
  ...['loss.png', 'metrics.json', 'comparison_plot.png', 'solved'],
  // Of versions before 0.2.
  ...['loss.svg', 'true_amplitude.png', 'true_phase.png'],
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
    // Named one by one: what training does by default may change, the demonstration not.
    learning_rate: 1e-3,
    input_reference: 'mean',
    input_reference_share: 0.75,
    auto_restart: false,
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

  logger.info('Solving the same scan without a network, by LSQ-ML.');
  const solved = await solveWorkflow(
    solveConfigSchema.parse({
      test_data_file: scanFile,
      output_dir: path.join(folder, SOLVED),
      algorithm: 'lsqml',
      epochs: DEMO.solver_epochs,
      seed,
      execution: { threads: options.threads ?? null },
    }) as SolveConfig,
    services,
  );
  const comparison = await compareImages(
    comparisonConfigSchema.parse({
      test_data_file: scanFile,
      output_dir: folder,
      arms: [`Network=${path.join(folder, 'reconstruction.npz')}`, `LSQ-ML=${path.join(folder, SOLVED, 'reconstruction.npz')}`], // biome-ignore format: one line
    }),
    { signal: services.signal, logger: { ...logger, warn: () => {} } },
  );
  const [network, solver] = comparison.models.map(({ standard }) => standard);
  const score = scoreAgainstTruth(inferred.stitched, scan.objectGuess, {
    bounds: scanBounds(scan.xcoords.data, scan.ycoords.data),
  });
  const metrics = {
    amplitude_ssim: network?.ssim.amplitude ?? Number.NaN,
    phase_ssim: network?.ssim.phase ?? Number.NaN,
    amplitude_pearson: score.amplitude_pearson,
    phase_pearson: score.phase_pearson,
    complex_pearson: score.complex_pearson,
    relative_object_error: score.relative_object_error,
    constant_object_error: score.constant_object_error,
    ...(inferred.rFactor ? { r_factor: inferred.rFactor.image, constant_r_factor: inferred.rFactor.constant } : {}),
    solver_amplitude_ssim: solver?.ssim.amplitude ?? Number.NaN,
    solver_phase_ssim: solver?.ssim.phase ?? Number.NaN,
    solver_object_error: solver?.complex_error ?? Number.NaN,
  };
  const seconds = (performance.now() - started) / 1000;
  await writeAtomically(path.join(folder, 'metrics.json'), json(metrics));
  const shown = shownImages(comparison.models, comparison.reference, 'Truth');
  const { images } = comparisonPanels(shown, comparison.config, { originYxPx: comparison.region.originYxPx });
  const phase = figure(images.phase, { title: 'Phase' });
  const amplitude = figure(images.amplitude, { title: 'Amplitude' });
  const plot = figure([...images.phase, ...images.amplitude], { columns: 3, title: 'Phase above, amplitude below' });
  const files = ['index.html', ...(await writeDrawing(folder, 'comparison_plot', plot))];
  const curve = lossChart(
    [
      { name: 'training', values: trained.history.map((r) => r.loss) },
      { name: 'validation', values: trained.history.map((r) => r.val_loss) },
    ],
    { title: 'Loss', label: 'amplitude loss (R-factor)', bestEpoch: trained.bestEpoch },
  );
  await writeAtomically(
    path.join(folder, 'index.html'),
    renderPage({
      title: 'ptychopinn demo',
      summary: `${counted(scan.diffraction.shape[0], 'simulated pattern')} of a Siemens star, reconstructed twice: by a network that learned from these patterns alone (${counted(trained.epochs, 'epoch')} in ${Math.round(trained.seconds)} s), and by an iterative solver (${Math.round(solved.seconds)} s).`,
      pictures: [await pagePicture(phase, 'same colours for all three'), await pagePicture(amplitude, 'same colours for all three')], // biome-ignore format: one line
      metrics: Object.entries(metrics).map(([name, value]) => ({
        name: METRIC_NAMES[name][0],
        value,
        note: METRIC_NAMES[name][1],
      })),
      sections: [
        { title: 'Training', pictures: [await pagePicture(curve)] },
        { title: 'The scan', pictures: [await pagePicture(drawSimulation(scan))] },
      ],
      facts: [
        { name: 'time in all', value: `${Math.round(seconds)} s` },
        { name: 'version', value: `${createdBy.package} ${createdBy.version}, Node ${process.version}` },
      ],
      command: `ptychopinn demo --seed ${seed}`,
      files: [...files.slice(1), 'metrics.json', 'scan.npz', 'wts.zip', `${SOLVED}/index.html`],
    }),
  );
  return { metrics, seconds, files: [...files, 'metrics.json', 'wts.zip', `${SOLVED}/index.html`] };
}

/** The folder of the solver. */
const SOLVED = 'solved';

/** What each metric is called on the page, and what it means. */
const METRIC_NAMES: Readonly<Record<string, readonly [name: string, note: string]>> = {
  amplitude_ssim: ['network: similarity of amplitudes (SSIM)', '1 is the truth, a constant object has about 0'],
  phase_ssim: ['network: similarity of phases (SSIM)', '1 is the truth, a constant object has about 0'],
  amplitude_pearson: ['network: correlation of amplitudes', 'means subtracted; a constant object has 0, the truth 1'],
  phase_pearson: ['network: correlation of phases', 'plane removed, means subtracted'],
  complex_pearson: ['network: complex correlation', 'its modulus, means subtracted'],
  relative_object_error: ['network: object error', 'relative distance after one complex factor and a phase ramp'],
  constant_object_error: ['object error of a constant object', 'what an image without any structure reaches'],
  r_factor: ['network: R', 'misfit of the amplitudes of the patterns through its own forward model'],
  constant_r_factor: ['R of a constant object', 'what an image without any structure reaches'],
  solver_amplitude_ssim: ['LSQ-ML: similarity of amplitudes (SSIM)', 'the solver also refined the probe'],
  solver_phase_ssim: ['LSQ-ML: similarity of phases (SSIM)', ''],
  solver_object_error: ['LSQ-ML: object error', 'relative distance after one complex factor and a phase ramp'],
};
