/**
 * The frames among the files of a folder: the names that differ in their number only. The number is that of the frame, so a gap
 * is a missing frame; a name that does not fit the others is no frame.
 *
 * @example
 * seriesOf(['img_9.tif', 'img_10.tif', 'dark.tif'], 'scan'); // { names: ['img_9.tif', 'img_10.tif'], numbers: [9, 10], foreign: ['dark.tif'] }
 */
import { PtychoError } from '../../core/errors.js';

/** Frames in the order of their numbers. */
export interface FileSeries {
  readonly names: readonly string[];
  /** The number of each, ascending; undefined where names have none, or several that change. */
  readonly numbers?: Int32Array;
  /** Names that do not belong to the series. */
  readonly foreign: readonly string[];
}

const LARGEST = 2 ** 31 - 1;

/**
 * Finds the series.
 * @param where the folder, for messages
 * @throws PtychoError DATASET_SHAPE for two series of which none is clearly meant, or a number that occurs twice.
 */
export function seriesOf(names: readonly string[], where: string): FileSeries {
  const byNumber = new Intl.Collator('en', { numeric: true });
  const kinds = new Map<string, string[]>();
  for (const name of names) {
    const kind = name
      .replace(/\.(tif)f?$/i, '.$1')
      .toLowerCase()
      .replace(/\d+/g, '*');
    kinds.set(kind, [...(kinds.get(kind) ?? []), name]);
  }
  const ordered = [...kinds.entries()].sort(([, a], [, b]) => b.length - a.length);
  const [[kind, largest] = ['', []], second] = ordered;
  if (largest.length <= 1 || !kind.includes('*')) {
    // Names without numbers: all are frames, in the order of the alphabet.
    return { names: [...names].sort(byNumber.compare), foreign: [] };
  }
  if (second !== undefined && 2 * second[1].length > largest.length) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${where} holds several series of frames, ${kind} (${largest.length} files) and ${second[0]} (${second[1].length}); name the one that is meant with its pattern, such as ${kind}.`,
      { path: where, found: ordered.map(([name]) => name) },
    );
  }
  const sorted = [...largest].sort(byNumber.compare);
  const foreign = ordered.slice(1).flatMap(([, others]) => others);
  const numbers = frameNumbers(sorted, where);
  if (numbers === undefined) return { names: sorted, foreign };
  const order = [...sorted.keys()].sort((a, b) => numbers[a] - numbers[b]);
  return {
    names: order.map((i) => sorted[i]),
    numbers: Int32Array.from(order, (i) => numbers[i]),
    foreign,
  };
}

/** The one number that changes from name to name; of several, the one that has every value once and fewest gaps. */
function frameNumbers(names: readonly string[], where: string): number[] | undefined {
  const found = names.map((name) => [...name.matchAll(/\d+/g)].map(([digits]) => Number(digits)));
  const changing = found[0].flatMap((_, run) => {
    const values = found.map((numbers) => numbers[run]);
    return values.some((value) => value !== values[0])
      ? [{ values, distinct: new Set(values).size === values.length }]
      : [];
  });
  if (changing.length === 1 && !changing[0].distinct) {
    const { values } = changing[0];
    const at = values.findIndex((value, i) => values.indexOf(value) !== i);
    throw new PtychoError(
      'DATASET_SHAPE',
      `${where} holds two frames with the number ${values[at]}, ${names[values.indexOf(values[at])]} and ${names[at]}; remove the one that is not meant.`,
      { path: where, found: values[at] },
    );
  }
  const span = (values: readonly number[]) => {
    let [min, max] = [Number.POSITIVE_INFINITY, 0];
    for (const value of values) [min, max] = [Math.min(min, value), Math.max(max, value)];
    return { max, length: max - min + 1 };
  };
  const candidates = changing
    .filter(({ values, distinct }) => distinct && span(values).max <= LARGEST)
    .sort((a, b) => span(a.values).length - span(b.values).length);
  return candidates[0]?.values;
}
