/**
 * How one configuration field is declared: a zod type, its default, and what people must know about it.
 * Flags, help, `docs/configuration.md` and error sentences are all generated from these declarations.
 *
 * @example
 * const schema = z.strictObject({ nepochs: field(positiveInteger, 50, 'Passes over the training groups.') });
 * fieldsOf(schema)[0].expected; // 'a positive whole number'
 */

import { z } from 'zod';

/** What a field tells besides its type; kept in zod's `.meta()`. */
export interface FieldMeta {
  /** Unit of the value: `px`, `photons`, `epochs`. */
  readonly unit?: string;
  /** Key in the legacy `params` dictionary; absent = the field's own name, `null` = never written there. */
  readonly legacyKey?: string | null;
  /** Other spellings of the command-line flag. */
  readonly aliases?: readonly string[];
  /** The accepted values in words, for error sentences and help. */
  readonly expected?: string;
}

declare module 'zod' {
  interface GlobalMeta extends FieldMeta {}
}

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

/** One of the given words. */
export function oneOf<const V extends readonly [string, ...string[]]>(...values: V) {
  return kind(z.enum(values), listOf(values));
}

/** The same kind, with `null` for "not given". */
export function optional<S extends z.ZodType>(of: Kind<S>): Kind<z.ZodNullable<S>> {
  return kind(of.schema.nullable(), `${of.expected} or null`);
}

/** Declares a field: its kind, its default, one sentence, and unit or legacy key where it has one. */
export function field<S extends z.ZodType>(
  of: Kind<S>,
  fallback: z.output<S>,
  description: string,
  meta: FieldMeta = {},
): z.ZodDefault<S> {
  return of.schema
    .default(fallback as never)
    .describe(description)
    .meta({ expected: of.expected, ...meta }) as unknown as z.ZodDefault<S>;
}

/** Declares a field that has no default: somebody or some file must give it. */
export function required<S extends z.ZodType>(of: Kind<S>, description: string, meta: FieldMeta = {}): S {
  return of.schema.describe(description).meta({ expected: of.expected, ...meta }) as S;
}

/** What a value looks like on a command line. */
export type ValueKind = 'boolean' | 'integer' | 'number' | 'pair' | 'text' | 'choice';

/** A declared field, read back from its schema. */
export interface FieldInfo {
  readonly name: string;
  readonly description: string;
  readonly expected: string;
  readonly unit: string | null;
  /** Key in the legacy dictionary, `null` when the field never enters it. */
  readonly legacyKey: string | null;
  readonly aliases: readonly string[];
  readonly kind: ValueKind;
  readonly choices: readonly (string | number)[] | null;
  readonly nullable: boolean;
  readonly required: boolean;
  /** The default; `undefined` for a required field. */
  readonly fallback: unknown;
}

/** The fields of an object schema in order of declaration; nested objects (`model`, `execution`) are left out. */
export function fieldsOf(schema: z.ZodObject): FieldInfo[] {
  const fields: FieldInfo[] = [];
  for (const [name, member] of Object.entries(schema.shape as Record<string, z.ZodType>)) {
    const info = readField(name, member);
    if (info !== null) fields.push(info);
  }
  return fields;
}

function readField(name: string, member: z.ZodType): FieldInfo | null {
  const meta = member.meta() ?? {};
  let inner: z.ZodType = member;
  let nullable = false;
  let isRequired = true;
  let fallback: unknown;
  for (;;) {
    if (inner instanceof z.ZodDefault) {
      fallback = inner.def.defaultValue;
      isRequired = false;
      inner = inner.def.innerType as z.ZodType;
    } else if (inner instanceof z.ZodOptional || inner instanceof z.ZodPrefault) {
      isRequired = false;
      inner = inner.def.innerType as z.ZodType;
    } else if (inner instanceof z.ZodNullable) {
      nullable = true;
      inner = inner.def.innerType as z.ZodType;
    } else break;
  }
  if (inner instanceof z.ZodObject) return null;
  const choices = inner instanceof z.ZodEnum ? inner.options : inner instanceof z.ZodLiteral ? [...inner.values] : null;
  return {
    name,
    description: meta.description ?? '',
    expected: meta.expected ?? '',
    unit: meta.unit ?? null,
    legacyKey: meta.legacyKey === undefined ? name : meta.legacyKey,
    aliases: meta.aliases ?? [],
    kind: valueKind(inner),
    choices: choices as (string | number)[] | null,
    nullable,
    required: isRequired,
    fallback,
  };
}

function valueKind(schema: z.ZodType): ValueKind {
  if (schema instanceof z.ZodBoolean) return 'boolean';
  if (schema instanceof z.ZodEnum) return 'choice';
  if (schema instanceof z.ZodTuple) return 'pair';
  if (schema instanceof z.ZodLiteral) return typeof [...schema.values][0] === 'number' ? 'integer' : 'choice';
  if (schema instanceof z.ZodNumber) return schema.format === 'safeint' ? 'integer' : 'number';
  return 'text';
}

function listOf(values: readonly string[]): string {
  if (values.length === 1) return values[0];
  return `${values.slice(0, -1).join(', ')} or ${values[values.length - 1]}`;
}
