import { useEffect, useMemo, useState } from 'preact/hooks';
import { type OpenOptions, renderComplex, renderValues, type Tensor, VIRIDIS } from 'ptychopinn/web/session';
import { openScan } from '../actions.js';
import { Options } from '../parts/Options.js';
import { Raster } from '../parts/Raster.js';
import { ScanMap } from '../parts/ScanMap.js';
import { attempt, inLength, nameOf, page, useForm, useStore } from '../state.js';

/** `--fftshift yes --swap_xy` as options: what a remedy says. */
export function optionsOfRemedy(remedy: string): Record<string, unknown> | undefined {
  const words = [...remedy.matchAll(/--(?:(no)-)?([a-z_]+)(?:[ =]([^\s-][^\s]*))?/g)];
  if (words.length === 0) return undefined;
  const value = (text: string | undefined, no: string | undefined): unknown => {
    if (text === undefined) return no === undefined;
    if (/^-?[\d.]+(e-?\d+)?$/i.test(text)) return Number(text);
    if (/^-?[\d.]+,-?[\d.]+$/.test(text)) return text.split(',').map(Number);
    return text === 'true' ? true : text === 'false' ? false : text;
  };
  return Object.fromEntries(words.map(([, no, name, text]) => [name, value(text, no)]));
}

/** Patterns, where they were taken, what was found, and how the scan is opened. */
export function Look() {
  const { scan } = useStore();
  const [index, setIndex] = useState(0);
  const [pattern, setPattern] = useState<Tensor>();
  const [sum, setSum] = useState<Tensor<Float64Array>>();
  const [logarithmic, setLogarithmic] = useState(true);
  const [summed, setSummed] = useState(false);
  const [mask, setMask] = useState(true);
  const [values, setValues] = useForm('look');
  useEffect(() => {
    setIndex(0);
    setSum(undefined);
  }, [scan?.scan]);
  useEffect(() => {
    if (scan)
      void attempt(async () => setPattern(await page.session.patterns(scan.scan, [Math.min(index, scan.count - 1)])));
  }, [scan?.scan, index]);
  useEffect(() => {
    if (scan && summed && !sum) void attempt(async () => setSum(await page.session.sumPattern(scan.scan)));
  }, [scan?.scan, summed, sum]);
  const shown = summed ? sum : pattern;
  const picture = useMemo(() => {
    if (!shown || !scan) return undefined;
    const N = scan.N;
    // Amplitudes become counts; a logarithm shows the weak parts.
    const counts = Float64Array.from(shown.data as ArrayLike<number>, (value) => (summed ? value : value * value));
    const data = logarithmic ? counts.map((value) => Math.log10(1 + value)) : counts;
    return renderValues(data, [N, N], {
      low: 0.5,
      high: 99.9,
      colormap: VIRIDIS,
      unit: logarithmic ? 'log₁₀(1 + counts)' : 'counts',
    });
  }, [shown, logarithmic, summed, scan?.N]);
  const probe = useMemo(() => {
    if (!scan?.probeGuess) return undefined;
    const { re, im, shape } = scan.probeGuess;
    const N = shape[shape.length - 1];
    const first = N * N;
    return renderComplex({ re: re.subarray(0, first), im: im.subarray(0, first), shape: [N, N] });
  }, [scan?.scan]);
  if (!scan) return <p class="view">Open a scan first.</p>;
  const { geometry, findings, notes } = scan;
  const pixel = geometry.objectPixel_m?.x;
  const reopen = (more: OpenOptions) => {
    const next = { ...values, ...more };
    setValues(next);
    void openScan(scan.path, next as OpenOptions);
  };
  const counts = (row: number, column: number): string => {
    const value = Number((shown?.data as ArrayLike<number> | undefined)?.[row * scan.N + column]);
    return `${(summed ? value : value * value).toPrecision(4)} counts`;
  };
  return (
    <div class="view columns">
      <section>
        <h2>Patterns</h2>
        <div class="controls">
          <label>
            Pattern{' '}
            <input
              type="range"
              min="0"
              max={scan.count - 1}
              value={index}
              disabled={summed}
              onInput={(event) => setIndex(Number(event.currentTarget.value))}
            />{' '}
            {index + 1} of {scan.count}
          </label>
          <label>
            <input type="checkbox" checked={summed} onChange={(event) => setSummed(event.currentTarget.checked)} /> sum
            of all
          </label>
          <label>
            <input
              type="checkbox"
              checked={logarithmic}
              onChange={(event) => setLogarithmic(event.currentTarget.checked)}
            />{' '}
            logarithmic
          </label>
          {scan.badPixels ? (
            <label>
              <input type="checkbox" checked={mask} onChange={(event) => setMask(event.currentTarget.checked)} /> mask
              in red
            </label>
          ) : null}
        </div>
        {picture ? (
          <Raster
            picture={picture}
            label={summed ? 'Sum of all patterns' : `Pattern ${index + 1}`}
            valueAt={counts}
            marked={mask ? scan.badPixels && Uint8Array.from(scan.badPixels as ArrayLike<number>) : undefined}
          />
        ) : null}
      </section>
      <section>
        <h2>Scan</h2>
        <ScanMap scan={scan} chosen={index} onChoose={setIndex} />
        <dl class="facts">
          <dt>file</dt>
          <dd>{nameOf(scan.path)}</dd>
          <dt>patterns</dt>
          <dd>
            {scan.count} of {scan.N}×{scan.N}, {scan.format}
          </dd>
          <dt>values</dt>
          <dd>
            {scan.domain}: {scan.domainReason}
          </dd>
          <dt>object pixel</dt>
          <dd>{pixel === undefined ? 'not known' : inLength(pixel)}</dd>
          {geometry.energy_eV === undefined ? null : (
            <>
              <dt>energy</dt>
              <dd>{(geometry.energy_eV / 1000).toFixed(3)} keV</dd>
            </>
          )}
        </dl>
        {probe ? (
          <>
            <h3>Probe of the file</h3>
            <Raster
              picture={probe}
              label="Probe: hue is the phase, brightness the amplitude"
              pixel_m={pixel}
              height={200}
            />
          </>
        ) : (
          <p>The file has no probe; the solver begins with a guess from the patterns.</p>
        )}
      </section>
      <section>
        <h2>Findings</h2>
        {findings.length === 0 && notes.length === 0 ? <p>Nothing looks wrong.</p> : null}
        <ul class="findings">
          {findings.map(({ code, severity, message, remedy }) => {
            const options = remedy === undefined ? undefined : optionsOfRemedy(remedy);
            return (
              <li key={code} class={severity}>
                <strong>{severity}</strong> {message}{' '}
                {options ? (
                  <button type="button" onClick={() => reopen(options)}>
                    Do {remedy}
                  </button>
                ) : remedy ? (
                  <em>{remedy}</em>
                ) : null}
              </li>
            );
          })}
          {notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
        <h2>Open it differently</h2>
        <Options
          command="inspect"
          first={['fftshift', 'crop_px', 'crop_center_px', 'rebin', 'flip_x', 'flip_y', 'swap_xy']}
          values={values}
          onValues={setValues}
          sections={['Data']}
        />
        <button type="button" onClick={() => reopen({})}>
          Open again
        </button>
      </section>
    </div>
  );
}
