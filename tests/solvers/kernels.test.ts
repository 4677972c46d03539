/** The transforms in WebAssembly against those in float64, for every kind of side. */
import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../src/core/rng.js';
import { AnyFft2 } from '../../src/physics/fourier.js';
import {
  fftScratchBytes,
  fitsKernels,
  loadKernels,
  PAGE_BYTES,
  planBytes,
  sharedMemory,
  startKernels,
  writePlan,
} from '../../src/solvers/host/kernels.js';

describe('fft2', () => {
  const memory = sharedMemory();
  const kernels = startKernels(loadKernels(), memory);
  memory.grow(256);

  // 10, 14, 30 …: no multiple of 4; 14, 28, 94, 190 …: prime factors that have no code of their own; 98 and 242: twice.
  const sides = [4, 8, 12, 16, 20, 24, 36, 40, 48, 60, 64, 80, 96, 100, 128, 144];
  const others = [6, 10, 14, 18, 22, 28, 30, 62, 94, 98, 126, 154, 190, 202, 242];
  it.each([...sides, ...others])('side %i, there and back', (n) => {
    const plan = PAGE_BYTES;
    const scratch = plan + Math.ceil(planBytes(n) / 64) * 64;
    const [reAt, imAt] = [0, 1].map((part) => scratch + Math.ceil(fftScratchBytes(n) / 64) * 64 + part * 4 * n * n);
    writePlan(memory, plan, n);
    const rng = new LegacyRng(n);
    const re = Float64Array.from({ length: n * n }, () => Math.fround(rng.normal()));
    const im = Float64Array.from({ length: n * n }, () => Math.fround(rng.normal()));
    const [ours, oursIm] = [reAt, imAt].map((at) => new Float32Array(memory.buffer, at, n * n));
    ours.set(re);
    oursIm.set(im);
    kernels.fft2(reAt, imAt, n, plan, scratch);
    const [exact, exactIm] = [re.slice(), im.slice()];
    new AnyFft2(n, n).forward(exact, exactIm);
    const worst = (a: Float32Array, b: Float64Array) => a.reduce((m, v, i) => Math.max(m, Math.abs(v - b[i])), 0);
    // Values are of order n.
    expect(worst(ours, exact) / n).toBeLessThan(3e-6);
    expect(worst(oursIm, exactIm) / n).toBeLessThan(3e-6);
    kernels.fft2(imAt, reAt, n, plan, scratch);
    expect(
      worst(
        ours.map((v) => v / (n * n)),
        re,
      ),
    ).toBeLessThan(3e-6);
    expect(
      worst(
        oursIm.map((v) => v / (n * n)),
        im,
      ),
    ).toBeLessThan(3e-6);
  });

  it('says which sides it takes', () => {
    expect([4, 6, 28, 50, 64, 94, 100, 256].filter(fitsKernels)).toHaveLength(8);
    expect([2, 63, 0, -8].filter(fitsKernels)).toHaveLength(0);
  });
});
