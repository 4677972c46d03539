import { useRef } from 'preact/hooks';
import type { SaveFormat } from 'ptychopinn/web/session';
import { save, savePng } from '../actions.js';
import { ImageView } from '../parts/ImageView.js';
import { ResultOptions } from '../parts/ResultOptions.js';
import { set, useStore } from '../state.js';

const FORMATS: readonly (readonly [SaveFormat, string])[] = [
  ['npz', 'reconstruction.npz: object, probe, positions, as the command line writes it'],
  ['product', 'Ptychodus product (HDF5)'],
  ['tiff', 'TIFF, 32-bit float: amplitude and unwrapped phase'],
  ['cxi', 'CXI'],
  ['svg', 'SVG with axes, colour bar and scale bar'],
];

/** Files of a result, and the command line that repeats it. */
export function Save() {
  const { results, chosen, origins, scan } = useStore();
  const box = useRef<HTMLDivElement>(null);
  const result = results.find((each) => each.result === chosen) ?? results[0];
  if (!result) return <p class="view">There is no result yet: solve a scan, run a network, or open an image.</p>;
  const origin = origins.get(result.result);
  const command = origin?.command;
  const png = () => {
    const canvas = box.current?.querySelector('canvas');
    if (canvas) savePng(canvas, 'reconstruction.png');
  };
  return (
    <div class="view columns">
      <section class="side">
        <h2>Save</h2>
        <label>
          Result{' '}
          <select value={result.result} onChange={(event) => set({ chosen: Number(event.currentTarget.value) })}>
            <ResultOptions />
          </select>
        </label>
        <ul class="formats">
          {FORMATS.map(([format, text]) => (
            <li key={format}>
              <button type="button" onClick={() => void save(result.result, format)}>
                {format.toUpperCase()}
              </button>{' '}
              <small>{text}</small>
            </li>
          ))}
          <li>
            <button type="button" onClick={png}>
              PNG
            </button>{' '}
            <small>the picture as it is shown, with its scale bar</small>
          </li>
        </ul>
        {command ? (
          <>
            <h2>The same on a command line</h2>
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: long lines are scrolled by keys */}
            <pre tabIndex={0}>
              <code>{command}</code>
            </pre>
            <button type="button" onClick={() => void navigator.clipboard.writeText(command)}>
              Copy it
            </button>
          </>
        ) : null}
      </section>
      <section class="wide" ref={box}>
        <ImageView
          image={result.image}
          coverage={result.coverage}
          label={result.title}
          pixel_m={result.pixel_m?.x ?? (origin?.scan === scan?.scan ? scan?.geometry.objectPixel_m?.x : undefined)}
          originYxPx={result.frame.originYxPx}
        />
      </section>
    </div>
  );
}
