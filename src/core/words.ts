/**
 * Counted things and amounts in messages.
 *
 * @example
 * counted(1, 'epoch'); // '1 epoch'
 * counted(12, 'entry', 'entries'); // '12 entries'
 */

/** `epoch` for one, `epochs` for any other number. */
export function noun(count: number, one: string, many = `${one}s`): string {
  return count === 1 ? one : many;
}

/** `1 epoch`, `2 epochs`. */
export function counted(count: number, one: string, many?: string): string {
  return `${count} ${noun(count, one, many)}`;
}

/** Bytes as `512 bytes`, `3.4 MB`; thousands, as file managers and `ls` count. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return counted(bytes, 'byte');
  const power = Math.min(6, Math.floor(Math.log10(bytes) / 3));
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${['', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'][power]}`;
}
