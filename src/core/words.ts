/**
 * Counted things, amounts and the text of others in messages.
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

/**
 * The candidate that `name` was probably meant to be, or `null` when none is near.
 * Case and `-` against `_` do not count; otherwise a third of the letters may differ.
 */
export function nearestName(name: string, candidates: Iterable<string>): string | null {
  const wanted = fold(name);
  let best: string | null = null;
  let bestDistance = Math.min(wanted.length, Math.max(1, Math.floor(wanted.length / 3)) + 1);
  for (const candidate of candidates) {
    const distance = editDistance(wanted, fold(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function fold(name: string): string {
  return name.toLowerCase().replaceAll('-', '_');
}

/** Levenshtein distance in which two letters that changed places count once. */
function editDistance(a: string, b: string): number {
  let [before, above] = [[] as number[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j], before[j - 2] + 1);
    }
    [before, above] = [above, row];
  }
  return above[b.length];
}

/** Controls but tab and line feed, marks of the reading direction, and the separators that terminals take for line ends. */
const OBEYED = /(?![\t\n])[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/gu;

/**
 * Text of others on its way to a terminal or a log, with visible escapes (`\\x1b`, `\\u202e`): what would move the cursor, change a title or
 * turn the reading direction is shown instead of obeyed. Tabs and line ends stay.
 *
 * @example
 * plainText('scan\u001b[2J.npz'); // 'scan\\x1b[2J.npz'
 */
export function plainText(text: string): string {
  return text.replace(OBEYED, (letter) => {
    const code = letter.charCodeAt(0).toString(16);
    return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u${code.padStart(4, '0')}`;
  });
}

/** `12,345`; below 100 with three significant digits: `3.21`. */
export function formatCount(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Number.isInteger(value)) return value.toLocaleString('en-US');
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}
