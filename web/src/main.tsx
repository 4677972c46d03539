/** The page: tabs, what is going on, what was said. */
import 'uplot/dist/uPlot.min.css';
import './style.css';
import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import { connect, PtychoError } from 'ptychopinn/web/session';
import { openServed, takeFiles } from './actions.js';
import { fieldsOf } from './parts/Options.js';
import { RunBar } from './parts/RunBar.js';
import { attempt, type get, isStatic, page, say, set, TABS, type Tab, useStore } from './state.js';
import { Compare } from './views/Compare.js';
import { Look } from './views/Look.js';
import { Network } from './views/Network.js';
import { Open } from './views/Open.js';
import { Save } from './views/Save.js';
import { Solve } from './views/Solve.js';

const TITLES: Readonly<Record<Tab, string>> = {
  open: 'Open',
  look: 'Look',
  solve: 'Solve',
  network: 'Network',
  compare: 'Compare',
  save: 'Save',
};
const VIEWS: Readonly<Record<Tab, () => preact.JSX.Element>> = {
  open: Open,
  look: Look,
  solve: Solve,
  network: Network,
  compare: Compare,
  save: Save,
};

function App() {
  const { tab, scan, results, log } = useStore();
  const View = VIEWS[tab];
  useEffect(() => {
    document.title = scan ? `${scan.path.split('/').pop()} – ptychopinn` : 'ptychopinn';
  }, [scan?.path]);
  const step = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by === undefined) return;
    const next = TABS[(TABS.indexOf(tab) + by + TABS.length) % TABS.length];
    set({ tab: next });
    document.getElementById(`tab-${next}`)?.focus();
  };
  const last = log.at(-1);
  return (
    <>
      <header>
        <h1>ptychopinn</h1>
        <div role="tablist" aria-label="Steps" onKeyDown={step}>
          {TABS.map((name) => (
            <button
              key={name}
              id={`tab-${name}`}
              type="button"
              role="tab"
              aria-selected={tab === name}
              aria-controls="panel"
              tabIndex={tab === name ? 0 : -1}
              onClick={() => set({ tab: name })}
            >
              {TITLES[name]}
              {name === 'compare' && results.length > 1 ? ` (${results.length})` : ''}
            </button>
          ))}
        </div>
      </header>
      <RunBar />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a panel of tabs is reached by keys */}
      <main id="panel" role="tabpanel" aria-labelledby={`tab-${tab}`} tabIndex={0}>
        <View />
      </main>
      <footer>
        <div role="status" aria-live="polite" class={last?.level ?? ''}>
          {last?.message ?? 'Ready.'}
        </div>
        {log.length > 1 ? (
          <details>
            <summary>All messages ({log.length})</summary>
            <ol class="log">
              {log.map(({ level, message }, k) => (
                <li key={k} class={level}>
                  {message}
                </li>
              ))}
            </ol>
          </details>
        ) : null}
      </footer>
    </>
  );
}

async function begin(): Promise<void> {
  page.session = connect(new Worker(new URL('lib/worker.js', document.baseURI), { type: 'module' }) as never);
  page.session.onLog = (level, message) => say(level, message);
  render(<App />, document.getElementById('app') as HTMLElement);
  await attempt(() => page.session.engineFiles(new URL('ort/', document.baseURI).href));
  const threads = await attempt(() => page.session.threads());
  if (threads !== undefined) set({ threads });
  for (const command of ['inspect', 'solve', 'infer', 'train']) void attempt(() => fieldsOf(command));
  const served = await servedFolder();
  if (served) set({ served });
  if (served?.opened) await openServed(served.opened);
}

/** The folder of `ptychopinn view`; undefined where the page is hosted by others. */
async function servedFolder(): Promise<
  (NonNullable<ReturnType<typeof get>['served']> & { readonly opened: string | null }) | undefined
> {
  if (isStatic()) return undefined;
  try {
    const answer = await fetch(new URL('api/folder', document.baseURI));
    if (!answer.ok) return undefined;
    const folder = (await answer.json()) as {
      name: string | null;
      opened: string | null;
      files?: never[];
      complete?: boolean;
    };
    return folder.name === null
      ? undefined
      : { name: folder.name, opened: folder.opened, files: folder.files ?? [], complete: folder.complete ?? true };
  } catch {
    return undefined;
  }
}

// Files may be dropped anywhere: the browser would leave the page for one that misses the box.
window.addEventListener('dragover', (event) => event.preventDefault());
window.addEventListener('drop', (event) => {
  event.preventDefault();
  const files = [...(event.dataTransfer?.files ?? [])];
  if (files.length > 0) void takeFiles(files);
});

window.addEventListener('unhandledrejection', (event) => {
  say(
    'error',
    event.reason instanceof PtychoError ? event.reason.message : `Unexpected error: ${String(event.reason)}`,
  );
});
void begin();
