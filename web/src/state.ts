/** What the page knows: one object, replaced by changes, and everybody who shows a part of it. */

import { useEffect, useState } from 'preact/hooks';
import type { ModelView, PageRun, PageSession, ResultView, ScanView, ShownImage } from 'ptychopinn/web/session';

/** Values of options, by name: what was changed. */
export type Values = Readonly<Record<string, unknown>>;

/** A run that is going on. */
export interface Running {
  readonly what: 'solve' | 'infer' | 'train' | 'open';
  readonly run: Pick<PageRun<unknown>, 'pause' | 'continue' | 'cancel'>;
  readonly paused: boolean;
  readonly done: number;
  readonly total: number;
  readonly note: string;
  /** What is shown on the way. */
  readonly shown?: ShownImage;
  /** Points of the curve: epoch and value. */
  readonly curve: readonly (readonly [number, number])[];
}

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
}

/** A file of the served folder, where the page is that of `ptychopinn view`. */
export interface ServedName {
  readonly path: string;
  readonly bytes: number;
}

/** Where a result comes from. */
export interface Origin {
  /** The scan that it is of, while that is open. */
  readonly scan?: number;
  /** File of the scan, or of the image. */
  readonly file: string;
  /** What does the same on a command line. */
  readonly command?: string;
}

/** Forms whose values stay when another view is looked at. */
export type Form = 'look' | 'solve' | 'infer' | 'train';

export const TABS = ['open', 'look', 'solve', 'network', 'compare', 'save'] as const;
export type Tab = (typeof TABS)[number];

export interface State {
  readonly tab: Tab;
  readonly scan?: ScanView;
  readonly results: readonly ResultView[];
  /** The result that is shown and saved. */
  readonly chosen?: number;
  readonly model?: ModelView;
  readonly running?: Running;
  readonly log: readonly LogLine[];
  readonly threads: number;
  /** Files of the folder that is served. */
  readonly served?: { readonly name: string; readonly files: readonly ServedName[]; readonly complete: boolean };
  /** By result. */
  readonly origins: ReadonlyMap<number, Origin>;
  readonly forms: Readonly<Record<Form, Values>>;
  /** What the scan was opened with. */
  readonly opening: Values;
}

let state: State = {
  ...{ tab: 'open', results: [], log: [], threads: 1, origins: new Map(), opening: {} },
  forms: { look: {}, solve: { epochs: 40 }, infer: {}, train: {} },
};
const listeners = new Set<() => void>();

export const get = (): State => state;

export function set(change: Partial<State>): void {
  state = { ...state, ...change };
  for (const listener of listeners) listener();
}

/** Changes what is known of a run; nothing where it has ended. */
export function setRunning(run: Running['run'], change: Partial<Running>): void {
  if (state.running?.run === run) set({ running: { ...state.running, ...change } });
}

/** Values of a form, and what changes them. */
export function useForm(form: Form): readonly [Values, (values: Values) => void] {
  const { forms } = useStore();
  return [forms[form], (values) => set({ forms: { ...state.forms, [form]: values } })];
}

const MOST_LINES = 200;

export function say(level: LogLine['level'], message: string): void {
  set({ log: [...state.log.slice(1 - MOST_LINES), { level, message }] });
}

/** The whole state, in a part of the page that follows it. */
export function useStore(): State {
  const [, again] = useState(0);
  useEffect(() => {
    const listener = () => again((count) => count + 1);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return state;
}

/** The thread that computes; begun once. */
export const page: { session: PageSession } = { session: undefined as unknown as PageSession };

/** Has something done that may fail; what is wrong is said in its own sentence. */
export async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    say(code === 'CANCELLED' ? 'info' : 'error', message);
    return undefined;
  }
}

export const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** Whether the page is hosted as plain files, and not by `ptychopinn view`. */
export const isStatic = (): boolean =>
  document.querySelector('meta[name="ptychopinn-host"]')?.getAttribute('content') === 'static';

/** Where the served folder has a file. */
export const servedAddress = (path: string): string =>
  new URL(`files/${path.split('/').map(encodeURIComponent).join('/')}`, document.baseURI).href;

/** A length with the unit that suits it. */
export function inLength(metres: number): string {
  const size = Math.abs(metres);
  const [factor, unit] = size < 1e-6 ? [1e9, 'nm'] : size < 1e-3 ? [1e6, 'µm'] : [1e3, 'mm'];
  return `${Number((metres * factor).toPrecision(4))} ${unit}`;
}

/** What a result is called in lists. */
export const titleOf = (result: ResultView, { results, origins }: Pick<State, 'results' | 'origins'>): string =>
  `${results.indexOf(result) + 1}: ${nameOf(origins.get(result.result)?.file ?? '')} ${result.kind === 'file' ? '' : result.title}${result.rFactor === undefined ? '' : `, R ${result.rFactor.toFixed(3)}`}`;
