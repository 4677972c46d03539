/**
 * Words that stand for several fields: `profile: ci` and `torch_loss_mode`. They are written out before a configuration is
 * checked, so that nothing behind it has to know them.
 */

import { PtychoError } from '../core/errors.js';
import type { ProvenanceEntry } from '../core/services.js';
import { type Collection, show } from './collect.js';

/** What the profile `ci` demands; another value beside it is a contradiction. */
export const CI_CONTRACT: Readonly<Record<string, unknown>> = {
  scale_contract_version: 'ci_intensity_v2',
  measurement_domain: 'count_intensity',
  physics_forward_mode: 'rectangular_scaled',
  torch_loss_mode: 'poisson',
};

/** What the profile `ci` proposes; a value that is given stays. */
export const CI_DEFAULTS: Readonly<Record<string, unknown>> = {
  rect_s1s2_trainable: true,
  rect_s1s2_init: 'data',
  cnn_output_mode: 'real_imag',
};

/**
 * Writes out what `profile` and `torch_loss_mode` stand for.
 * @throws PtychoError CONFIG_INVALID where a field that is given says otherwise.
 */
export function expandWords(collection: Collection): void {
  expandProfile(collection);
  expandLossMode(collection);
}

/** A value that somebody chose; a default, or null for "not given", is none. */
function chosen(given: Collection['given'], name: string): ProvenanceEntry | undefined {
  const entry = given.get(name);
  return entry === undefined || entry.source === 'default' || entry.value === null ? undefined : entry;
}

function expandProfile({ given }: Collection): void {
  const profile = chosen(given, 'profile');
  if (profile?.value !== 'ci') return;
  const put = (name: string, value: unknown) =>
    given.set(name, { value, source: profile.source, origin: profile.origin ?? 'profile ci' });
  for (const [name, value] of Object.entries(CI_CONTRACT)) {
    const other = chosen(given, name);
    if (other !== undefined && other.value !== value) throw contradiction(name, value, other.value);
    put(name, value);
  }
  for (const [name, value] of Object.entries(CI_DEFAULTS)) if (chosen(given, name) === undefined) put(name, value);
}

/** The sentence for a value that the profile `ci` does not go with. */
export function contradiction(name: string, demanded: unknown, found: unknown): PtychoError {
  return new PtychoError(
    'CONFIG_INVALID',
    `profile ci demands ${name} ${show(demanded)}, but ${name} is given as ${show(found)}; leave one of them out.`,
    { field: name, found, expected: demanded },
  );
}

/**
 * In the published tools one word chooses the loss, here every loss has a weight. `poisson` is what every written-out
 * configuration holds, so it only contradicts where somebody wrote it on this command line.
 */
function expandLossMode({ given, notes }: Collection): void {
  const mode = chosen(given, 'torch_loss_mode');
  if (mode === undefined) return;
  if (given.get('model_type')?.value === 'supervised') {
    if (mode.value === 'poisson' && mode.source === 'flag') throw needsMae();
    return;
  }
  const mae = mode.value === 'mae';
  if (!mae && mode.source !== 'flag') return;
  const [on, off] = mae ? ['mae_weight', 'nll_weight'] : ['nll_weight', 'mae_weight'];
  const wanted = chosen(given, on);
  const unwanted = chosen(given, off);
  const against = mae && unwanted !== undefined && unwanted.value !== 0 ? off : wanted?.value === 0 ? on : null;
  if (against !== null) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `torch_loss_mode ${String(mode.value)} contradicts ${against} ${show(given.get(against)?.value)}; leave one of them out.`,
      { field: 'torch_loss_mode', found: mode.value },
    );
  }
  if (!mae) return;
  if (wanted === undefined) given.set(on, { ...mode, value: 1 });
  if (unwanted === undefined) given.set(off, { ...mode, value: 0 });
  if (wanted === undefined || unwanted === undefined) {
    notes.push('torch_loss_mode mae is nll_weight 0 and mae_weight 1 here.');
  }
}

/** The rule of the published tools for labels. */
export function needsMae(): PtychoError {
  return new PtychoError(
    'CONFIG_INVALID',
    'model_type supervised compares patches with labels by their absolute error and needs torch_loss_mode mae, got poisson.',
    { field: 'torch_loss_mode', found: 'poisson', expected: 'mae' },
  );
}
