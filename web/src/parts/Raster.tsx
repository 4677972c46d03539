/** A picture of many pixels: zoom, shift, read-out, a bar of known length. Keyboard: arrows shift, + and − zoom, 0 shows all. */

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Picture, PixelRegion } from 'ptychopinn/web/session';
import { inLength } from '../state.js';
import { emptyCanvas, useBoxWidth } from './canvas.js';

/** Which part is seen: pixels of the screen for one of the picture, and where its first pixel lies. */
export interface Place {
  readonly zoom: number;
  readonly x: number;
  readonly y: number;
}

interface RasterProps {
  readonly picture: Picture;
  readonly label: string;
  /** The value at a pixel, in words. */
  readonly valueAt?: (row: number, column: number) => string;
  /** Side of a pixel, metres. */
  readonly pixel_m?: number;
  /** Row and column of the whole image that the first pixel is. */
  readonly originYxPx?: readonly [number, number];
  /** Linked pictures share their place. */
  readonly place?: Place;
  readonly onPlace?: (place: Place) => void;
  /** A line is drawn with the mouse while Shift is held. */
  readonly onLine?: (from: readonly [number, number], to: readonly [number, number]) => void;
  readonly line?: readonly [readonly [number, number], readonly [number, number]];
  /** Pixels that are marked: a mask. */
  readonly marked?: ArrayLike<number>;
  readonly height?: number;
  /** What is seen at first: the whole picture where not given. */
  readonly region?: PixelRegion;
}

const STEP = 1.25;
const [NEAREST, FARTHEST] = [64, 1 / 32];
const NICE = [1, 2, 5];

/** The longest bar of a nice length that takes at most this many pixels of the screen. */
function barOf(
  width: number,
  zoom: number,
  pixel_m: number | undefined,
): { readonly px: number; readonly text: string } {
  const unit = pixel_m ?? 1;
  const most = (0.3 * width * unit) / zoom;
  const power = 10 ** Math.floor(Math.log10(most));
  const length = Math.max(...NICE.map((n) => n * power).filter((n) => n <= most), power);
  return {
    px: (length * zoom) / unit,
    text: pixel_m === undefined ? `${Number(length.toPrecision(2))} px` : inLength(length),
  };
}

export function Raster(props: RasterProps) {
  const { picture, label, valueAt, pixel_m, originYxPx = [0, 0], onLine, line, marked, height = 420 } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [box, width] = useBoxWidth();
  const [own, setOwn] = useState<Place>();
  const [under, setUnder] = useState<readonly [number, number]>();
  const drag = useRef<{ x: number; y: number; from?: readonly [number, number] }>();
  const whole: Place = fit(props.region ?? { at: [0, 0], width: picture.width, height: picture.height }, width, height);
  const place = props.place ?? own ?? whole;
  const move = (next: Place | undefined) => {
    setOwn(next);
    if (next) props.onPlace?.(next);
  };

  useEffect(() => {
    const context = emptyCanvas(canvas.current, width, height);
    if (!context) return;
    context.imageSmoothingEnabled = place.zoom < 1;
    context.drawImage(
      bitmapOf(picture, marked),
      place.x,
      place.y,
      picture.width * place.zoom,
      picture.height * place.zoom,
    );
    if (line) drawLine(context, line, place);
    drawBar(context, barOf(width, place.zoom, pixel_m), height);
  }, [picture, marked, place.zoom, place.x, place.y, width, height, line, pixel_m]);

  const pixelAt = (event: MouseEvent): readonly [number, number] => [
    Math.floor((event.offsetY - place.y) / place.zoom),
    Math.floor((event.offsetX - place.x) / place.zoom),
  ];
  const zoomBy = (factor: number, x = width / 2, y = height / 2) => {
    const zoom = Math.min(NEAREST, Math.max(FARTHEST, place.zoom * factor));
    move({ zoom, x: x - ((x - place.x) * zoom) / place.zoom, y: y - ((y - place.y) * zoom) / place.zoom });
  };
  const onKey = (event: KeyboardEvent) => {
    const by = 40;
    const moves: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => move({ ...place, x: place.x + by }),
      ArrowRight: () => move({ ...place, x: place.x - by }),
      ArrowUp: () => move({ ...place, y: place.y + by }),
      ArrowDown: () => move({ ...place, y: place.y - by }),
      '+': () => zoomBy(STEP),
      '-': () => zoomBy(1 / STEP),
      '0': () => move(whole),
    };
    const does = moves[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  };
  const inside = under && under[0] >= 0 && under[1] >= 0 && under[0] < picture.height && under[1] < picture.width;
  const spot = (axis: 0 | 1) => {
    const px = (under?.[axis] ?? 0) + originYxPx[axis];
    return pixel_m === undefined ? `${px} px` : inLength(px * pixel_m);
  };

  return (
    <div class="raster" ref={box}>
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${label}. Arrows shift, plus and minus zoom, 0 shows all.`}
        tabIndex={0}
        style={{ width: `${width}px`, height: `${height}px` }}
        onKeyDown={onKey}
        onWheel={(event) => {
          event.preventDefault();
          zoomBy(event.deltaY < 0 ? STEP : 1 / STEP, event.offsetX, event.offsetY);
        }}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          drag.current = {
            x: event.offsetX,
            y: event.offsetY,
            ...(event.shiftKey && onLine && { from: pixelAt(event) }),
          };
        }}
        onPointerMove={(event) => {
          setUnder(pixelAt(event));
          const from = drag.current;
          if (!from) return;
          if (from.from) onLine?.(from.from, pixelAt(event));
          else {
            move({ ...place, x: place.x + event.offsetX - from.x, y: place.y + event.offsetY - from.y });
            drag.current = { x: event.offsetX, y: event.offsetY };
          }
        }}
        onPointerUp={() => {
          drag.current = undefined;
        }}
        onPointerLeave={() => setUnder(undefined)}
        onDblClick={() => move(whole)}
      />
      <div class="readout" aria-hidden="true">
        {inside && under
          ? `x ${spot(1)}, y ${spot(0)}${valueAt ? `: ${valueAt(under[0], under[1])}` : ''}`
          : `${picture.complex ? `hue: phase; brightness: amplitude up to ${short(picture.high)}` : `${short(picture.low)} … ${short(picture.high)} ${picture.unit}`}`}
      </div>
    </div>
  );
}

const short = (value: number): string => String(Number(value.toPrecision(3)));

function fit({ at: [top, left], width, height }: PixelRegion, boxWidth: number, boxHeight: number): Place {
  const zoom = Math.min(boxWidth / width, boxHeight / height);
  return { zoom, x: (boxWidth - width * zoom) / 2 - left * zoom, y: (boxHeight - height * zoom) / 2 - top * zoom };
}

/** Pictures as the canvas takes them, made once. */
const bitmaps = new WeakMap<Picture, { readonly canvas: HTMLCanvasElement; readonly marked?: ArrayLike<number> }>();

function bitmapOf(picture: Picture, marked: ArrayLike<number> | undefined): HTMLCanvasElement {
  const known = bitmaps.get(picture);
  if (known && known.marked === marked) return known.canvas;
  const canvas = document.createElement('canvas');
  canvas.width = picture.width;
  canvas.height = picture.height;
  const pixels = new ImageData(picture.width, picture.height);
  for (let i = 0; i < picture.width * picture.height; i++) {
    for (let k = 0; k < 3; k++) pixels.data[4 * i + k] = picture.data[3 * i + k];
    pixels.data[4 * i + 3] = 255;
    if (marked?.[i]) pixels.data.set([230, 60, 60, 255], 4 * i);
  }
  canvas.getContext('2d')?.putImageData(pixels, 0, 0);
  bitmaps.set(picture, { canvas, marked });
  return canvas;
}

function drawBar(context: CanvasRenderingContext2D, { px, text }: { px: number; text: string }, height: number): void {
  const [left, top] = [14, height - 18];
  context.fillStyle = 'rgba(0, 0, 0, 0.55)';
  context.font = '13px system-ui, sans-serif';
  context.fillRect(left - 8, top - 22, Math.max(px, context.measureText(text).width) + 16, 34);
  context.fillStyle = 'white';
  context.fillRect(left, top, px, 4);
  context.fillText(text, left, top - 6);
}

function drawLine(
  context: CanvasRenderingContext2D,
  line: NonNullable<RasterProps['line']>,
  { zoom, x, y }: Place,
): void {
  const [[r0, c0], [r1, c1]] = line;
  for (const [style, thickness] of [
    ['black', 4],
    ['white', 2],
  ] as const) {
    context.strokeStyle = style;
    context.lineWidth = thickness;
    context.beginPath();
    context.moveTo(x + (c0 + 0.5) * zoom, y + (r0 + 0.5) * zoom);
    context.lineTo(x + (c1 + 0.5) * zoom, y + (r1 + 0.5) * zoom);
    context.stroke();
  }
}
