/**
 * The pair of line objects of `pairs.mjs` in another size: at N = 32 half of everything, so that a network learns in seconds. One object to
 * train on, another of the same kind to test with; scores on the central pixels that the test scan covers.
 */
import { alignComplex, relativeDistance } from '../../dist/evaluation/align.js';
import { gaussianSsim } from '../../dist/evaluation/similarity.js';
import { moveToFrame } from '../../dist/reconstruction/frame.js';
import { linesObject } from '../../dist/simulation/objects.js';
import { structuredProbe } from '../../dist/simulation/probes.js';
import { jitteredRaster } from '../../dist/simulation/scans.js';
import { rawDataFromSimulation, simulateScan } from '../../dist/simulation/simulateScan.js';

const PARTS = {
  train: { across: 28, photons: 1e6, seeds: [101, 102, 103] },
  test: { across: 20, photons: 8.7e5, seeds: [201, 202, 203] },
  more: { across: 28, photons: 1e6, seeds: [301, 302, 303] },
};

/** The probe of the pair, `wider` times as wide. */
export const smallProbe = (N, wider = 1) =>
  structuredProbe({ side: N, diameter: (21 * N * wider) / 64, curvatureRad: 3, comaRad: 2, comaAngleRad: 0.6 });

/**
 * A scan of the pair with its object: 28 × 28 or 20 × 20 positions, 5.5 px apart at N = 64.
 * @param options dose multiplies the photons; `objectOf` makes another object of side and seed; `mirrored` exchanges rows and columns of
 * everything that was measured
 */
export function smallPart(N, which, { dose = 1, objectOf = lines, mirrored = false } = {}) {
  const { across, photons, seeds } = PARTS[which];
  const step = (5.5 * N) / 64;
  const side = Math.ceil((across - 0.5) * step) + N + 2;
  const object = objectOf(side, seeds[0]);
  const probe = smallProbe(N);
  const { xs, ys } = jitteredRaster({ rows: side, cols: side, side: N, stepPx: step, seed: seeds[1] });
  const scan = simulateScan({ object, probe, xs, ys, photons: photons * dose, seed: seeds[2] });
  return { raw: rawDataFromSimulation(mirrored ? transposed(scan) : scan), object };
}

/** The scan of the transposed object under the transposed probe: as `convert --transpose --swap_xy --probe` writes it. */
function transposed({ diffraction, xcoords, ycoords, probeGuess, objectGuess: _, ...rest }) {
  const turn = (data, side) => {
    const out = data.slice();
    for (let first = 0; first < data.length; first += side * side) {
      for (let r = 0; r < side; r++)
        for (let c = 0; c < side; c++) out[first + c * side + r] = data[first + r * side + c];
    }
    return out;
  };
  const side = diffraction.shape[2];
  return {
    ...rest,
    diffraction: { ...diffraction, data: turn(diffraction.data, side) },
    xcoords: ycoords,
    ycoords: xcoords,
    probeGuess: { ...probeGuess, re: turn(probeGuess.re, side), im: turn(probeGuess.im, side) },
  };
}

const lines = (side, seed) =>
  linesObject({
    ...{ rows: side, cols: side, seed, phase: 'from_amplitude' },
    ...{ lines: 6 * side, blurWeights: [1.75, 2, 5] },
  });

/** Amplitude SSIM and complex error, after the best factor and phase ramp. */
export function smallScore(N, stitched, truth) {
  const [rows, cols] = truth.shape;
  const centre = { originYxPx: [N, N], height: rows - 2 * N, width: cols - 2 * N };
  const reference = moveToFrame(truth, { originYxPx: [0, 0], height: rows, width: cols }, centre);
  const { aligned } = alignComplex(moveToFrame(stitched.image, stitched.frame, centre), reference);
  const modulus = (z) => ({
    data: Float64Array.from(z.re, (v, i) => Math.hypot(v, z.im[i])),
    shape: [centre.height, centre.width],
  });
  return { ssim: gaussianSsim(modulus(aligned), modulus(reference)), error: relativeDistance(aligned, reference) };
}
