/**
 * What the system says when a file cannot be used, in words: Node tells it by codes such as ENOSPC.
 *
 * @example
 * const trouble = systemTrouble(error);
 * if (trouble) throw new PtychoError(trouble.code, `${file}: ${trouble.sentence}`, { path: file }, { cause: error });
 */
import type { PtychoErrorCode } from './errors.js';

/** A failed call to the system. */
export interface SystemTrouble {
  /** `ENOSPC`. */
  readonly errno: string;
  readonly code: PtychoErrorCode;
  /** `the disk is full (ENOSPC)`. */
  readonly what: string;
  /** What is wrong and what to do, with the file where the call had one: `a.npz: the disk is full (ENOSPC); make room …`. */
  readonly sentence: string;
}

type Words = readonly [code: PtychoErrorCode, what: string, remedy?: string];

const WORDS: Readonly<Record<string, Words>> = {
  ENOENT: ['FILE_NOT_FOUND', 'there is no such file or folder'],
  ENOTDIR: ['FILE_NOT_FOUND', 'a part of this path is a file, not a folder'],
  ELOOP: ['FILE_NOT_FOUND', 'its links lead in a circle'],
  ENAMETOOLONG: ['FILE_NOT_FOUND', 'the name is longer than the file system allows'],
  ESTALE: ['FILE_NOT_FOUND', 'the file server no longer knows it', 'open the folder again'],
  EACCES: ['FILE_NOT_FOUND', 'access is not allowed', 'check the permissions'],
  EPERM: ['FILE_NOT_FOUND', 'the system does not allow it', 'check the permissions'],
  EISDIR: ['FILE_FORMAT', 'it is a folder', 'name a file'],
  EIO: ['FILE_TRUNCATED', 'the device fails to read or write', 'check the disk, or whether its terminal was closed'],
  EMFILE: ['ENGINE_FAILURE', 'too many files are open', 'raise the limit (ulimit -n)'],
  ENFILE: ['ENGINE_FAILURE', 'too many files are open on this machine', 'end other programs'],
  ENOMEM: ['ENGINE_FAILURE', 'there is not enough memory', 'ask for less at a time'],
  ENOSPC: ['OUTPUT_UNWRITABLE', 'the disk is full', 'make room or choose another place'],
  EDQUOT: ['OUTPUT_UNWRITABLE', 'the quota on this disk is used up', 'make room or choose another place'],
  EFBIG: [
    'OUTPUT_UNWRITABLE',
    'the file would be larger than is allowed here',
    'choose another place, or raise the limit (ulimit -f)',
  ],
  EROFS: ['OUTPUT_UNWRITABLE', 'the file system is read-only', 'choose another place'],
  EEXIST: ['OUTPUT_UNWRITABLE', 'something of that name is there already'],
  EBUSY: ['OUTPUT_UNWRITABLE', 'another program uses it'],
  EXDEV: ['OUTPUT_UNWRITABLE', 'it lies on another file system'],
  EPIPE: ['OUTPUT_UNWRITABLE', 'who read this output has gone'],
};

/** What a failed call says, of the error itself or of what caused it; undefined where `error` is no such failure. */
export function systemTrouble(error: unknown): SystemTrouble | undefined {
  for (let [each, depth] = [error, 0]; each instanceof Error && depth < 4; [each, depth] = [each.cause, depth + 1]) {
    const { code: errno, path, syscall } = each as NodeJS.ErrnoException;
    if (typeof errno !== 'string' || !/^E[A-Z0-9]+$/.test(errno)) continue;
    const known = Object.hasOwn(WORDS, errno) ? WORDS[errno] : undefined;
    if (known === undefined && syscall === undefined) continue;
    const [code, words, remedy] = known ?? (['ENGINE_FAILURE', `the system refuses it: ${each.message}`] as const);
    const what = known ? `${words} (${errno})` : words;
    const sentence = `${path === undefined ? '' : `${path}: `}${what}${remedy === undefined ? '' : `; ${remedy}`}.`;
    return { errno, code, what, sentence };
  }
  return undefined;
}

/** The words for an error by its name, and what to do: `the file system is read-only; choose another place`. */
export function systemWords(errno: string | undefined): string | undefined {
  if (errno === undefined || !Object.hasOwn(WORDS, errno)) return undefined;
  const [, what, remedy] = WORDS[errno];
  return remedy === undefined ? what : `${what}; ${remedy}`;
}
