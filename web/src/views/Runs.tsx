import { useEffect, useState } from 'preact/hooks';
import { openServed } from '../actions.js';

interface Run {
  readonly path: string;
  readonly title: string;
  readonly state: 'running' | 'done' | 'stopped';
  readonly modified_ms: number;
  readonly page?: string;
  readonly image?: string;
  readonly bundle?: string;
  readonly pictures: readonly string[];
}

const LOOK_MS = 2000;
const PICTURES = ['reconstructed_phase.png', 'reconstructed_amplitude.png', 'loss.png', 'comparison_plot.png'];
const addressOf = (file: string) => `files/${file.split('/').map(encodeURIComponent).join('/')}`;

/** Runs below the served folder; those that go on are followed. */
export function Runs() {
  const [runs, setRuns] = useState<readonly Run[]>([]);
  useEffect(() => {
    let stop = false;
    const look = async () => {
      const answer = await fetch(new URL('api/results', document.baseURI)).catch(() => undefined);
      if (answer?.ok && !stop) setRuns((await answer.json()) as Run[]);
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
                <img src={`${addressOf(picture)}?${run.modified_ms}`} alt={`${run.title}, as it was drawn last`} />
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
                  <a href={addressOf(run.page)} target="_blank" rel="noreferrer">
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
