/** Curves over one axis, and the same numbers as a table for those who do not see them. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';

export interface CurveProps {
  readonly title: string;
  readonly x: ArrayLike<number>;
  readonly series: readonly {
    readonly name: string;
    readonly y: ArrayLike<number | null>;
    readonly dashed?: boolean;
  }[];
  readonly xLabel: string;
  readonly yLabel: string;
  readonly logarithmic?: boolean;
  readonly height?: number;
}

const COLOURS = ['#2f7ed8', '#c8541a', '#3a8f4d', '#8a4fbf'];

export function Curve({ title, x, series, xLabel, yLabel, logarithmic, height = 220 }: CurveProps) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>();
  const names = series.map(({ name }) => name).join('|');
  useEffect(() => {
    if (!holder.current) return;
    const ink = getComputedStyle(holder.current).color;
    const axis = {
      stroke: ink,
      grid: { stroke: 'rgba(128,128,128,0.25)' },
      ticks: { stroke: 'rgba(128,128,128,0.4)' },
    };
    const made = new uPlot(
      {
        width: holder.current.clientWidth || 400,
        height,
        scales: { x: { time: false }, ...(logarithmic && { y: { distr: 3 as const } }) },
        axes: [
          { ...axis, label: xLabel },
          { ...axis, label: yLabel, size: 64 },
        ],
        series: [{ label: xLabel }, ...series.map(({ name, dashed }, k) => ({ label: name, stroke: COLOURS[k % COLOURS.length], width: 2, ...(dashed && { dash: [6, 4] }) }))], // biome-ignore format: one line
      },
      dataOf(x, series),
      holder.current,
    );
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: holder.current?.clientWidth ?? 400, height }));
    watch.observe(holder.current);
    return () => {
      watch.disconnect();
      made.destroy();
    };
  }, [names, logarithmic, height, xLabel, yLabel]);
  useEffect(() => plot.current?.setData(dataOf(x, series)), [x, series]);
  const last = series
    .map(({ name, y }) => `${name} ${y.length > 0 ? Number(Number(y[y.length - 1]).toPrecision(4)) : '–'}`)
    .join(', ');
  return (
    <figure class="curve">
      <figcaption>{title}</figcaption>
      <div
        ref={holder}
        role="img"
        aria-label={`${title}: ${x.length} points of ${yLabel} over ${xLabel}; at the end ${last}.`}
      />
    </figure>
  );
}

const dataOf = (x: CurveProps['x'], series: CurveProps['series']): uPlot.AlignedData =>
  [Array.from(x), ...series.map(({ y }) => Array.from(y))] as uPlot.AlignedData;
