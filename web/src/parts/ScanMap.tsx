/** Where the patterns were taken, coloured by their counts; a click chooses one. */

import { useEffect, useRef } from 'preact/hooks';
import { colourAt, type ScanView, VIRIDIS } from 'ptychopinn/web/session';
import { emptyCanvas, useBoxWidth } from './canvas.js';

interface ScanMapProps {
  readonly scan: ScanView;
  readonly chosen: number;
  readonly onChoose: (index: number) => void;
  readonly height?: number;
}

const MARGIN = 14;

export function ScanMap({ scan, chosen, onChoose, height = 300 }: ScanMapProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [box, width] = useBoxWidth();
  const { xcoords: xs, ycoords: ys, power } = scan;
  const [xMin, xMax, yMin, yMax] = [least(xs), most(xs), least(ys), most(ys)];
  const zoom = Math.min((width - 2 * MARGIN) / (xMax - xMin || 1), (height - 2 * MARGIN) / (yMax - yMin || 1));
  const at = (index: number): readonly [number, number] => [
    MARGIN + (xs[index] - xMin) * zoom,
    MARGIN + (ys[index] - yMin) * zoom,
  ];

  useEffect(() => {
    const context = emptyCanvas(canvas.current, width, height);
    if (!context) return;
    const [low, high] = [least(power), most(power)];
    const size = Math.max(1.5, Math.min(5, 0.4 * Math.sqrt((width * height) / scan.count)));
    for (let i = 0; i < scan.count; i++) {
      const [x, y] = at(i);
      context.fillStyle = `rgb(${colourAt(VIRIDIS, high > low ? (power[i] - low) / (high - low) : 0.5).join()})`;
      context.beginPath();
      context.arc(x, y, size, 0, 7);
      context.fill();
    }
    const [x, y] = at(chosen);
    context.strokeStyle = '#e23b3b';
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, y, size + 4, 0, 7);
    context.stroke();
  }, [scan, chosen, width, height]);

  const nearest = (event: MouseEvent): number => {
    let [best, distance] = [0, Number.POSITIVE_INFINITY];
    for (let i = 0; i < scan.count; i++) {
      const [x, y] = at(i);
      const d = (x - event.offsetX) ** 2 + (y - event.offsetY) ** 2;
      if (d < distance) [best, distance] = [i, d];
    }
    return best;
  };
  return (
    <div ref={box}>
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${scan.count} positions, coloured by the counts of their patterns; pattern ${chosen + 1} is marked.`}
        style={{ width: `${width}px`, height: `${height}px` }}
        onClick={(event) => onChoose(nearest(event))}
      />
    </div>
  );
}

const least = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
const most = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
