/** Words of a simulation that stand for several fields: `preset`, `input_file`, and the names of files. */

import { type Collection, show } from './collect.js';
import { type Preset, PUBLISHED_SIMULATION, SIMULATION_PRESETS, type SimulationPreset } from './simulationPresets.js';

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
  const preset: Preset | undefined =
    typeof name === 'string' && Object.hasOwn(SIMULATION_PRESETS, name)
      ? SIMULATION_PRESETS[name as SimulationPreset]
      : undefined;
  for (const [field, value] of Object.entries(preset?.values ?? {})) put(field, value, `preset ${String(name)}`);
  if (!chosen.has('input_file')) return;
  const values = { object: 'file', probe: 'file', ...PUBLISHED_SIMULATION };
  const taken = Object.entries(values).filter(([field, value]) => put(field, value, 'input_file'));
  if (taken.length === 0) return;
  notes.push(
    `input_file stands for ${taken.map(([field, value]) => `${field} ${show(value)}`).join(', ')}, as in simulate_and_save; give others to change that.`,
  );
}
