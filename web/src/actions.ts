/** What the buttons do: opens, solves, infers, trains, compares and saves through the session, and keeps the state of the page true. */
import type {
  ModelView,
  OpenOptions,
  PageRun,
  ResultView,
  SaveFormat,
  ScanView,
  SolveUpdate,
  TrainUpdate,
} from 'ptychopinn/web/session';
import { attempt, get, isStatic, nameOf, type Origin, page, type Running, say, servedAddress, set, setRunning, type Values } from './state.js'; // biome-ignore format: a list

/** Where the state of a solver is kept for the next visit. */
const STATE_FOLDER = '/page/state';
/** What is remembered of the run and the files, beside the state. */
const MEMORY = 'ptychopinn-run';

/** One run at a time: the thread that computes has no room for two. @returns whether there is room; what is in the way is said */
function free(): boolean {
  const { running } = get();
  if (!running) return true;
  const what = { solve: 'A solver', infer: 'A network', train: 'A training', open: 'Another scan' }[running.what];
  say('warn', `${what} is at work: wait for it, or stop it first.`);
  return false;
}

/** Shows a run until it ends. @returns what it comes to; undefined where it failed, which is said */
async function follow<T>(what: Running['what'], run: PageRun<T>, total: number): Promise<T | undefined> {
  set({ running: { what, run, paused: false, done: 0, total, note: '', curve: [] } });
  const result = await attempt(() => run.done);
  if (get().running?.run === run) set({ running: undefined });
  return result;
}

/** Opens a scan that the session knows by its path; what was open before is closed. */
export async function openScan(path: string, options: OpenOptions = {}): Promise<ScanView | undefined> {
  if (!free()) return undefined;
  const { scan: before } = get();
  const run = page.session.openScan(path, options, {
    onProgress: ({ done, total, unit }) => setRunning(run, { done, total, note: `${done} of ${total} ${unit}` }),
  });
  const scan = await follow('open', run, 1);
  if (!scan) return undefined;
  if (before) await attempt(() => page.session.closeScan(before.scan));
  // Who has gone on to another tab meanwhile stays there.
  const opening = options as Values;
  set({
    scan,
    opening,
    forms: { ...get().forms, look: opening },
    ...(get().tab === 'open' && { tab: 'look' as const }),
  });
  say('info', `${nameOf(path)}: ${scan.count} patterns of ${scan.N}×${scan.N} (${scan.format}).`);
  return scan;
}

/** Makes dropped files known; opens the first that is a scan, a bundle or an image. */
export async function takeFiles(files: readonly File[]): Promise<void> {
  const paths: string[] = [];
  for (const file of files) {
    const within = (file as File & { webkitRelativePath?: string }).webkitRelativePath || file.name;
    const path = await attempt(() => page.session.addFile(file, within));
    if (path !== undefined) paths.push(path);
  }
  await openAny(paths);
}

/** Opens what the page was given, by what it is. */
export async function openAny(paths: readonly string[]): Promise<void> {
  const masters = paths.filter((path) => !/_data_\d+\.h5$/i.test(path));
  const first = masters[0] ?? paths[0];
  if (first === undefined) return;
  if (/wts.*\.zip$|\.zip$/i.test(first)) return openModel(first);
  if (/reconstruction[^/]*\.npz$/i.test(nameOf(first))) return openResult(first);
  await openScan(first);
}

/** Relative addresses are those of the page's own files. */
function webAddress(address: string): URL | undefined {
  try {
    const url = new URL(address, location.href);
    return /^https?:$/.test(url.protocol) ? url : undefined;
  } catch {
    return undefined;
  }
}

/** A file behind an address. */
export async function openAddress(address: string): Promise<void> {
  const url = webAddress(address);
  if (!url) {
    say(
      'error',
      `${address} is no address of the web: type one that begins with https:// or http://, or drop the file here.`,
    );
    return;
  }
  if (url.origin !== location.origin && !isStatic()) {
    // The policy of the served page lets through what its user typed, and nothing else.
    const allowed = new URL(location.href).searchParams.get('connect');
    if (allowed === null || new URL(allowed).origin !== url.origin) {
      location.assign(
        `${location.pathname}?connect=${encodeURIComponent(url.origin)}#url=${encodeURIComponent(url.href)}`,
      );
      return;
    }
  }
  const path = await attempt(() => page.session.addUrl(url.href));
  if (path !== undefined) await openAny([path]);
}

/** A file of the served folder, with those beside it that may belong to it. */
export async function openServed(name: string): Promise<void> {
  const files = get().served?.files ?? [];
  const folder = name.includes('/') ? name.slice(0, name.lastIndexOf('/') + 1) : '';
  const stem = nameOf(name).replace(/(_master)?\.[^.]+$/, '');
  const beside = files.filter(({ path }) => path !== name && path.startsWith(folder) && !path.slice(folder.length).includes('/') && nameOf(path).startsWith(stem) && /\.(h5|hdf5|cxi|csv|npz|npy|tiff?)$/i.test(path)); // biome-ignore format: one filter
  for (const { path } of beside) await attempt(() => page.session.addUrl(servedAddress(path), path));
  const known = await attempt(() => page.session.addUrl(servedAddress(name), name));
  if (known !== undefined) await openAny([known]);
}

async function openModel(path: string): Promise<void> {
  say('info', `Opening ${nameOf(path)}; the engine is loaded.`);
  const model = await attempt(() => page.session.openModel(path));
  if (model) set({ model, ...(get().tab === 'open' && { tab: 'network' as const }) });
}

export async function openResult(path: string): Promise<void> {
  const result = await attempt(() => page.session.openResult(path));
  if (!result) return;
  keepResult(result, { file: path });
  if (get().tab === 'open') set({ tab: get().results.length > 1 ? 'compare' : 'save' });
}

function keepResult(result: ResultView, origin: Origin): void {
  const { results, origins } = get();
  set({ results: [...results, result], chosen: result.result, origins: new Map(origins).set(result.result, origin) });
}

/** A result of the open scan, with what repeats it on a command line: how the scan was opened, too. */
async function keepMade(
  result: ResultView,
  scan: ScanView,
  words: readonly [command: string, files: readonly string[], values: Values],
): Promise<void> {
  const [command, files, values] = words;
  const line = await attempt(() => page.session.commandLine(command, files, { ...get().opening, ...values }));
  keepResult(result, { scan: scan.scan, file: scan.path, command: line });
}

/** Lets a scan of the library's own be made: a sample for those who have none. */
export const openSample = (): Promise<void> => openAddress('sample.npz');

/** Solves the open scan. */
export async function solve(
  values: Values,
  options: { readonly from?: number; readonly resume?: boolean } = {},
): Promise<void> {
  const { scan } = get();
  if (!scan || !free()) return;
  const curve: (readonly [number, number])[] = [];
  const watch = {
    onUpdate: ({ epoch, epochs, rFactor, seconds, shown }: SolveUpdate) => {
      curve.push([epoch, rFactor]);
      const left = epoch > 0 ? ((epochs - epoch) * seconds) / epoch : Number.NaN;
      setRunning(run, {
        done: epoch,
        total: epochs,
        note: `epoch ${epoch} of ${epochs}, R ${rFactor.toFixed(4)}${Number.isFinite(left) ? `, ${Math.ceil(left)} s left` : ''}`,
        curve: [...curve],
        ...(shown && { shown }),
      });
    },
  };
  const { resume, from } = options;
  const run: PageRun<ResultView> = page.session.solve(
    scan.scan,
    {
      options: values,
      stateFolder: STATE_FOLDER,
      ...(from !== undefined && { from }),
      ...(resume && { resume: STATE_FOLDER }),
    },
    watch,
  );
  remember(scan, values);
  const result = await follow('solve', run, Number(values.epochs ?? 60));
  if (!result) return;
  if (!result.cancelled) await forget();
  // The image that it began with has to be saved before a command line can take it.
  const init = from === undefined ? {} : { init: 'reconstruction.npz' };
  await keepMade(result, scan, ['solve', [nameOf(scan.path)], { ...values, ...init }]);
  say(
    'info',
    `${result.title}: R ${result.rFactor?.toFixed(4) ?? '–'} after ${Math.max(0, result.history.length - 1)} epochs.`,
  );
}

/** An image of the open scan by the open network. */
export async function infer(values: Values): Promise<void> {
  const { scan, model } = get();
  if (!scan || !model || !free()) return;
  const run: PageRun<ResultView> = page.session.infer(
    model.model,
    scan.scan,
    { options: values as never },
    {
      onUpdate: ({ patterns, total, rate, shown }) => setRunning(run, { done: patterns, total, note: `${patterns} of ${total} patterns, ${rate.toFixed(0)} per second`, shown }), // biome-ignore format: one call
    },
  );
  const result = await follow('infer', run, scan.count);
  if (result) await keepMade(result, scan, ['infer', [nameOf(scan.path)], { model_path: 'wts.zip', ...values }]);
}

/** Trains a network on the open scan. */
export async function train(values: Values): Promise<void> {
  const { scan } = get();
  if (!scan || !free()) return;
  const curve: (readonly [number, number])[] = [];
  const run: PageRun<ModelView> = page.session.train(scan.scan, { config: values as never }, {
    onUpdate: ({ epoch, epochs, record, shown }: TrainUpdate) => {
      const loss = record.train_loss ?? record.loss;
      if (typeof loss === 'number') curve.push([epoch, loss]);
      setRunning(run, { done: epoch, total: epochs, note: `epoch ${epoch} of ${epochs}`, curve: [...curve], ...(shown && { shown }) });
    },
  }); // biome-ignore format: one call
  const model = await follow('train', run, 1);
  if (model) set({ model });
}

/** Hands a file to the browser's downloads. */
function offer(name: string, bytes: Uint8Array<ArrayBuffer> | Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(bytes instanceof Blob ? bytes : new Blob([bytes]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export async function save(result: number, format: SaveFormat): Promise<void> {
  await attempt(async () => {
    for (const path of await page.session.save(result, format)) {
      offer(nameOf(path), await page.session.readFile(path));
      say('info', `Saved ${nameOf(path)}.`);
    }
  });
}

export async function saveModel(model: number): Promise<void> {
  await attempt(async () => {
    const path = await page.session.saveModel(model);
    offer('wts.zip', await page.session.readFile(path));
    say('info', 'Saved wts.zip.');
  });
}

/** The pixels of a canvas as PNG. */
export function savePng(canvas: HTMLCanvasElement, name: string): void {
  canvas.toBlob((blob) => {
    if (blob) offer(name, blob);
  });
}

// ---- a run that survives a reload

interface Memory {
  readonly path: string;
  readonly values: Values;
  /** How the scan was opened. */
  readonly opening?: Values;
}

function remember(scan: ScanView, values: Values): void {
  localStorage.setItem(MEMORY, JSON.stringify({ path: scan.path, values, opening: get().opening } satisfies Memory));
  // A copy of the scan, so that the next visit has it, too; a page with no room for it says so and goes on.
  void page.session
    .keep(scan.path)
    .catch(() => say('warn', 'The browser has no room to keep this scan; the run will not survive a reload.'));
}

async function forget(): Promise<void> {
  const memory = remembered();
  localStorage.removeItem(MEMORY);
  await page.session.forget(STATE_FOLDER).catch(() => {});
  if (memory) await page.session.forget(memory.path).catch(() => {});
}

/** A run that an earlier visit left unfinished. */
export function remembered(): Memory | undefined {
  try {
    const memory = JSON.parse(localStorage.getItem(MEMORY) ?? 'null') as Memory | null;
    return memory && typeof memory.path === 'string' && typeof memory.values === 'object' ? memory : undefined;
  } catch {
    return undefined;
  }
}

/** Goes on with it. */
export async function goOn(): Promise<void> {
  const memory = remembered();
  if (!memory) return;
  const files = await attempt(() => page.session.restore(memory.path));
  if (!files || files.length === 0) {
    say('error', 'The browser did not keep the scan of that run; open it again.');
    localStorage.removeItem(MEMORY);
    return;
  }
  const state = await page.session.restore(STATE_FOLDER).catch(() => []);
  const scan = await openScan(memory.path, (memory.opening ?? {}) as OpenOptions);
  if (!scan) return;
  set({ tab: 'solve', forms: { ...get().forms, solve: memory.values } });
  await solve(memory.values, { resume: state.length > 0 });
}

export async function dropMemory(): Promise<void> {
  await forget();
  set({});
}
