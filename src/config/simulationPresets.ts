/**
 * Ready-made recipes for simulated scans: values that stand in for the defaults; whatever is given wins over them. They, and
 * other words that stand for several fields, are written out here.
 *
 * @example
 * resolveConfig(simulationDefinition, { flags: { preset: 'star', output_file: 'star.npz' } }).config.object; // 'siemens_star'
 */

import { show } from '../core/field.js';
import type { Collection } from './definition.js';

/** A recipe. */
export interface Preset {
  /** What it is good for, one line. */
  readonly summary: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** What `simulate_and_save` does when it is told nothing else. */
export const PUBLISHED_SIMULATION = { scan: 'random', n_patterns: 500, photons: 1e9, seed: 42 } as const;

export const SIMULATION_PRESETS = {
  lines: {
    summary: 'random line segments under a curved probe: the object that published results are measured on',
    values: { object: 'lines', probe: 'structured', scan: 'jittered_raster' },
  },
  star: {
    summary: 'Siemens star: resolution can be read off where the spokes merge',
    values: { object: 'siemens_star', probe_diameter_px: 16, step_px: 5 },
  },
  deadleaves: {
    summary: 'overlapping shapes of all sizes on a spiral: closest to real samples',
    values: { object: 'dead_leaves', scan: 'fermat_spiral', step_px: 6 },
  },
  'weak-phase': {
    summary: 'almost transparent (amplitude 0.98 to 1, phase 0.3 rad), as cells and thin films are',
    values: { object: 'dead_leaves', amplitude_range: [0.98, 1], phase_span_rad: 0.3, photons: 1e7 },
  },
  'overlap-free': {
    summary: 'positions farther apart than the probe is wide: nothing but the network holds the image together',
    values: { object: 'lines', object_side_px: 640, probe_diameter_px: 16, probe_coma_rad: 1, step_px: 28 },
  },
  multimode: {
    summary: 'a partially coherent beam: three orthogonal modes with 70, 20 and 10 % of the power',
    values: { object: 'dead_leaves', probe_mode_powers: [0.7, 0.2, 0.1] },
  },
  'zone-plate': {
    summary: 'ring beam of a real zone plate: 8.8 keV, 30 nm zones, 10 nm pixels, 45 µm behind the focus',
    values: {
      object: 'siemens_star',
      probe: 'zone_plate',
      energy_eV: 8800,
      object_pixel_m: 10e-9,
      outer_zone_m: 30e-9,
      defocus_m: 45e-6,
      scan: 'fermat_spiral',
      step_px: 6,
    },
  },
  'near-field': {
    summary:
      'images 1.5 mm behind the sample in a wide beam with a diffuser: 8 keV, 100 nm pixels, 80 random positions',
    values: {
      object: 'dead_leaves',
      object_side_px: 126,
      N: 96,
      probe: 'diffuser',
      energy_eV: 8000,
      object_pixel_m: 1e-7,
      propagation_distance_m: 1.5e-3,
      scan: 'random',
      n_patterns: 80,
      photons: 4e6,
    },
  },
  'noisy-detector': {
    summary: 'little light, read-out noise, saturation, dead and hot pixels, and a beam stop',
    values: {
      object: 'lines',
      photons: 2e4,
      electrons_per_photon: 10,
      readout_noise_e: 5,
      full_well_e: 4000,
      dead_pixels: 30,
      hot_pixels: 10,
      beamstop_diameter_px: 4,
    },
  },
  'position-errors': {
    summary: 'recorded positions that are wrong by 1 pixel rms; the truth is kept for comparison',
    values: { object: 'dead_leaves', position_error_px: 1 },
  },
  experiments: {
    summary: 'three different objects under one probe in one file, to train on together',
    values: { object: 'dead_leaves', n_objects: 3, object_side_px: 160 },
  },
  'published-lines': {
    summary: 'as run_with_synthetic_lines: real lines of side 3.5 N, default disk, 500 random positions, 1e9 photons',
    values: {
      object: 'lines',
      object_phase: 'none',
      probe: 'default_disk',
      ground_truth: true,
      ...PUBLISHED_SIMULATION,
    },
  },
} as const satisfies Record<string, Preset>;

/** One of {@link SIMULATION_PRESETS}. */
export type SimulationPreset = keyof typeof SIMULATION_PRESETS;

export const SIMULATION_PRESET_NAMES = Object.keys(SIMULATION_PRESETS) as [SimulationPreset, ...SimulationPreset[]];

/** Two ways to say one thing: where one is given, a preset's other one gives way. */
const ALTERNATIVES: readonly (readonly [string, string])[] = [
  ['step_px', 'n_patterns'],
  ['probe_diameter_px', 'defocus_m'],
  ['object_side_px', 'object_file'],
];

/** A file implies the kind that reads it. */
const IMPLIED: readonly (readonly [file: string, field: string, kind: string])[] = [
  ['object_file', 'object', 'file'],
  ['amplitude_image', 'object', 'image'],
  ['phase_image', 'object', 'image'],
  ['probe_file', 'probe', 'file'],
  ['positions_file', 'scan', 'file'],
];

/** Writes out what `preset`, `input_file` and the names of files stand for, where nothing else was given. */
export function expandSimulation({ given, notes }: Collection): void {
  const asked = (name: string) => given.has(name) && given.get(name)?.value !== null;
  const chosen = new Set([...given.keys()].filter(asked));
  const put = (name: string, value: unknown, origin: string) => {
    const other = ALTERNATIVES.find((pair) => pair.includes(name))?.find((one) => one !== name);
    if (given.has(name) || (other !== undefined && chosen.has(other))) return false;
    given.set(name, { value, source: 'default', origin });
    return true;
  };
  for (const [file, field, kind] of IMPLIED) if (chosen.has(file)) put(field, kind, file);
  const name = given.get('preset')?.value;
  const preset = Object.hasOwn(SIMULATION_PRESETS, String(name)) && SIMULATION_PRESETS[name as SimulationPreset];
  for (const [field, value] of Object.entries(preset ? preset.values : {})) put(field, value, `preset ${String(name)}`);
  if (!chosen.has('input_file')) return;
  const values = { object: 'file', probe: 'file', ...PUBLISHED_SIMULATION };
  const taken = Object.entries(values).filter(([field, value]) => put(field, value, 'input_file'));
  if (taken.length === 0) return;
  notes.push(
    `input_file stands for ${taken.map(([field, value]) => `${field} ${show(value)}`).join(', ')}, as in simulate_and_save; give others to change that.`,
  );
}
