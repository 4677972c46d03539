/**
 * Names of what is compared: the published ones are spelt as published (METRICS-NAMING-001), so that tables of different runs and
 * tools can be put together.
 *
 * @example
 * parseArm('ptychi=recon.npz'); // { name: 'PtyChi', path: 'recon.npz' }
 */
import type { ComparisonConfig } from '../../config/schemas/comparison.js';
import { PtychoError } from '../../core/errors.js';

/** Networks. */
export const NETWORK_NAMES = ['PtychoPINN', 'Baseline'] as const;
/** Iterative codes: two of others, then the solvers of this package. */
export const ITERATIVE_NAMES = ['PtyChi', 'Tike', 'ePIE', 'rPIE', 'LSQML', 'DM', 'PIE'] as const;

const CANONICAL: readonly string[] = [...NETWORK_NAMES, ...ITERATIVE_NAMES];
const OTHER_WORDS: Readonly<Record<string, string>> = { pinn: 'PtychoPINN', 'pty-chi': 'PtyChi', pty_chi: 'PtyChi' };
/** What may stand in a file name, an array name and a table. */
const PLAIN = /^[A-Za-z][A-Za-z0-9_.-]{0,39}$/;

/** A bundle that takes part, by the name it has in tables. */
export interface NamedModel {
  readonly name: string;
  readonly path: string;
}

/** A name and the file that belongs to it. */
export interface NamedPath {
  /** Undefined where the file itself is to say it. */
  readonly name: string | undefined;
  readonly path: string;
}

/**
 * A name as it is written everywhere: canonical ones in their spelling, others as they are.
 * @throws PtychoError USAGE for what cannot be part of a file name
 */
export function canonicalName(written: string): string {
  const lower = written.toLowerCase();
  const known = OTHER_WORDS[lower] ?? CANONICAL.find((name) => name.toLowerCase() === lower);
  if (known) return known;
  if (!PLAIN.test(written)) {
    throw new PtychoError(
      'USAGE',
      `${JSON.stringify(written)} cannot be the name of a model: write a letter, then at most 39 letters, digits, dots, - or _.`,
      { found: written },
    );
  }
  return written;
}

/**
 * A bundle, `NAME=PATH`.
 * @throws PtychoError USAGE without a name, or with one that is reserved for iterative codes
 */
export function parseModel(written: string): NamedModel {
  const { name, path } = split(written);
  if (name === undefined) {
    throw new PtychoError('USAGE', `--model needs NAME=PATH, got ${JSON.stringify(written)}; write for instance PtychoPINN_gs2=${written}.`, {
      found: written,
    }); // biome-ignore format: one sentence
  }
  const canonical = canonicalName(name);
  if ((ITERATIVE_NAMES as readonly string[]).includes(canonical)) {
    throw new PtychoError(
      'USAGE',
      `${canonical} names an iterative code, but --model ${written} is a network; choose another name, or give a finished reconstruction with --arm.`,
      { found: name },
    );
  }
  return { name: canonical, path };
}

/** The bundles of a configuration by their names, the published ones first. */
export function namedModels(config: ComparisonConfig): NamedModel[] {
  return [
    ...(config.pinn_dir === null ? [] : [{ name: 'PtychoPINN', path: config.pinn_dir }]),
    ...(config.baseline_dir === null ? [] : [{ name: 'Baseline', path: config.baseline_dir }]),
    ...config.models.map(parseModel),
  ];
}

/** A finished reconstruction, `FILE` or `NAME=FILE`. @throws PtychoError USAGE */
export function parseArm(written: string): NamedPath {
  const { name, path } = split(written);
  return { name: name === undefined ? undefined : canonicalName(name), path };
}

/** Up to the first `=`, if that is a name and no folder. */
function split(written: string): NamedPath {
  const at = written.indexOf('=');
  if (at <= 0 || at === written.length - 1 || /[\\/]/.test(written.slice(0, at)))
    return { name: undefined, path: written };
  return { name: written.slice(0, at), path: written.slice(at + 1) };
}

/**
 * The name that goes with the algorithm a reconstruction states. Published rule: `tike` in it is Tike, anything else PtyChi;
 * files of this package say `PtychoPINN …` and, of its solvers, `PtychoPINN ePIE` and so on.
 */
export function nameOfAlgorithm(algorithm: string): { readonly name: string; readonly known: boolean } {
  const lower = algorithm.trim().toLowerCase();
  if (lower.includes('tike')) return { name: 'Tike', known: true };
  const own = /^ptychopinn(?:[ :/]+(.*))?$/.exec(lower);
  if (own) {
    const solver = ITERATIVE_NAMES.find((name) => name.toLowerCase() === own[1]?.trim());
    return { name: solver ?? 'PtychoPINN', known: true };
  }
  return { name: 'PtyChi', known: /pie|lsq|dm|ml|chi/.test(lower) };
}

/** The first part of the names of a model's curves: `pinn` as published, else the name in small letters. */
export function curvesPrefix(name: string): string {
  return name === 'PtychoPINN' ? 'pinn' : name.toLowerCase();
}

/** What other rows of tables and arrays of files are called. */
const TAKEN = ['ground_truth', 'constant', 'scanimage'];

/** @throws PtychoError USAGE where two have one name, capital letters aside, or one that stands for something else */
export function checkNames(names: readonly string[]): void {
  const seen = new Set<string>(TAKEN);
  for (const name of names) {
    const key = name.toLowerCase();
    if (seen.has(key)) {
      throw new PtychoError(
        'USAGE',
        TAKEN.includes(key)
          ? `${name} is the name of the truth or of a floor; give the model another, NAME=PATH.`
          : `Two things to compare are called ${name}; give one of them another name, NAME=PATH.`,
        { found: name },
      );
    }
    seen.add(key);
  }
}
