/**
 * Iterative reconstruction of a scan: object, probe and, on request, positions from the patterns, without a network.
 *
 * @example
 * for await (const update of solve(raw, { algorithm: 'rpie', epochs: 60 })) console.log(update.epoch, update.rFactor);
 */

import { completeConfig } from '../config/resolve.js';
import type { SolverOptions } from '../config/schemas/solver.js';
import { solverDefinition } from '../config/solverDefinition.js';
import { throwIfCancelled } from '../core/cancel.js';
import { PtychoError, requireObject } from '../core/errors.js';
import { startEngine } from '../reconstruction/inputs.js';
import { searchAffine } from './affineSearch.js';
import { batchLengths, nearFieldOptions, TRAITS } from './algorithms/algorithm.js';
import { requireCombination, tellsBeamsApart } from './combinations.js';
import type { AffineFreedom } from './corrections/affine.js';
import { backgroundTerms, noBackground } from './corrections/background.js';
import { steadyBeam } from './corrections/beam.js';
import { streamedBatch } from './memory.js';
import { openPasses } from './openPasses.js';
import { coarseStart } from './progressive.js';
import { propagationOf } from './propagation.js';
import {
  correctsPositions,
  type LoadedScan,
  loadScan,
  requireDetermined,
  requireOverlap,
  requireProbe,
  type ScansTogether,
  type ScanToSolve,
  withOwnPositions,
} from './scan.js';
import { Solving } from './solving.js';
import { pairsOf, placedIn } from './together/offsets.js';
import { placed, shiftsOf } from './together/place.js';
import { type StartProbes, startProbes } from './together/probes.js';
import { requireTogether } from './together/refusals.js';
import type { SolverUpdate, SolveServices } from './updates.js';

/**
 * Solves a scan, one update an epoch; the first describes the start where nothing was resumed (epoch 0). A run that is resumed with
 * all its epochs done gives its last state once more.
 * @throws PtychoError CONFIG_UNKNOWN_KEY, CONFIG_INVALID for options that are wrong or contradict each other, DATASET_VALUE for a scan without counts or overlap,
 * PROBE_SHAPE, SOLVER_FAILED when the misfit diverges, CANCELLED
 */
export async function* solve(
  scan: ScanToSolve,
  given: Partial<SolverOptions> = {},
  services: SolveServices = {},
): AsyncGenerator<SolverUpdate, void, void> {
  requireObject(scan, 'solve takes an open scan first, as openScan or rawDataFromArrays gives it', ['patterns']);
  const complete = completeConfig(solverDefinition, given, services.logger);
  const options = scan.geometry?.nearField ? nearFieldOptions(complete) : complete;
  const { N, together } = scan;
  for (const [s, { source, probeGuess }] of (together?.scans ?? [scan]).entries()) {
    requireProbe(source, services.start?.together?.probes[s] ?? services.start?.probe ?? probeGuess, N);
  }
  requireDetermined(scan, options);
  requireCombination(options, { start: services.start, near: scan.geometry?.nearField !== undefined });
  if (together) requireTogether(together, options, services);
  const propagation = propagationOf(scan, options);
  const shifts = together && (await placesOfScans(together, options, services));
  const raw = together && shifts ? placed(scan, together, shifts) : scan;
  const most = streamedBatch(raw, options);
  const read = services.loaded
    ? withOwnPositions(services.loaded, raw, options)
    : await loadScan(
        raw,
        options,
        (done) => services.onProgress?.({ stage: 'reading', done, total: raw.count, unit: 'patterns' }),
        most === undefined ? undefined : { most, orHeld: options.stream === null },
      );
  const loaded = {
    ...read,
    ...(read.together && { together: { ...read.together, shifts_yx_px: shifts } }),
    scan: { ...read.scan, propagation },
  };
  try {
    throwIfCancelled(services.signal, 'Solving');
    const start = await startProbes(scan, options, services.start);
    requireOverlap(raw.source, loaded.scan, start.radius_px);
    if (options.progressive_levels === 1 || services.resume) {
      yield* solveLoaded(loaded, start, options, services);
      return;
    }
    const { onProgress: _, start: __, ...others } = services;
    const coarse = await coarseStart(loaded, start.probe, options, (scan, wave, levels, object) =>
      solveLoaded(scan, { probe: wave, probes: 1 }, levels, { ...others, start: { object } }),
    );
    const finest = { ...services.start, object: coarse.object };
    yield* solveLoaded(loaded, { probe: coarse.probe, probes: 1 }, options, { ...services, start: finest });
  } finally {
    if (!services.loaded) await loaded.scan.stream?.close();
  }
}

/**
 * [y, x] that are added to the positions of each of several scans: those that a run had which goes on, or that the scan in memory has; else
 * they are found.
 * @throws PtychoError SOLVER_FAILED where scans of one object do not tell how far they lie apart, and those of solving each alone
 */
export async function placesOfScans(
  together: ScansTogether,
  options: SolverOptions,
  services: SolveServices,
): Promise<(readonly [number, number])[]> {
  const { resume, start, loaded } = services;
  const placed = placedIn(resume?.arrays ?? {}) ?? (start?.together?.offsets && pairsOf(start.together.offsets.placed));
  if (placed) return placed;
  if (loaded?.together?.shifts_yx_px) return [...loaded.together.shifts_yx_px];
  const { threads, backend, logger, signal, onProgress } = services;
  const alone = (one: ScanToSolve, quick: SolverOptions) =>
    solve(one, quick, {
      ...{ threads, backend, logger, signal },
      onProgress: onProgress && ((event) => onProgress({ ...event, stage: `${event.stage} alone` })),
    });
  return shiftsOf(together, options, alone, logger);
}

/** A scan in memory; its positions are moved. */
async function* solveLoaded(
  read: LoadedScan,
  { probe, probes }: Pick<StartProbes, 'probe' | 'probes'>,
  options: SolverOptions,
  services: SolveServices,
): AsyncGenerator<SolverUpdate, void, void> {
  const beam = tellsBeamsApart(options) ? steadyBeam(read.scan.count, options.opr_modes) : undefined;
  const terms = backgroundTerms(options);
  const background = terms === undefined ? undefined : noBackground(read.scan.count, terms, read.counted);
  if (background && read.scan.stream) {
    throw new PtychoError(
      'CONFIG_INVALID',
      'background: it needs all patterns in memory, and these are too many; solve a part of the scan (n_subsample), or crop or bin the patterns.',
      { key: 'background' },
    );
  }
  const loaded = { ...read, scan: { ...read.scan, beam, background } };
  const { N } = loaded.scan;
  const traits = TRAITS[options.algorithm];
  const near = loaded.scan.propagation?.detector !== undefined;
  const lengths = batchLengths(options, loaded.scan.count, near);
  const batchSize = lengths.size;
  const passes = await openPasses(services, options.passes, {
    scan: loaded.scan,
    sizes: {
      modes: probe.re.length / (N * N * probes),
      ...(probes > 1 && { probes }),
      coherent: options.opr_modes,
      slices: options.slices,
      background: terms,
      height: loaded.frame.height,
      width: loaded.frame.width,
    },
    batch: batchSize,
    // Batches of equal size are up to half as large again.
    keep:
      traits.keepsBatches || correctsPositions(options) || options.opr_modes > 0
        ? Math.min(loaded.scan.count, Math.ceil(1.5 * batchSize) + 1)
        : 0,
    storeWaves: traits.storesWaves,
    bends: options.algorithm === 'ml' || options.ml_start !== null,
    floor: 1e-6 * loaded.amplitude,
  });
  const { backend, threads } = services;
  const engine = options.prior === 'network' ? await startEngine({ backend, threads }) : undefined;
  const { onProgress: _, start: __, resume: ___, ...others } = services;
  const freedom = options.affine_freedom.split(',') as AffineFreedom[];
  const search = (places: LoadedScan, rows: Int32Array) =>
    searchAffine(places, options, { rows, freedom }, (scan, trial, heldOut) =>
      solveLoaded(scan, { probe, probes }, trial, { ...others, heldOut }),
    );
  const solving = new Solving(options, services, loaded, passes, lengths, { engine, search });
  try {
    yield* solving.run(probe);
  } finally {
    await solving.close();
    if (engine !== backend) await engine?.dispose();
    await passes.close();
  }
}
