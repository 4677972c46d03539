/** The model of a reconstructor: one may be replaced by another while it still reconstructs. */
import type { PtychoModel } from '../../reconstruction/ptychoModel.js';

/** A model in use; `release` it once. */
export interface ModelLease {
  readonly model: PtychoModel;
  readonly path: string;
  release(): Promise<void>;
}

interface Entry {
  readonly model: PtychoModel;
  /** Of the file that it was opened from or saved to. */
  path: string;
  users: number;
  replaced: boolean;
}

/** Holds a model, and disposes of it when it was replaced and nobody uses it any more. */
export class HeldModel {
  #entry: Entry | undefined;

  get current(): { readonly model: PtychoModel; readonly path: string } | undefined {
    return this.#entry;
  }

  async replace(model: PtychoModel | undefined, path = ''): Promise<void> {
    const before = this.#entry;
    this.#entry = model && { model, path, users: 0, replaced: false };
    if (!before) return;
    before.replaced = true;
    if (before.users === 0) await before.model.dispose();
  }

  /** Remembers where the model was saved. */
  savedTo(path: string): void {
    if (this.#entry) this.#entry.path = path;
  }

  lease(): ModelLease | undefined {
    const entry = this.#entry;
    if (!entry) return undefined;
    entry.users++;
    return {
      model: entry.model,
      path: entry.path,
      async release() {
        entry.users--;
        if (entry.replaced && entry.users === 0) await entry.model.dispose();
      },
    };
  }
}
