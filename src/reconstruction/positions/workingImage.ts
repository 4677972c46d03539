/**
 * An image that patterns correct: windows of whole pixels are cut from it, and steps for them are gathered and applied.
 * Uncovered pixels begin with the mean, so that no window has holes.
 */
import type { ComplexImage, Tensor } from '../../core/tensor.js';
import { sampleWindow } from '../../physics/sampling.js';
import { type Frame, frameForScan, holdsFrame, moveToFrame, type ScanBounds, unionFrames } from '../frame.js';

/** Share of the strongest illumination that is added where steps are divided by it: dark pixels move slowly. */
const DAMPING = 0.02;

/** See the module. */
export class WorkingImage {
  image: ComplexImage;
  frame: Frame;
  private readonly fill: { readonly re: number; readonly im: number };
  private stepRe: Float32Array;
  private stepIm: Float32Array;
  private illumination: Float32Array;

  /**
   * @param start without holes; `fill` is for what lies around it
   * @param side N of the windows
   * @param power (N, N) |P|², summed over the modes
   */
  constructor(
    start: { readonly image: ComplexImage; readonly frame: Frame; readonly fill: { re: number; im: number } },
    readonly side: number,
    private readonly power: Tensor,
  ) {
    this.image = { re: start.image.re.slice(), im: start.image.im.slice(), shape: start.image.shape };
    this.frame = start.frame;
    this.fill = start.fill;
    [this.stepRe, this.stepIm, this.illumination] = this.planes();
  }

  /** Enlarges the image so that windows at all these positions, `margin` pixels around them, lie inside. Drops gathered steps. */
  makeRoom({ xMin, xMax, yMin, yMax }: ScanBounds, margin: number): void {
    const wanted = frameForScan(
      { xMin: xMin - margin, xMax: xMax + margin, yMin: yMin - margin, yMax: yMax + margin },
      this.side + 2,
    );
    if (!holdsFrame(this.frame, wanted)) {
      const frame = unionFrames(this.frame, wanted);
      this.image = moveToFrame(this.image, this.frame, frame, this.fill);
      this.frame = frame;
    }
    [this.stepRe, this.stepIm, this.illumination] = this.planes();
  }

  /** Copies the window around whole pixel (x, y), which becomes its pixel (N/2, N/2), to `offset` of `re` and `im`. */
  cut(x: number, y: number, re: Float32Array, im: Float32Array, offset: number): void {
    const { height, width, originYxPx } = this.frame;
    const [row, column] = [y - this.side / 2 - originYxPx[0], x - this.side / 2 - originYxPx[1]];
    sampleWindow(this.image.re, height, width, row, column, re, this.side, this.side, offset);
    sampleWindow(this.image.im, height, width, row, column, im, this.side, this.side, offset);
  }

  /** Gathers a step for the window around (x, y); the window must lie inside. */
  gather(x: number, y: number, re: Float32Array, im: Float32Array, offset: number): void {
    const { side, power, frame, stepRe, stepIm, illumination } = this;
    const start = (y - side / 2 - frame.originYxPx[0]) * frame.width + x - side / 2 - frame.originYxPx[1];
    for (let r = 0, i = 0; r < side; r++) {
      for (let c = 0, to = start + r * frame.width; c < side; c++, i++, to++) {
        stepRe[to] += re[offset + i];
        stepIm[to] += im[offset + i];
        illumination[to] += power.data[i];
      }
    }
  }

  /** Applies what was gathered: each pixel moves by Σ steps / Σ |P|². */
  apply(): void {
    const { image, stepRe, stepIm, illumination } = this;
    const floor = DAMPING * illumination.reduce((m, v) => Math.max(m, v), 0);
    for (let i = 0; i < stepRe.length; i++) {
      if (illumination[i] === 0) continue;
      image.re[i] += stepRe[i] / (illumination[i] + floor);
      image.im[i] += stepIm[i] / (illumination[i] + floor);
    }
    for (const plane of [stepRe, stepIm, illumination]) plane.fill(0);
  }

  private planes(): Float32Array[] {
    return [0, 1, 2].map(() => new Float32Array(this.frame.height * this.frame.width));
  }
}
