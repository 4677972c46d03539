/** Files that appear whole or not at all, also when the machine stops. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open as openFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { messageOf, PtychoError } from '../core/errors.js';

/**
 * Has `write` fill a temporary file beside `path`, then puts it in place in one step; on failure the temporary goes and
 * `path` stays as it was.
 * @throws PtychoError OUTPUT_UNWRITABLE; a PtychoError of `write` passes through.
 */
export async function replaceFile(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await openFile(temporary, 'wx');
    try {
      await write(file);
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    if (cause instanceof PtychoError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code;
    const reason = code === 'ENOENT' ? `the folder ${dirname(path)} does not exist` : messageOf(cause);
    throw new PtychoError('OUTPUT_UNWRITABLE', `Cannot write ${path}: ${reason}.`, { path }, { cause });
  }
}
