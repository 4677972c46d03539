/** The probes of several scans in the planes of one field, each with all its modes; of one scan alone there is one. */

import type { SolverOptions } from '../../config/schemas/solver.js';
import type { ComplexTensor } from '../../core/tensor.js';
import { guessProbe } from '../../data/opening/probe.js';
import type { FieldMemory, Plane, Planes } from '../fieldMemory.js';
import { probeRadius_px, startProbe } from '../probe.js';
import type { ScanToSolve } from '../scan.js';
import type { SolverStart } from '../updates.js';

/** What belongs to one probe of a memory; all share its planes. */
export interface OneProbe {
  /** (modes, N, N) */
  readonly probe: Planes;
  /** Its sums, likewise, and (N, N) the light of the object on it. */
  readonly sum: Planes;
  readonly objectIntensity: Plane;
}

/** The parts of a memory that belong to each of its probes. */
export function probesIn(memory: FieldMemory): OneProbe[] {
  const { N, modes, probes = 1 } = memory.sizes;
  const area = N * N;
  return Array.from({ length: probes }, (_, s) => ({
    probe: cut(memory.probe, s * modes * area, modes * area),
    sum: cut(memory.sums.probe, s * modes * area, modes * area),
    objectIntensity: cutPlane(memory.sums.objectIntensity, s * area, area),
  }));
}

/** A part of a complex field, in the same memory. */
export const cut = ({ re, im, reAt, imAt }: Planes, from: number, length: number): Planes => ({
  re: re.subarray(from, from + length),
  im: im.subarray(from, from + length),
  reAt: reAt + 4 * from,
  imAt: imAt + 4 * from,
});

const cutPlane = ({ data, at }: Plane, from: number, length: number): Plane => ({
  data: data.subarray(from, from + length),
  at: at + 4 * from,
});

/** The probes that a run begins with, one after the other. */
export interface StartProbes {
  /** (probes·modes, N, N) */
  readonly probe: ComplexTensor;
  readonly probes: number;
  /** How far from its position a pattern sees the object. */
  readonly radius_px: number;
}

/**
 * Each scan's own probe where the object is shared, with as many modes as that with most of them, or as asked for.
 * @throws PtychoError those of `startProbe`
 */
export async function startProbes(
  raw: ScanToSolve,
  options: SolverOptions,
  start: Pick<SolverStart, 'probe' | 'together'> = {},
): Promise<StartProbes> {
  const scans = raw.together?.share === 'object' ? raw.together.scans : [raw];
  const given = (s: number) => start.together?.probes[s] ?? start.probe;
  const guesses = await Promise.all(
    scans.map(
      async ({ probeGuess, patterns, geometry }, s) => given(s) ?? probeGuess ?? (await guessProbe(patterns, geometry)),
    ),
  );
  const most = Math.max(...guesses.map(({ re, shape }) => re.length / shape[shape.length - 1] ** 2));
  const wanted = scans.length > 1 ? { ...options, probe_modes: options.probe_modes ?? most } : options;
  const started = guesses.map((guess) => startProbe(guess, wanted));
  if (started.length === 1) return { probe: started[0], probes: 1, radius_px: probeRadius_px(started[0]) };
  const [{ shape }] = started;
  const all = (part: 're' | 'im') => Float32Array.from(started.flatMap((probe) => Array.from(probe[part])));
  return {
    probe: { re: all('re'), im: all('im'), shape: [started.length * shape[0], shape[1], shape[2]] },
    probes: started.length,
    radius_px: Math.max(...started.map(probeRadius_px)),
  };
}
