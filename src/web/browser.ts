/** What of browsers is used here: the types of this package are those of Node, which lacks it. */

/** A thread of a page, as its maker or itself sees it. */
export interface ThreadPort {
  postMessage(message: unknown, transfer?: readonly unknown[]): void;
  addEventListener(type: 'message' | 'error' | 'messageerror', listen: (event: ThreadEvent) => void): void;
}

/** What a {@link ThreadPort} tells. */
export interface ThreadEvent {
  readonly data?: unknown;
  readonly message?: string;
  preventDefault?(): void;
}

/** A Web Worker. */
export interface WebWorker extends ThreadPort {
  terminate(): void;
}

interface Surroundings {
  readonly document?: unknown;
  readonly crossOriginIsolated?: boolean;
  readonly location?: { readonly href: string };
  readonly navigator?: {
    readonly hardwareConcurrency?: number;
    readonly deviceMemory?: number;
    readonly gpu?: { requestAdapter(): Promise<GpuAdapter | null> };
  };
  readonly Worker?: new (url: string | URL, options?: { type?: 'module'; name?: string }) => WebWorker;
}

/** A graphics processor as WebGPU tells of it. */
export interface GpuAdapter {
  readonly info?: { readonly vendor?: string; readonly architecture?: string; readonly description?: string };
  readonly isFallbackAdapter?: boolean;
}

/** The page or the thread that this runs in. */
export const browser = globalThis as unknown as Surroundings & ThreadPort;

/** Memory in bytes that a page should keep to: browsers tell at most 8 GiB, and some nothing. */
export const pageMemory = (): number => ((browser.navigator?.deviceMemory ?? 4) * 2 ** 30) / 2;
