/** What both sides of the pipe agree on: `specs/worker.md`. */

/** Version of the protocol, which `initialize` names. */
export const PROTOCOL_VERSION = 1;

/** First bytes of every frame. */
export const FRAME_MAGIC = 'PTYW';

/** Magic, length of the header (uint32), length of the payload (uint64). */
export const PREFIX_BYTES = 16;

/** What a frame may not exceed; more is refused as soon as its lengths are read. */
export interface FrameLimits {
  readonly header_bytes: number;
  readonly payload_bytes: number;
  readonly blobs: number;
}

export const FRAME_LIMITS: FrameLimits = { header_bytes: 2 ** 20, payload_bytes: 2 ** 31, blobs: 64 };

/** Requests that wait for their turn, at most. */
export const MAX_WAITING = 16;

/** What a host may ask. */
export const VERBS = [
  'initialize',
  'settings/describe',
  'settings/set',
  'log/level',
  'model/open',
  'model/save',
  'training/export',
  'reconstruct/start',
  'train/start',
  'cancel',
  'shutdown',
] as const;
export type Verb = (typeof VERBS)[number];

/** What a worker says. */
export type Tag = 'output' | 'train_output' | 'model_saved' | 'settings_sync' | 'log' | 'error' | 'end';

/** A request's name, chosen by the host. */
export type RequestId = number | string;

/** How a request ended. */
export type EndStatus = 'ok' | 'failed' | 'cancelled';

/** Name of the product in an output folder. */
export const PRODUCT_OUT = 'product-out.h5';
