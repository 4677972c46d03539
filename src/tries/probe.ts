/** The probe that a reconstruction begins with: built from optics, the scan's, the bundle's, or a guess. */
import { isBuiltProbe, type ReconstructOptions } from '../config/schemas/reconstruct.js';
import type { ComplexTensor } from '../core/tensor.js';
import { GUESS_PROBE, guessProbe } from '../data/opening/probe.js';
import type { RawData } from '../data/rawData.js';
import type { StoredBundle } from '../persistence/bundle.js';
import type { PtychoModel } from '../reconstruction/ptychoModel.js';
import { probeInCounts } from '../reconstruction/scanForModel.js';
import { builtProbe } from '../simulation/builtProbe.js';

/** Where a probe came from. */
export type ProbeOrigin = 'scan' | 'file' | 'optics' | 'model' | 'guess';

/** A probe and how it came about. */
export interface StartingProbe {
  readonly probe: ComplexTensor;
  readonly from: ProbeOrigin;
  /** What should be known of it, a sentence. */
  readonly note?: string;
}

/**
 * The probe of a scan that is open, at whatever power: solvers scale it to the counts.
 * @throws PtychoError CONFIG_INVALID for optics that do not fit the scan, those of reading patterns
 */
export async function startingProbe(
  raw: RawData,
  { probe, ...sizes }: Pick<ReconstructOptions, 'probe' | 'probe_diameter_m' | 'probe_outer_zone_m' | 'probe_stop_fraction' | 'probe_defocus_m'>, // biome-ignore format: one type
  model: PtychoModel<StoredBundle> | undefined,
): Promise<StartingProbe> {
  if (isBuiltProbe(probe)) {
    const { probe_diameter_m, probe_outer_zone_m, probe_stop_fraction, probe_defocus_m } = sizes;
    const optics = {
      diameter_m: probe_diameter_m ?? undefined,
      outerZone_m: probe_outer_zone_m ?? undefined,
      stopFraction: probe_stop_fraction,
      defocus_m: probe_defocus_m,
    };
    return { probe: builtProbe(probe, optics, raw), from: 'optics' };
  }
  if (raw.probeGuess) return { probe: raw.probeGuess, from: probe === null || probe === GUESS_PROBE ? 'scan' : 'file' };
  const ofModel = model && probeInCounts(model.bundle, raw);
  if (ofModel) return { probe: ofModel, from: 'model', note: 'The scan holds no probe: the one that the network was trained with was taken.' }; // biome-ignore format: one value
  return {
    probe: await guessProbe(raw.patterns, raw.geometry),
    from: 'guess',
    note: `${raw.source} holds no probe: it begins with a Gaussian as wide as the mean pattern suggests, and is refined with the object.`,
  };
}
