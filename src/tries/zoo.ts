/**
 * `--model auto`: a network of the package `ptychopinn-models`, where one knows probes like that of the scan. Nothing is fetched; the
 * package is installed or it is not.
 *
 * @example
 * const { model, reason } = await modelOfZoo(raw, probe); // reason: which, or why none
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { z } from 'zod';
import { messageOf, PtychoError } from '../core/errors.js';
import { readTextInput, TABLE_BYTES } from '../core/inputFile.js';
import type { ComplexTensor } from '../core/tensor.js';
import type { RawData } from '../data/rawData.js';
import type { StoredBundle } from '../persistence/bundle.js';
import { parseBoundedJson } from '../persistence/json.js';
import { bestFit } from '../reconstruction/matching/probeFit.js';
import { PtychoModel } from '../reconstruction/ptychoModel.js';
import { SAME_EXPOSURE } from '../reconstruction/scanForModel.js';
import type { StartingProbe } from './probe.js';

/** The value of `model_path` that looks for a network. */
export const AUTO_MODEL = 'auto';

const PACKAGE = 'ptychopinn-models';

/** Below, a network reads patterns of the probe no better than of any other (models/README.md). */
export const LEAST_FIT = 0.8;

/** File names are made of these names, so that an index cannot lead elsewhere. */
const indexSchema = z.record(
  z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/),
  z.strictObject({ N: z.int().positive(), summary: z.string() }),
);

/** What was found, and the sentence about it. */
export interface ZooChoice {
  readonly model: PtychoModel<StoredBundle> | undefined;
  readonly reason: string;
}

/**
 * The network whose trained probes fit that of a scan best, if one fits.
 * @param probe of the scan, at whatever power
 * @param folder of the package; where it is installed, if not given
 * @throws PtychoError FILE_NOT_FOUND where the package is not installed, FILE_FORMAT for an index that is none, and those of opening bundles
 */
export async function modelOfZoo(
  raw: Pick<RawData, 'N' | 'source' | 'domain' | 'patterns'>,
  probe: ComplexTensor,
  folder: string = zooFolder(),
): Promise<ZooChoice> {
  const index = await readIndex(path.join(folder, 'index.json'));
  if (Object.keys(index).length === 0) {
    return { model: undefined, reason: `${PACKAGE} holds no network yet: the solver begins without one.` };
  }
  const names = Object.keys(index).filter((name) => index[name].N === raw.N);
  if (names.length === 0) {
    const sides = [...new Set(Object.values(index).map(({ N }) => N))].sort((a, b) => a - b);
    return {
      model: undefined,
      reason: `No network of ${PACKAGE} is for patterns of N ${raw.N} (there are ${sides.join(' and ')}): the solver begins without one.`,
    };
  }
  const found: { readonly name: string; readonly fit: number; readonly model: PtychoModel<StoredBundle> }[] = [];
  for (const name of names) {
    const model = await PtychoModel.read(path.join(folder, `${name}.zip`));
    found.push({ name, model, fit: bestFit(model.bundle, probe).fit });
  }
  const [best] = found.sort((a, b) => b.fit - a.fit);
  const fits = found.map(({ name, fit }) => `${name} ${fit.toFixed(2)}`).join(', ');
  if (best.fit < LEAST_FIT) {
    return {
      model: undefined,
      reason: `The probe of ${raw.source} fits no network of ${PACKAGE} (${fits}; ${LEAST_FIT} is needed): the solver begins without one.`,
    };
  }
  const dose = otherDose(best.model.bundle, raw);
  if (dose !== undefined) {
    return {
      model: undefined,
      reason: `The probe of ${raw.source} fits ${best.name} of ${PACKAGE} (${best.fit.toFixed(2)}), but ${dose}: the solver begins without a network.`,
    };
  }
  return {
    model: best.model,
    reason: `Network ${best.name} of ${PACKAGE}: the probe fits (${fits}; at least ${LEAST_FIT}).`,
  };
}

/**
 * {@link modelOfZoo}, where the probe is known.
 * @param asked with `single_pass` there must be one
 * @throws PtychoError MODEL_UNSUPPORTED where there is none but must be
 */
export async function autoModel(
  raw: Parameters<typeof modelOfZoo>[0],
  { probe, from }: Pick<StartingProbe, 'probe' | 'from'>,
  { single_pass }: { readonly single_pass: boolean },
  folder?: string,
): Promise<ZooChoice> {
  const choice: ZooChoice =
    from === 'guess'
      ? {
          model: undefined,
          reason: 'The probe was guessed, so that nobody knows which network fits: the solver begins without one.',
        }
      : await modelOfZoo(raw, probe, folder);
  if (choice.model || !single_pass) return choice;
  throw new PtychoError(
    'MODEL_UNSUPPORTED',
    `single_pass ends with the image of a network, but there is none. ${choice.reason.replace(/: the solver.*$/, '')}; leave single_pass out, or name a bundle with --model.`,
    { key: 'model_path' },
  );
}

/** In what the counts of a scan are none that the network has seen; undefined where they are, or are not known. */
function otherDose(
  { scans = [] }: StoredBundle,
  { domain, patterns }: Pick<RawData, 'domain' | 'patterns'>,
): string | undefined {
  const { sums } = patterns;
  if (domain === 'normalized_amplitude' || !sums || sums.power.length === 0 || scans.length === 0) return undefined;
  const mean = sums.power.reduce((a, b) => a + b, 0) / sums.power.length;
  const counts = scans.map(({ statistics }) => statistics.meanCounts);
  const [low, high] = [Math.min(...counts) / SAME_EXPOSURE, Math.max(...counts) * SAME_EXPOSURE];
  if (mean >= low && mean <= high) return undefined;
  const [here, least, most] = [mean, low, high].map((v) => Number(v.toPrecision(2)).toLocaleString('en'));
  return `its patterns hold ${here} counts each, and the network knows ${least} to ${most}`;
}

/** @throws PtychoError FILE_NOT_FOUND */
function zooFolder(): string {
  try {
    return path.dirname(createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`));
  } catch (cause) {
    throw new PtychoError(
      'FILE_NOT_FOUND',
      `--model auto takes a network of the package ${PACKAGE}, which is not installed: "npm install ${PACKAGE}" beside ptychopinn, or leave --model out.`,
      { path: PACKAGE },
      { cause },
    );
  }
}

async function readIndex(file: string): Promise<z.output<typeof indexSchema>> {
  const bad = (why: string, cause?: unknown) =>
    new PtychoError(
      'FILE_FORMAT',
      `${file} is no index of networks: ${why}; install ${PACKAGE} again.`,
      { path: file },
      { cause },
    );
  if (!existsSync(file)) throw bad('there is no such file');
  let json: unknown;
  try {
    json = parseBoundedJson(await readTextInput(file, { maxBytes: TABLE_BYTES }));
  } catch (cause) {
    throw bad(messageOf(cause), cause);
  }
  const parsed = indexSchema.safeParse(json);
  if (!parsed.success) throw bad(`${parsed.error.issues[0].path.join('.')} ${parsed.error.issues[0].message}`);
  return parsed.data;
}
