/** What of a simulation belongs together. */

import type { z } from 'zod';

/** The fields that rules look at; the schema has them all. */
interface Fields {
  readonly object: string;
  readonly probe: string;
  readonly scan: string;
  readonly [name: string]: unknown;
}

/** Fields that play a part only beside one value of another. */
const ONLY_WITH: readonly (readonly [field: string, of: string, value: string])[] = [
  ['object_file', 'object', 'file'],
  ['amplitude_image', 'object', 'image'],
  ['phase_image', 'object', 'image'],
  ['probe_file', 'probe', 'file'],
  ['positions_file', 'scan', 'file'],
  ['outer_zone_m', 'probe', 'zone_plate'],
  ['defocus_m', 'probe', 'zone_plate'],
];

/** Refuses fields that contradict each other or would do nothing. */
export function checkSimulation(config: object, context: z.RefinementCtx): void {
  const fields = config as Fields;
  const refuse = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message });
  const has = (name: string) => fields[name] !== null;
  for (const [field, of, value] of ONLY_WITH) {
    if (has(field) && fields[of] !== value) {
      refuse(field, `${field} plays no part with ${of} ${String(fields[of])}; write ${of} ${value}, or leave it out.`);
    }
  }
  if (has('step_px') && has('n_patterns')) {
    refuse('n_patterns', 'step_px and n_patterns both say how dense the scan is; give one of them.');
  }
  if (has('probe_diameter_px') && has('defocus_m')) {
    refuse('defocus_m', 'probe_diameter_px and defocus_m both say how wide the zone-plate beam is; give one of them.');
  }
  if (fields.object === 'file' && !has('object_file') && !has('input_file')) {
    refuse('object', 'object file needs the file: give object_file FILE[:key] or input_file.');
  }
  if (fields.object === 'image' && !has('amplitude_image') && !has('phase_image')) {
    refuse('object', 'object image needs pictures: give amplitude_image, phase_image, or both.');
  }
  if (fields.probe === 'file' && !has('probe_file') && !has('input_file')) {
    refuse('probe', 'probe file needs the file: give probe_file FILE[:key] or input_file.');
  }
  if (fields.scan === 'file' && !has('positions_file')) {
    refuse('scan', 'scan file needs the file of the positions: give positions_file FILE[:key].');
  }
  const drawn = fields.object !== 'file' && fields.object !== 'image';
  if (!drawn && has('object_side_px')) {
    refuse('object_side_px', `object_side_px plays no part with object ${fields.object}, which has its own size.`);
  }
  if (fields.n_objects !== 1 && (!drawn || fields.object === 'blank')) {
    refuse('n_objects', `n_objects needs objects that can be drawn anew; object ${fields.object} is always the same.`);
  }
  if (fields.n_objects !== 1 && has('buffer_px')) {
    refuse('buffer_px', 'buffer_px plays no part with n_objects: patterns must not see the neighbouring object.');
  }
  if ((has('outer_zone_m') || has('defocus_m')) && !has('object_pixel_m')) {
    refuse(
      'object_pixel_m',
      'outer_zone_m and defocus_m are in metres; say how large an object pixel is with object_pixel_m.',
    );
  }
  if (has('defocus_m') && !has('energy_eV')) {
    refuse('energy_eV', 'defocus_m needs the wavelength; give the photon energy with energy_eV.');
  }
  const range = fields.amplitude_range as readonly [number, number] | null;
  if (range !== null && !(range[0] >= 0 && range[1] > 0 && range[0] <= range[1])) {
    refuse(
      'amplitude_range',
      `amplitude_range must be two rising numbers from 0, such as 0.2,1, got ${range.join(',')}.`,
    );
  }
}
