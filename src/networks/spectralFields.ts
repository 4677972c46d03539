/** Fields that several networks with spectral layers have. */
import type { z } from 'zod';
import { oneOf, positiveInteger, published, wholeNumber } from '../core/field.js';

/** Fields of every network with spectral layers. */
export const spectralFields = {
  generator_output_mode: published(
    oneOf('real_imag', 'amp_phase', 'amp_phase_logits'),
    'real_imag',
    'What networks with spectral layers output: real and imaginary parts without bounds, or amplitude (sigmoid) and phase (π·tanh), from two heads or (logits) from the two halves of one.',
  ),
  fno_modes: published(
    positiveInteger,
    12,
    'Waves that a spectral layer keeps along each axis, the lowest ones; no more than an image of its size has.',
  ),
  fno_width: published(
    positiveInteger,
    32,
    'Channels of a network with spectral layers, where images have their full size.',
  ),
  fno_blocks: published(positiveInteger, 4, 'Spectral blocks.'),
  fno_input_transform: published(
    oneOf('none', 'sqrt', 'log1p', 'instancenorm'),
    'none',
    'What a network with spectral layers does to its input first: the root or log(1 + x) of what is not negative, or every pattern to mean 0 and variance 1.',
  ),
};

/** The values of these fields. */
export type SpectralConfig = { readonly [K in keyof typeof spectralFields]: z.output<(typeof spectralFields)[K]> };

/** Of networks whose spectral blocks are followed by others. */
export const refinerField = {
  fno_cnn_blocks: published(
    wholeNumber,
    2,
    'Blocks of 3 × 3 convolutions after the spectral ones of fno and ffno; the published ffno has none.',
  ),
};
