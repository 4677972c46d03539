/** One of the images that are compared, and where it comes from. */
import type { ComplexImage, Tensor } from '../../core/tensor.js';
import type { Frame } from '../../reconstruction/frame.js';
import type { ImageRFactor } from '../../reconstruction/rFactor.js';

/** An image before it is compared. */
export interface ComparedImage {
  readonly name: string;
  /** Made here by a network, or finished before. */
  readonly kind: 'bundle' | 'reconstruction';
  readonly path: string;
  readonly image: ComplexImage;
  /** In pixels of the scan's object. */
  readonly frame: Frame;
  /** False where the image does not say where it lies: then it is centred on the scan, and registration has to find the rest. */
  readonly frameKnown: boolean;
  /** (rows, cols), not 0 where the image means something. */
  readonly weight: Tensor;
  /** What making it took; NaN where nobody knows. */
  readonly seconds: number;
  /** What it is, in words: `cnn_cbam, pinn, gridsize 2`, or the algorithm. */
  readonly what: string;
  /** Patterns that went into it; undefined where the file does not say. */
  readonly patterns?: number;
  readonly rFactor?: ImageRFactor;
  /** What a reader of its numbers must know, a sentence each. */
  readonly warnings: readonly string[];
}
