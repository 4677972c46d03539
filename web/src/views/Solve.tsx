import { useState } from 'preact/hooks';
import { solve } from '../actions.js';
import { Curve } from '../parts/Curve.js';
import { ImageView } from '../parts/ImageView.js';
import { Options } from '../parts/Options.js';
import { ResultOptions } from '../parts/ResultOptions.js';
import { useForm, useStore } from '../state.js';
import { ProbeView } from './ProbeView.js';

/** An iterative algorithm on the open scan: object, probe and misfit while it runs. */
export function Solve() {
  const { scan, running, results, chosen, threads, origins } = useStore();
  const [values, setValues] = useForm('solve');
  const [from, setFrom] = useState('');
  if (!scan) return <p class="view">Open a scan first.</p>;
  const solving = running?.what === 'solve' ? running : undefined;
  // Images of other scans have other pixels; they are in Compare and Save.
  const result = results.find((each) => each.result === chosen && origins.get(each.result)?.scan === scan.scan);
  const shown = solving?.shown ?? result;
  const curve = solving?.curve ?? result?.history.map(({ epoch, rFactor }) => [epoch, rFactor] as const) ?? [];
  const pixel = scan.geometry.objectPixel_m?.x;
  return (
    <div class="view bench">
      <section class="side">
        <h2>Solve</h2>
        <Options
          command="solve"
          first={['algorithm', 'epochs', 'probe_modes', 'position_start', 'noise_model']}
          values={values}
          onValues={setValues}
          sections={['Solving', 'Steps', 'Object', 'Probe', 'Beam', 'Positions']}
        />
        {results.length > 0 ? (
          <label>
            Begin at{' '}
            <select value={from} onChange={(event) => setFrom(event.currentTarget.value)}>
              <option value="">a flat object</option>
              <ResultOptions />
            </select>
          </label>
        ) : null}
        <p>
          <button
            type="button"
            class="main"
            disabled={running !== undefined}
            onClick={() => void solve(values, from === '' ? {} : { from: Number(from) })}
          >
            Solve
          </button>{' '}
          <small>
            {threads} {threads === 1 ? 'thread (the page is not isolated, see docs/web.md)' : 'threads'}
          </small>
        </p>
      </section>
      <section class="wide">
        <h2>Object</h2>
        {shown ? (
          <ImageView
            image={shown.image}
            coverage={shown.coverage}
            label="Object"
            pixel_m={pixel}
            originYxPx={shown.frame.originYxPx}
          />
        ) : (
          <p>The object appears here while it is solved.</p>
        )}
      </section>
      <section>
        <h2>Probe</h2>
        {shown?.probe ? <ProbeView probe={shown.probe} pixel_m={pixel} /> : <p>–</p>}
        {curve.length > 1 ? (
          <Curve
            title="How well the patterns are explained"
            x={curve.map(([x]) => x)}
            series={[{ name: 'R', y: curve.map(([, y]) => y) }]}
            xLabel="epoch"
            yLabel="R"
          />
        ) : null}
      </section>
    </div>
  );
}
