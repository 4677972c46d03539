/** A complex image: amplitude, phase or both, between limits that one sets, with its plane taken off or left. */

import { useMemo, useState } from 'preact/hooks';
import {
  type Colormap, type ComplexImage, GRAY, maskedRegion, type Picture, renderAmplitude, renderComplex, renderPhase, type Tensor, TWILIGHT, VIRIDIS,
} from 'ptychopinn/web/session'; // biome-ignore format: a list
import { type Place, Raster } from './Raster.js';

export type Quantity = 'phase' | 'amplitude' | 'both';

export interface Look {
  readonly quantity: Quantity;
  readonly colours: 'auto' | 'viridis' | 'grey' | 'twilight';
  /** Limits of the colours, as shares of what there is. */
  readonly low: number;
  readonly high: number;
  readonly removePlane: boolean;
}

export const USUAL_LOOK: Look = { quantity: 'phase', colours: 'auto', low: 0, high: 1, removePlane: true };

const MAPS: Readonly<Record<Look['colours'], Colormap | undefined>> = {
  auto: undefined,
  viridis: VIRIDIS,
  grey: GRAY,
  twilight: TWILIGHT,
};
/** Of the brightest pixel, below which there was too little light. */
const COVERED = 0.05;

export const maskOf = (coverage: Tensor | undefined): Uint8Array | undefined =>
  coverage && Uint8Array.from(coverage.data as ArrayLike<number>, (value) => (value > COVERED ? 1 : 0));

/** Draws an image as one looks at it. */
export function pictureOf(image: ComplexImage, coverage: Tensor | undefined, look: Look): Picture {
  const mask = maskOf(coverage);
  const { quantity, low, high, removePlane } = look;
  const colormap = MAPS[look.colours];
  if (quantity === 'both') return renderComplex(image, { mask, removePlane });
  const between = (picture: Picture): readonly [number, number] => {
    const span = picture.high - picture.low;
    return [picture.low + low * span, picture.low + Math.max(high, low + 0.01) * span];
  };
  const whole = low === 0 && high === 1;
  if (quantity === 'amplitude') {
    const first = renderAmplitude(image, { mask, faint: true, colormap });
    return whole ? first : renderAmplitude(image, { mask, faint: true, colormap, limits: between(first) });
  }
  const first = renderPhase(image, { mask, faint: true, colormap, removePlane });
  return whole ? first : renderPhase(image, { mask, faint: true, colormap, removePlane, range: between(first) });
}

/** The value of a pixel in words. */
export const valueIn =
  ({ re, im, shape }: ComplexImage) =>
  (row: number, column: number): string => {
    const i = row * shape[1] + column;
    return `amplitude ${Math.hypot(re[i], im[i]).toPrecision(4)}, phase ${Math.atan2(im[i], re[i]).toFixed(3)} rad`;
  };

/** How an image is looked at, as controls. */
export function LookControls({ look, onLook }: { readonly look: Look; readonly onLook: (look: Look) => void }) {
  const change = (part: Partial<Look>) => onLook({ ...look, ...part });
  return (
    <fieldset class="controls plain">
      <legend class="hidden">How the image is shown</legend>
      <label>
        Show{' '}
        <select value={look.quantity} onChange={(event) => change({ quantity: event.currentTarget.value as Quantity })}>
          <option value="phase">phase</option>
          <option value="amplitude">amplitude</option>
          <option value="both">both (hue and brightness)</option>
        </select>
      </label>
      <label>
        Colours{' '}
        <select
          value={look.colours}
          disabled={look.quantity === 'both'}
          onChange={(event) => change({ colours: event.currentTarget.value as Look['colours'] })}
        >
          <option value="auto">as it suits</option>
          <option value="viridis">viridis</option>
          <option value="grey">grey</option>
          <option value="twilight">twilight (cyclic)</option>
        </select>
      </label>
      <label>
        Low{' '}
        <input
          type="range"
          min="0"
          max="1"
          step="0.01"
          value={look.low}
          disabled={look.quantity === 'both'}
          onInput={(event) => change({ low: Number(event.currentTarget.value) })}
        />
      </label>
      <label>
        High{' '}
        <input
          type="range"
          min="0"
          max="1"
          step="0.01"
          value={look.high}
          disabled={look.quantity === 'both'}
          onInput={(event) => change({ high: Number(event.currentTarget.value) })}
        />
      </label>
      <label>
        <input
          type="checkbox"
          checked={look.removePlane}
          disabled={look.quantity === 'amplitude'}
          onChange={(event) => change({ removePlane: event.currentTarget.checked })}
        />{' '}
        phase without its slope
      </label>
    </fieldset>
  );
}

interface ImageViewProps {
  readonly image: ComplexImage;
  readonly coverage?: Tensor;
  readonly label: string;
  readonly pixel_m?: number;
  readonly originYxPx?: readonly [number, number];
  readonly look?: Look;
  readonly place?: Place;
  readonly onPlace?: (place: Place) => void;
  readonly onLine?: (from: readonly [number, number], to: readonly [number, number]) => void;
  readonly line?: readonly [readonly [number, number], readonly [number, number]];
  readonly height?: number;
}

/** An image with its controls, or as `look` says. */
export function ImageView({ image, coverage, look: given, ...raster }: ImageViewProps) {
  const [own, setOwn] = useState<Look>(USUAL_LOOK);
  const look = given ?? own;
  const { quantity, colours, low, high, removePlane } = look;
  const picture = useMemo(
    () => pictureOf(image, coverage, look),
    [image, coverage, quantity, colours, low, high, removePlane],
  );
  const region = useMemo(() => {
    const mask = maskOf(coverage);
    return mask && maskedRegion(mask, image.shape);
  }, [coverage]);
  return (
    <div>
      {given ? null : <LookControls look={own} onLook={setOwn} />}
      <Raster picture={picture} valueAt={valueIn(image)} region={region} {...raster} />
    </div>
  );
}
