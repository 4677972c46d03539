/** What is going on: how far, how fast, pause, continue, stop. */
import { setRunning, useStore } from '../state.js';

export function RunBar() {
  const { running } = useStore();
  if (!running) return null;
  const { what, done, total, note, paused, run } = running;
  const share = total > 0 ? Math.min(1, done / total) : 0;
  return (
    <div class="runbar">
      <label>
        <span>
          {{ solve: 'Solving', infer: 'Reconstructing', train: 'Training', open: 'Reading' }[what]}{' '}
          {paused ? '(paused)' : ''} {note}
        </span>
        <progress max={1} value={share} />
      </label>
      {what === 'open' ? null : (
        <button
          type="button"
          onClick={() => {
            if (paused) run.continue();
            else run.pause();
            setRunning(run, { paused: !paused });
          }}
        >
          {paused ? 'Continue' : 'Pause'}
        </button>
      )}
      <button type="button" onClick={() => run.cancel()}>
        Stop
      </button>
    </div>
  );
}
