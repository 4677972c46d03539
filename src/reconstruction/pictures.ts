/** Pictures of a stitched image. */
import { PtychoError } from '../core/errors.js';
import type { ComplexImage, Tensor } from '../core/tensor.js';
import { VIRIDIS } from '../report/colormaps.js';
import { type Picture, renderAmplitude, renderPhase, renderValues } from '../report/image.js';
import type { StitchedImage } from './stitch.js';

/** Ends of the colours of a phase picture, radians about the mean; null: from the image. */
export interface PhaseRange {
  readonly phase_vmin: number | null;
  readonly phase_vmax: number | null;
}

/** Pictures show what the scan covers well: pixels with at least this share of the median weight. */
const FAINT = 0.05;

/** Non-zero where enough light fell for the image to mean something. */
export function wellCovered(weight: Tensor): Uint8Array {
  const positive = weight.data.filter((v) => v > 0).sort();
  const limit = FAINT * (positive[positive.length >> 1] ?? 0);
  return Uint8Array.from(weight.data, (v) => (v > limit ? 1 : 0));
}

/** Amplitude and phase pictures of a stitched image, of what the scan covers well unless another mask is given. */
export function stitchedPictures(
  stitched: { readonly image: ComplexImage; readonly weight: Tensor },
  range?: PhaseRange,
  mask: Uint8Array = wellCovered(stitched.weight),
): { readonly amplitude: Picture; readonly phase: Picture } {
  return { amplitude: renderAmplitude(stitched.image, { mask }), phase: phasePicture(stitched.image, mask, range) };
}

/** Pictures of both uncertainties, from 0 to the 99th percentile; undefined where they were not measured. */
export function uncertaintyPictures(
  { uncertainty, weight }: Pick<StitchedImage, 'uncertainty' | 'weight'>,
  mask: Uint8Array = wellCovered(weight),
): { readonly amplitude: Picture; readonly phase: Picture } | undefined {
  if (!uncertainty) return undefined;
  const picture = ({ data, shape }: Tensor, unit: string) => {
    const shown = data.map((v, i) => (mask[i] ? v : Number.NaN));
    return renderValues(shown, shape, { high: 99, colormap: VIRIDIS, unit });
  };
  return { amplitude: picture(uncertainty.amplitude, ''), phase: picture(uncertainty.phase, 'rad') };
}

/**
 * A phase picture whose colours end where they are told to.
 * @throws PtychoError CONFIG_INVALID for ends in the wrong order
 */
export function phasePicture(image: ComplexImage, mask: Uint8Array, range?: PhaseRange): Picture {
  const found = renderPhase(image, { mask });
  const { phase_vmin = null, phase_vmax = null } = range ?? {};
  if (phase_vmin === null && phase_vmax === null) return found;
  checkPhaseRange({ phase_vmin, phase_vmax });
  let [low, high] = [phase_vmin ?? found.low, phase_vmax ?? found.high];
  // The one that was given holds; the other gives way, so that there are colours at all.
  if (!(low < high)) [low, high] = phase_vmin === null ? [high - 1e-6, high] : [low, low + 1e-6];
  return renderPhase(image, { mask, range: [low, high] });
}

/** @throws PtychoError CONFIG_INVALID unless vmin lies below vmax */
export function checkPhaseRange({ phase_vmin, phase_vmax }: PhaseRange): void {
  if (phase_vmin === null || phase_vmax === null || phase_vmin < phase_vmax) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `phase_vmin is ${phase_vmin} and phase_vmax ${phase_vmax}, but the colours must begin below where they end; exchange them.`,
    { key: 'phase_vmin', found: phase_vmin },
  );
}
