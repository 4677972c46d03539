/** Choices of the reference family of metrics, in every command that measures images. */
import { field } from '../field.js';
import { nonNegativeNumber, oneOf } from '../kinds.js';

const local = { legacyKey: null } as const;

/** Published options of the published metrics. */
export const referenceFields = {
  phase_align_method: field(
    oneOf('plane', 'mean'),
    'plane',
    'What the reference family takes out of phases: the plane of least squares, or the mean.',
    local,
  ),
  frc_sigma: field(nonNegativeNumber, 0, 'Smoothing of the reference FRC curves.', { ...local, unit: 'rings' }),
  ms_ssim_sigma: field(nonNegativeNumber, 1, 'Smoothing of amplitudes before the reference MS-SSIM.', {
    ...local,
    unit: 'px',
  }),
};
