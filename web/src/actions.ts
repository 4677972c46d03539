/** What the buttons do: opens, solves, infers, trains, compares and saves through the session, and keeps the state of the page true. */
import type { OpenOptions, ResultView, SaveFormat, ScanView, SolveUpdate, TrainUpdate } from 'ptychopinn/web/session';
import type { Values } from './parts/Options.js';
import { attempt, get, isStatic, nameOf, page, type Running, say, servedAddress, set, setRunning } from './state.js';

/** Where the state of a solver is kept for the next visit. */
const STATE_FOLDER = '/page/state';
/** What is remembered of the run and the files, beside the state. */
const MEMORY = 'ptychopinn-run';

function begin(what: Running['what'], run: Running['run'], total: number): void {
  set({ running: { what, run, paused: false, done: 0, total, note: '', curve: [] } });
}

const end = (): void => set({ running: undefined });

/** Opens a scan that the session knows by its path; what was open before is closed. */
export async function openScan(path: string, options: OpenOptions = {}): Promise<ScanView | undefined> {
  const { scan: before } = get();
  const run = page.session.openScan(path, options, {
    onProgress: ({ done, total, unit }) => setRunning({ done, total, note: `${done} of ${total} ${unit}` }),
  });
  begin('open', run, 1);
  const scan = await attempt(() => run.done);
  end();
  if (!scan) return undefined;
  if (before) await attempt(() => page.session.closeScan(before.scan));
  // Who has gone on to another tab meanwhile stays there.
  set({ scan, ...(get().tab === 'open' && { tab: 'look' as const }) });
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

/** A file behind an address. */
export async function openAddress(address: string): Promise<void> {
  const url = new URL(address, location.href);
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
  if (result) keepResult(result);
}

function keepResult(result: ResultView, command?: string): void {
  const commands = new Map(get().commands);
  if (command !== undefined) commands.set(result.result, command);
  set({ results: [...get().results, result], chosen: result.result, commands });
}

/** Lets a scan of the library's own be made: a sample for those who have none. */
export const openSample = (): Promise<void> => openAddress('sample.npz');

/** Solves the open scan. */
export async function solve(
  values: Values,
  options: { readonly from?: number; readonly resume?: boolean } = {},
): Promise<void> {
  const { scan } = get();
  if (!scan) return;
  const curve: (readonly [number, number])[] = [];
  const watch = {
    onUpdate: ({ epoch, epochs, rFactor, seconds, shown }: SolveUpdate) => {
      curve.push([epoch, rFactor]);
      const left = epoch > 0 ? ((epochs - epoch) * seconds) / epoch : Number.NaN;
      setRunning({
        done: epoch,
        total: epochs,
        note: `epoch ${epoch} of ${epochs}, R ${rFactor.toFixed(4)}${Number.isFinite(left) ? `, ${Math.ceil(left)} s left` : ''}`,
        curve: [...curve],
        ...(shown && { shown }),
      });
    },
  };
  const { resume, from } = options;
  const run = page.session.solve(
    scan.scan,
    {
      options: values,
      stateFolder: STATE_FOLDER,
      ...(from !== undefined && { from }),
      ...(resume && { resume: STATE_FOLDER }),
    },
    watch,
  );
  begin('solve', run, Number(values.epochs ?? 60));
  remember(scan, values);
  const result = await attempt(() => run.done);
  end();
  if (!result) return;
  if (!result.cancelled) await forget();
  const command = await attempt(() => page.session.commandLine('solve', [nameOf(scan.path)], values));
  keepResult(result, command);
  say(
    'info',
    `${result.title}: R ${result.rFactor?.toFixed(4) ?? '–'} after ${Math.max(0, result.history.length - 1)} epochs.`,
  );
}

/** An image of the open scan by the open network. */
export async function infer(values: Values): Promise<void> {
  const { scan, model } = get();
  if (!scan || !model) return;
  const run = page.session.infer(
    model.model,
    scan.scan,
    { options: values as never },
    {
      onUpdate: ({ patterns, total, rate, shown }) => setRunning({ done: patterns, total, note: `${patterns} of ${total} patterns, ${rate.toFixed(0)} per second`, shown }), // biome-ignore format: one call
    },
  );
  begin('infer', run, scan.count);
  const result = await attempt(() => run.done);
  end();
  if (result)
    keepResult(result, await attempt(() => page.session.commandLine('infer', ['wts.zip', nameOf(scan.path)], values)));
}

/** Trains a network on the open scan. */
export async function train(values: Values): Promise<void> {
  const { scan } = get();
  if (!scan) return;
  const curve: (readonly [number, number])[] = [];
  const run = page.session.train(scan.scan, { config: values as never }, {
    onUpdate: ({ epoch, epochs, record, shown }: TrainUpdate) => {
      const loss = record.train_loss ?? record.loss;
      if (typeof loss === 'number') curve.push([epoch, loss]);
      setRunning({ done: epoch, total: epochs, note: `epoch ${epoch} of ${epochs}`, curve: [...curve], ...(shown && { shown }) });
    },
  }); // biome-ignore format: one call
  begin('train', run, 1);
  const model = await attempt(() => run.done);
  end();
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
}

function remember(scan: ScanView, values: Values): void {
  localStorage.setItem(MEMORY, JSON.stringify({ path: scan.path, values } satisfies Memory));
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
  const scan = await openScan(memory.path);
  if (!scan) return;
  set({ tab: 'solve' });
  await solve(memory.values, { resume: state.length > 0 });
}

export async function dropMemory(): Promise<void> {
  await forget();
  set({});
}
