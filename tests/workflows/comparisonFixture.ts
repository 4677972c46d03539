/** A small scan of a known object, bundles of untrained networks and finished reconstructions to compare on it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { trainingConfigSchema } from '../../src/config/schema.js';
import { type ComparisonConfig, comparisonConfigSchema } from '../../src/config/schemas/comparison.js';
import type { ComplexImage } from '../../src/core/tensor.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { writeScan } from '../../src/data/scanWriter.js';
import { cutImage } from '../../src/evaluation/images.js';
import type { NpyInput } from '../../src/formats/npyWrite.js';
import { writeNpz } from '../../src/formats/npz.js';
import { encodeModels, saveBundle } from '../../src/persistence/bundle.js';
import { networkOfBundle } from '../../src/reconstruction/networkSpec.js';
import { makeObject } from '../../src/simulation/objects.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { simulateScan } from '../../src/simulation/simulateScan.js';
import { content } from '../persistence/sampleBundle.js';

export const N = 64;
/** Patterns of the scan: 8 × 8, 6 px apart. */
export const COUNT = 64;
const probe = makeProbe('structured', { side: N, diameter: 20 });
export const object = makeObject('lines', { rows: 160, cols: 170, seed: 4 });

/** The files, below a folder of their own. */
export class ComparisonFixture {
  private constructor(readonly folder: string) {}

  static async make(): Promise<ComparisonFixture> {
    const fixture = new ComparisonFixture(await mkdtemp(path.join(tmpdir(), 'ptychopinn-compare-')));
    await fixture.scans();
    await fixture.bundle('gs1.zip', { gridsize: 1 });
    await fixture.bundle('gs2.zip', { gridsize: 2 });
    await fixture.bundle('baseline.zip', { gridsize: 1, architecture: 'baseline', model_type: 'supervised' });
    return fixture;
  }

  inside = (...parts: string[]): string => path.join(this.folder, ...parts);
  remove = (): Promise<void> => rm(this.folder, { recursive: true, force: true });

  /** `scan.npz`, and `blind.npz` without its truth. */
  private async scans(): Promise<void> {
    const at = (k: number) => [50 + 6 * (k % 8) + 0.3 * (k % 3), 56 + 6 * (k >> 3)];
    const xs = Array.from({ length: COUNT }, (_, k) => at(k)[0]);
    const ys = Array.from({ length: COUNT }, (_, k) => at(k)[1]);
    const { diffraction, probeGuess } = simulateScan({ object, probe, xs, ys, photons: 1e5, seed: 6 });
    const known = { diffraction, xcoords: xs, ycoords: ys, probeGuess, measurement_domain: 'count_amplitude' as const };
    await writeScan(this.inside('scan.npz'), rawDataFromArrays({ ...known, objectGuess: object }));
    await writeScan(this.inside('blind.npz'), rawDataFromArrays(known));
  }

  /** @param change of the weights */
  async bundle(name: string, model: object, change: (values: Float32Array) => Float32Array = (v) => v): Promise<void> {
    const config = trainingConfigSchema.parse({ model: { N, n_filters_scale: 1, ...model }, nepochs: 2 });
    const canvasSide_px = config.model.gridsize === 1 ? N : 96;
    const bundle = { ...content, config, canvasSide_px, probe };
    const network = networkOfBundle(bundle, canvasSide_px);
    const weights = Object.fromEntries(
      Object.entries(network.initialWeights(5)).map(([key, { data, shape }]) => [key, { data: change(data), shape }]),
    );
    await saveBundle(this.inside(name), { ...bundle, weights }, encodeModels(network));
  }

  /** A finished reconstruction; `over` adds to what the file says. */
  async arm(name: string, image: NpyInput, over: Record<string, NpyInput> = {}): Promise<string> {
    await writeNpz(this.inside(name), { reconstructed_object: image, ...over });
    return this.inside(name);
  }

  config(name: string, over: Record<string, unknown> = {}): ComparisonConfig {
    return comparisonConfigSchema.parse({
      test_data_file: this.inside('scan.npz'),
      output_dir: this.inside(name),
      overwrite: true,
      r_factor_patterns: 4,
      execution: { accelerator: 'cpu', threads: 1 },
      ...over,
    });
  }
}

/** The truth, its rows and columns from (top, left), times a complex factor. */
export function windowOfTruth(top: number, left: number, height: number, width: number): ComplexImage {
  const cut = cutImage(object, top, left, height, width);
  const turn = (a: Float32Array, b: Float32Array, c: number, s: number) => a.map((v, i) => v * c + b[i] * s);
  return { re: turn(cut.re, cut.im, 0.6, -0.8), im: turn(cut.im, cut.re, 0.6, 0.8), shape: cut.shape };
}

export const text = (value: string): NpyInput => ({ strings: [value], shape: [] });
