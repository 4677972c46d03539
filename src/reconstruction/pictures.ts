/**
 * Pictures of a reconstruction: amplitude, phase, both in one, uncertainties; cut to what the scan covers.
 *
 * @example
 * await writePictures('image', stitched, { pixelSize_m: 10e-9, formats: ['png', 'pdf'] });
 */
import path from 'node:path';
import { PtychoError } from '../core/errors.js';
import type { ComplexImage, Tensor } from '../core/tensor.js';
import { writeAtomically, writeDrawing } from '../formats/outputFiles.js';
import { VIRIDIS } from '../report/colormaps.js';
import { figure, type ImagePanelOptions, imagePanel, type Panel } from '../report/figure.js';
import {
  cropPicture,
  maskedRegion,
  type Picture,
  renderAmplitude,
  renderComplex,
  renderPhase,
  renderValues,
} from '../report/image.js';
import { encodePng } from '../report/png.js';
import { PICTURE_FORMATS, type PictureFormat } from '../report/renderer.js';
import type { Intervals } from './ensemble/calibration.js';
import type { StitchedImage } from './patchStitcher.js';
import type { Uncertainty } from './spread.js';

/** What is written of an image; a stitched one, or one that a solver made. */
export type WrittenImage = Pick<StitchedImage, 'image' | 'frame' | 'overlapCount' | 'weight' | 'uncertainty'> & {
  /** How far the networks of an ensemble differ. */
  readonly spread?: Uncertainty;
  /** Half-widths of intervals, where the spread is calibrated. */
  readonly intervals?: Intervals;
};

/** Pictures of an image, without the end of their names. */
export const IMAGE_PICTURES = [
  'reconstructed_amplitude',
  'reconstructed_phase',
  'reconstructed_complex',
  'amplitude_uncertainty',
  'phase_uncertainty',
  'ensemble_amplitude_spread',
  'ensemble_phase_spread',
  'amplitude_interval',
  'phase_interval',
] as const;

/** How pictures of a reconstruction are drawn; everything may be left out. */
export interface PictureOptions {
  readonly phaseRange?: PhaseRange;
  /** Side of an object pixel, metres: axes and bar are then in micrometres. */
  readonly pixelSize_m?: number;
  /** PNG files where not given. */
  readonly formats?: readonly PictureFormat[];
  /** What {@link imagePanels} made of the image, for whoever draws it more than once; made anew where not given. */
  readonly panels?: ImagePanels;
}

/** The panels of an image, by the names of its pictures. */
export type ImagePanels = Readonly<Partial<Record<(typeof IMAGE_PICTURES)[number], Panel>>>;

/** How a configuration wants pictures drawn, of a scan whose object pixels may be of known size. */
export const picturesFor = (
  config: PhaseRange & { readonly vector_pictures: boolean },
  pixel?: { readonly x: number },
): PictureOptions => ({
  phaseRange: config,
  pixelSize_m: pixel?.x,
  formats: config.vector_pictures ? PICTURE_FORMATS : ['png'],
});

/**
 * Writes the pictures of a reconstruction.
 * @returns the names of the files
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writePictures(
  folder: string,
  stitched: WrittenImage,
  options: PictureOptions = {},
): Promise<string[]> {
  const panels = options.panels ?? imagePanels(stitched, options);
  const files: string[] = [];
  for (const name of IMAGE_PICTURES) {
    const panel = panels[name];
    if (panel) files.push(...(await writeDrawing(folder, name, figure([panel]), options.formats)));
  }
  return files;
}

/**
 * Pictures of a reconstruction that goes on, over those that are there: pixels alone, which takes milliseconds.
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writePreviewPictures(
  folder: string,
  stitched: Pick<WrittenImage, 'image' | 'weight'>,
  range?: PhaseRange,
): Promise<void> {
  const { amplitude, phase } = stitchedPictures(stitched, range);
  await writeAtomically(path.join(folder, 'reconstructed_amplitude.png'), encodePng(amplitude));
  await writeAtomically(path.join(folder, 'reconstructed_phase.png'), encodePng(phase));
}

/** Said under every phase whose plane was taken off. */
export const PLANE_NOTE = 'plane and offset removed for display';

/**
 * An image as panels, cut to what the scan covers, what it hardly covers faint: amplitude, phase without its plane, both as
 * brightness and hue, and the uncertainties where they were measured.
 */
export function imagePanels(
  stitched: Pick<WrittenImage, 'image' | 'frame' | 'weight' | 'uncertainty' | 'spread' | 'intervals'>,
  { phaseRange, pixelSize_m }: PictureOptions = {},
  panel: Pick<ImagePanelOptions, 'side_px'> = {},
): ImagePanels {
  const { image, frame, weight } = stitched;
  const mask = wellCovered(weight);
  const region = maskedRegion(mask, image.shape);
  const { amplitude, phase } = stitchedPictures(stitched, phaseRange, mask);
  const { intervals } = stitched;
  const place = { pixelSize_m, originYxPx: frame.originYxPx, ...panel };
  const of = (picture: Picture, options: ImagePanelOptions) => imagePanel(cropPicture(picture, region), { ...place, ...options }); // biome-ignore format: one call
  /** Maps of amplitude and phase that belong together. */
  const pair = (
    amplitudeName: keyof ImagePanels,
    phaseName: keyof ImagePanels,
    maps: Uncertainty | undefined,
    titles: readonly [amplitude: string, phase: string],
    note?: string,
  ): ImagePanels => {
    const drawn = uncertaintyPictures({ uncertainty: maps, weight }, mask);
    if (!drawn) return {};
    return {
      [amplitudeName]: of(drawn.amplitude, {
        title: titles[0],
        note,
        quantity: 'amplitude, relative',
      }),
      [phaseName]: of(drawn.phase, { title: titles[1], note, quantity: 'phase / rad' }),
    };
  };
  return {
    reconstructed_amplitude: of(amplitude, { title: 'Amplitude', quantity: 'amplitude, relative' }),
    reconstructed_phase: of(phase, { title: 'Phase', note: PLANE_NOTE, quantity: 'phase / rad' }),
    reconstructed_complex: of(renderComplex(image, { mask, removePlane: true }), {
      title: 'Amplitude and phase',
      note: `brightness is the amplitude, hue the phase, ${PLANE_NOTE}`,
    }),
    ...pair(
      'amplitude_uncertainty',
      'phase_uncertainty',
      stitched.uncertainty,
      ['Uncertainty of the amplitude', 'Uncertainty of the phase'],
      'spread of the patches that overlap, not calibrated',
    ),
    ...pair(
      'ensemble_amplitude_spread',
      'ensemble_phase_spread',
      stitched.spread,
      ['Amplitude: spread of the networks', 'Phase: spread of the networks'],
      'standard deviation among the networks, not calibrated',
    ),
    ...pair(
      'amplitude_interval',
      'phase_interval',
      intervals,
      ['Amplitude: half-width of the interval', 'Phase: half-width of the interval'],
      intervals && `calibrated: the truth is within ± this at ${Math.round(100 * intervals.level)} % of pixels`,
    ),
  };
}

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

/** Amplitude and phase pictures of a stitched image, in the colours of what the scan covers well unless another mask is given; the rest is faint. */
export function stitchedPictures(
  stitched: { readonly image: ComplexImage; readonly weight: Tensor },
  range?: PhaseRange,
  mask: Uint8Array = wellCovered(stitched.weight),
): { readonly amplitude: Picture; readonly phase: Picture } {
  const amplitude = renderAmplitude(stitched.image, { mask, faint: true });
  return { amplitude, phase: phasePicture(stitched.image, mask, range) };
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
 * A phase picture without its plane whose colours end where they are told to.
 * @throws PtychoError CONFIG_INVALID for ends in the wrong order
 */
export function phasePicture(image: ComplexImage, mask: Uint8Array, range?: PhaseRange): Picture {
  const how = { mask, faint: true, removePlane: true };
  const found = renderPhase(image, how);
  const { phase_vmin = null, phase_vmax = null } = range ?? {};
  if (phase_vmin === null && phase_vmax === null) return found;
  checkPhaseRange({ phase_vmin, phase_vmax });
  let [low, high] = [phase_vmin ?? found.low, phase_vmax ?? found.high];
  // The one that was given holds; the other gives way, so that there are colours at all.
  if (!(low < high)) [low, high] = phase_vmin === null ? [high - 1e-6, high] : [low, low + 1e-6];
  return renderPhase(image, { ...how, range: [low, high] });
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
