import { useEffect, useState } from 'preact/hooks';
import type { ServedResult } from '../../../src/view/folder.js';
import { openServed } from '../actions.js';
import { servedAddress } from '../state.js';

const LOOK_MS = 2000;
const PICTURES = ['reconstructed_phase.png', 'reconstructed_amplitude.png', 'loss.png', 'comparison_plot.png'];

/** Runs below the served folder; those that go on are followed. */
export function Runs() {
  const [runs, setRuns] = useState<readonly ServedResult[]>([]);
  useEffect(() => {
    let stop = false;
    const look = async () => {
      const answer = await fetch(new URL('api/results', document.baseURI)).catch(() => undefined);
      if (answer?.ok && !stop) setRuns((await answer.json()) as ServedResult[]);
      if (!stop) setTimeout(() => void look(), LOOK_MS);
    };
    void look();
    return () => {
      stop = true;
    };
  }, []);
  if (runs.length === 0) return null;
  return (
    <>
      <h2>Runs</h2>
      <ul class="runs">
        {runs.slice(0, 60).map((run) => {
          const picture = PICTURES.map((name) => run.pictures.find((file) => file.endsWith(name))).find(
            (file) => file !== undefined,
          );
          return (
            <li key={run.path}>
              {picture ? (
                <img src={`${servedAddress(picture)}?${run.modified_ms}`} alt={`${run.title}, as it was drawn last`} />
              ) : null}
              <strong>{run.title}</strong> <span class={`state ${run.state}`}>{run.state}</span>
              <div class="row">
                {run.image ? (
                  <button type="button" class="link" onClick={() => void openServed(run.image as string)}>
                    open the image
                  </button>
                ) : null}
                {run.bundle ? (
                  <button type="button" class="link" onClick={() => void openServed(run.bundle as string)}>
                    open the network
                  </button>
                ) : null}
                {run.page ? (
                  <a href={servedAddress(run.page)} target="_blank" rel="noreferrer">
                    its page
                  </a>
                ) : null}
              </div>
            </li>
          );
        })}
      </ul>
    </>
  );
}
