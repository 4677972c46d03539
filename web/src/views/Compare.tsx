import { useEffect, useMemo, useState } from 'preact/hooks';
import type { CompareView, ComplexImage } from 'ptychopinn/web/session';
import { Curve } from '../parts/Curve.js';
import { ImageView, type Look, LookControls, USUAL_LOOK } from '../parts/ImageView.js';
import type { Place } from '../parts/Raster.js';
import { ResultOptions } from '../parts/ResultOptions.js';
import { attempt, inLength, page, useStore } from '../state.js';

type Line = readonly [readonly [number, number], readonly [number, number]];

/** Two results side by side, on the same pixels: linked zoom, difference, profile, ring correlation. */
export function Compare() {
  const { results } = useStore();
  const [pair, setPair] = useState<readonly [number, number]>([0, 1]);
  const [compared, setCompared] = useState<CompareView>();
  const [look, setLook] = useState<Look>(USUAL_LOOK);
  const [place, setPlace] = useState<Place>();
  const [line, setLine] = useState<Line>();
  const [first, second] = pair.map((k) => results[k]);
  useEffect(() => {
    setCompared(undefined);
    if (first && second && first !== second)
      void attempt(async () => setCompared(await page.session.compare(first.result, second.result)));
  }, [first?.result, second?.result]);
  const difference = useMemo(() => compared && differenceOf(compared.a, compared.b), [compared]);
  if (results.length < 2)
    return (
      <p class="view">
        There must be two results: solve a scan in two ways, or open images (reconstruction.npz, products).
      </p>
    );
  const pixel = first?.pixel_m?.x ?? second?.pixel_m?.x;
  const shared = {
    look,
    place,
    onPlace: setPlace,
    line,
    onLine: (from: Line[0], to: Line[1]) => setLine([from, to]),
    pixel_m: pixel,
    height: 340,
    originYxPx: compared?.frame.originYxPx,
  };
  const choose = (which: 0 | 1) => (
    <label>
      {which === 0 ? 'First' : 'Second'}{' '}
      <select
        value={results[pair[which]].result}
        onChange={(event) => {
          const place = results.findIndex(({ result }) => result === Number(event.currentTarget.value));
          setPair(which === 0 ? [place, pair[1]] : [pair[0], place]);
        }}
      >
        <ResultOptions />
      </select>
    </label>
  );
  return (
    <div class="view">
      <div class="controls">
        {choose(0)}
        {choose(1)}
      </div>
      <LookControls look={look} onLook={setLook} />
      {compared && difference ? (
        <>
          <div class="columns three">
            <section>
              <h2>First</h2>
              <ImageView image={compared.a} label="First result" {...shared} />
            </section>
            <section>
              <h2>Second</h2>
              <ImageView image={compared.b} label="Second result, on the pixels of the first" {...shared} />
            </section>
            <section>
              <h2>Difference</h2>
              <ImageView
                image={difference}
                label="Difference"
                {...shared}
                look={{ ...look, quantity: 'amplitude', low: 0, high: 1 }}
              />
            </section>
          </div>
          <p>
            The second was moved by {compared.registration.shiftYxPx.map((shift) => shift.toFixed(2)).join(', ')} px (y,
            x)
            {compared.registration.succeeded
              ? ''
              : ` (not to be relied on: ${compared.registration.reason ?? 'no clear peak'})`}
            . They differ by {(100 * compared.relativeError).toFixed(1)} % (‖a − b‖/‖a‖).
            {line ? '' : ' Hold Shift and drag for a profile.'}
          </p>
          <div class="columns">
            {line ? <Profile line={line} a={compared.a} b={compared.b} look={look} pixel_m={pixel} /> : null}
            <Correlation frc={compared.frc} pixel_m={pixel} />
          </div>
        </>
      ) : (
        <p>{first === second ? 'Choose two different results.' : 'Bringing them to the same pixels …'}</p>
      )}
    </div>
  );
}

function differenceOf(a: ComplexImage, b: ComplexImage): ComplexImage {
  return {
    shape: a.shape,
    re: a.re.map((value, i) => value - b.re[i]),
    im: a.im.map((value, i) => value - b.im[i]),
  } as ComplexImage;
}

function Profile({
  line: [[r0, c0], [r1, c1]],
  a,
  b,
  look,
  pixel_m,
}: {
  readonly line: Line;
  readonly a: ComplexImage;
  readonly b: ComplexImage;
  readonly look: Look;
  readonly pixel_m?: number;
}) {
  const { x, y } = useMemo(() => {
    const length = Math.hypot(r1 - r0, c1 - c0);
    const count = Math.max(2, Math.ceil(length) + 1);
    const at = (image: ComplexImage) => Array.from({ length: count }, (_, k) => valueAt(image, r0 + ((r1 - r0) * k) / (count - 1), c0 + ((c1 - c0) * k) / (count - 1), look.quantity)); // biome-ignore format: one line
    const unit = pixel_m === undefined ? 1 : pixel_m * 1e9;
    return { x: Array.from({ length: count }, (_, k) => ((length * k) / (count - 1)) * unit), y: [at(a), at(b)] };
  }, [r0, c0, r1, c1, a, b, look.quantity]);
  const quantity = look.quantity === 'amplitude' ? 'amplitude' : 'phase / rad';
  return (
    <section>
      <h2>Profile</h2>
      <Curve
        title="Along the line"
        x={x}
        series={[
          { name: 'first', y: y[0] },
          { name: 'second', y: y[1] },
        ]}
        xLabel={pixel_m === undefined ? 'px' : 'nm'}
        yLabel={quantity}
      />
    </section>
  );
}

/** Between pixels the nearest one. */
function valueAt(
  { re, im, shape }: ComplexImage,
  row: number,
  column: number,
  quantity: Look['quantity'],
): number | null {
  const [r, c] = [Math.round(row), Math.round(column)];
  if (r < 0 || c < 0 || r >= shape[0] || c >= shape[1]) return null;
  const i = r * shape[1] + c;
  return quantity === 'amplitude' ? Math.hypot(re[i], im[i]) : Math.atan2(im[i], re[i]);
}

function Correlation({
  frc: { curve, threshold, side_px },
  pixel_m,
}: {
  readonly frc: CompareView['frc'];
  readonly pixel_m?: number;
}) {
  const x = Array.from({ length: curve.length }, (_, k) => k / side_px);
  const crossing = Array.from(curve).findIndex((value, k) => k > 0 && value < threshold[k]);
  const period = crossing > 0 ? side_px / crossing : undefined;
  return (
    <section>
      <h2>Ring correlation</h2>
      <Curve
        title={
          period === undefined
            ? 'Above the half-bit threshold everywhere'
            : `Below the half-bit threshold at ${pixel_m === undefined ? `${(period / 2).toFixed(1)} px` : inLength((period / 2) * pixel_m)} (half a period)`
        }
        x={x}
        series={[
          { name: 'correlation', y: curve },
          { name: 'half-bit threshold', y: threshold, dashed: true },
        ]}
        xLabel="periods per pixel"
        yLabel="correlation"
      />
    </section>
  );
}
