/** Options that several scans at once do not go together with. */
import type { SolverOptions } from '../../config/schemas/solver.js';
import { PtychoError } from '../../core/errors.js';
import type { ScansTogether } from '../scan.js';
import type { SolveServices } from '../updates.js';

type Refusal = readonly [asked: boolean, key: keyof SolverOptions, why: string];

/** @throws PtychoError CONFIG_INVALID for an option that this way of sharing does not go together with, in a sentence that names it */
export function requireTogether(
  { share }: ScansTogether,
  options: SolverOptions,
  { start }: Pick<SolveServices, 'start'>,
): void {
  const finish = options.algorithm === 'ml' ? 'algorithm' : 'ml_start';
  const ofBoth: readonly Refusal[] = [
    [options.affine, 'affine', 'what is wrong of all positions is found of one scan at a time'],
    [options.background !== 'none', 'background', 'scatter is found of one scan at a time'],
    [options.prior === 'network', 'prior', 'a network paints the object of one scan'],
    [options.progressive_levels > 1, 'progressive_levels', 'coarse resolutions take one scan'],
    [options.centre_probe, 'centre_probe', 'objects and probes of several scans cannot all move together'],
  ];
  const ofObject: readonly Refusal[] = [
    [options.opr_modes > 0, 'opr_modes', 'a varying beam is found of one probe, and each scan has its own'],
    [options.flux, 'flux', 'the flux of patterns is found of one probe, and each scan has its own'],
    [
      options.algorithm === 'ml' || options.ml_start !== null,
      finish,
      'maximum likelihood takes one probe, and each scan has its own',
    ],
    [
      options.probe_power_counts !== null,
      'probe_power_counts',
      'it is one number, and each scan has a probe of its own',
    ],
  ];
  const ofProbe: readonly Refusal[] = [
    [options.grid_period_px !== null, 'grid_period_px', 'each scan has an object of its own, and a grid of its own'],
  ];
  const found = [...ofBoth, ...(share === 'object' ? ofObject : ofProbe)].find(([asked]) => asked);
  if (found) {
    const [, key, why] = found;
    throw new PtychoError(
      'CONFIG_INVALID',
      `${key} does not go together with share ${share}: ${why}; leave one of them out.`,
      {
        key,
        share,
      },
    );
  }
  // What an update of the same scans came to says of each what it needs.
  if (!start || start.together) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `a start (init) does not go together with share ${share}: several scans begin from an empty object and their own probes; leave one of them out.`,
    { key: 'init', share },
  );
}
