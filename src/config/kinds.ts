/**
 * The kinds of values that fields have: a zod type each, with the accepted values in words.
 *
 * @example
 * optional(orWord(positiveInteger, 'all')).expected; // 'a positive whole number or all or null'
 */

import { z } from 'zod';

/** A zod type together with its accepted values in words. */
export interface Kind<S extends z.ZodType = z.ZodType> {
  readonly schema: S;
  readonly expected: string;
}

const kind = <S extends z.ZodType>(schema: S, expected: string): Kind<S> => ({ schema, expected });

export const positiveInteger = kind(z.int().positive(), 'a positive whole number');
export const wholeNumber = kind(z.int().nonnegative(), 'a whole number from 0');
/** Seeds are those of NumPy's legacy generator: 32 bits. */
export const seedNumber = kind(z.int().min(0).max(0xffffffff), 'a whole number from 0 to 4294967295');
/** Of diffraction patterns; networks take fewer, see `sides.ts`. */
export const patternSide = kind(z.int().min(4).multipleOf(2), 'an even number from 4');
export const anyNumber = kind(z.number(), 'a number');
export const positiveNumber = kind(z.number().positive(), 'a positive number');
export const nonNegativeNumber = kind(z.number().nonnegative(), 'a number from 0');
export const unitInterval = kind(z.number().min(0).max(1), 'a number from 0 to 1');
export const belowOne = kind(z.number().min(0).lt(1), 'a number from 0 to below 1');
export const openUnitInterval = kind(z.number().gt(0).lt(1), 'a number between 0 and 1');
export const flag = kind(z.boolean(), 'true or false');
export const text = kind(z.string().min(1), 'a text');
export const path = kind(z.string().min(1), 'a path');
export const powerOfTwo = kind(
  z
    .int()
    .positive()
    .refine((n) => Number.isInteger(Math.log2(n))),
  'a positive power of two',
);

/** Two numbers: `[a, b]` in files, `a,b` on the command line. */
export const numberPair = kind(z.tuple([z.number(), z.number()]), 'two numbers, such as 0.1,0.9');

/** Whole numbers: `[0, 5]` in files, `0,5` on the command line. */
export const wholeNumbers = kind(z.array(z.int().nonnegative()), 'whole numbers, such as 0,5,9');

/** Numbers: `[0.7, 0.3]` in files, `0.7,0.3` on the command line. */
export const numberList = kind(z.array(z.number()).min(1), 'numbers, such as 0.7,0.2,0.1');

/** Texts: a list in files, a flag that may be repeated on the command line. */
export const textList = kind(z.array(z.string().min(1)), 'a list of texts; the flag may be repeated');

/** One of the given words. */
export function oneOf<const V extends readonly [string, ...string[]]>(...values: V) {
  return kind(z.enum(values), wordList(values, 'or'));
}

/** The same kind, or one word that stands for something no value of it says. */
export function orWord<S extends z.ZodType, const W extends string>(
  of: Kind<S>,
  word: W,
): Kind<z.ZodUnion<[S, z.ZodLiteral<W>]>> {
  return kind(z.union([of.schema, z.literal(word)]), `${of.expected} or ${word}`);
}

/** The same kind, with `null` for "not given". */
export function optional<S extends z.ZodType>(of: Kind<S>): Kind<z.ZodNullable<S>> {
  return kind(of.schema.nullable(), `${of.expected} or null`);
}

/** `a`, `a or b`, `a, b or c`. */
export function wordList(values: readonly string[], conjunction: 'and' | 'or'): string {
  if (values.length === 1) return values[0];
  return `${values.slice(0, -1).join(', ')} ${conjunction} ${values[values.length - 1]}`;
}
