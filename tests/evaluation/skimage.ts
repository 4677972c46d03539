/** What scikit-image says of two images, and the images that the fixture was made of. */
import type { Tensor } from '../../src/core/tensor.js';

/** Sides that hold five levels of the multi-scale similarity. */
export const SHAPE = [190, 183] as const;

/** A smooth image with fine detail, and one that is blurred, shifted in value and noisy against it. */
export function formulaImages(): { readonly truth: Tensor<Float64Array>; readonly image: Tensor<Float64Array> } {
  const [rows, cols] = SHAPE;
  const make = (of: (r: number, c: number) => number): Tensor<Float64Array> => ({
    data: Float64Array.from({ length: rows * cols }, (_, i) => of(Math.floor(i / cols), i % cols)),
    shape: SHAPE,
  });
  const wave = (r: number, c: number) =>
    Math.sin(0.11 * r + 0.3) * Math.cos(0.17 * c) + 0.4 * Math.sin(0.9 * r + 0.02 * c * c);
  return {
    truth: make((r, c) => 1 + 0.3 * wave(r, c)),
    image: make((r, c) => 1.04 + 0.27 * wave(r + 0.4, c - 0.3) + 0.05 * Math.sin(12.9 * r + 78.2 * c)),
  };
}

/** Figures of one pair of images. */
export type SkimageFigures = Record<'mse' | 'psnr' | 'ssim_gaussian' | 'ssim_uniform' | 'ms_ssim', number>;

/**
 * Reads `a` (image) and `b` (truth) of an NPZ and prints the figures as JSON. scikit-image has no multi-scale similarity; that one
 * is written out here with SciPy's filters.
 */
export const SKIMAGE_SCRIPT = `
import sys, json
import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

f = np.load(sys.argv[1])
a, b = f['a'].astype(np.float64), f['b'].astype(np.float64)
span = b.max() - b.min()

def terms(a, b):
    blur = lambda x: gaussian_filter(x, 1.5, truncate=3.5)
    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    contrast = (2 * cov + c2) / (va + vb + c2)
    light = (2 * ma * mb + c1) / (ma ** 2 + mb ** 2 + c1)
    inner = (slice(5, -5), slice(5, -5))
    return (light * contrast)[inner].mean(), contrast[inner].mean()

def halved(x):
    r, c = x.shape[0] // 2, x.shape[1] // 2
    return x[:2 * r, :2 * c].reshape(r, 2, c, 2).mean((1, 3))

product, x, y = 1.0, a, b
for level, weight in enumerate([0.0448, 0.2856, 0.3001, 0.2363, 0.1333]):
    whole, contrast = terms(x, y)
    product *= max(0, whole if level == 4 else contrast) ** weight
    x, y = halved(x), halved(y)

print(json.dumps({
    'mse': mean_squared_error(b, a),
    'psnr': peak_signal_noise_ratio(b, a, data_range=span),
    'ssim_gaussian': structural_similarity(b, a, data_range=span, gaussian_weights=True, sigma=1.5, use_sample_covariance=False),
    'ssim_uniform': structural_similarity(b, a, data_range=span),
    'ms_ssim': product,
}))
`;
