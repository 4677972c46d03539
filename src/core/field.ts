/**
 * How one configuration field is declared: a kind of value, its default, and what people must know about it.
 * Flags, help, `docs/configuration.md`, the JSON Schema, the legacy mapping and error sentences are all generated from
 * these declarations.
 *
 * @example
 * const schema = z.strictObject({ nepochs: field(positiveInteger, 50, 'Passes over the training groups.') });
 * fieldsOf(schema)[0].expected; // 'a positive whole number'
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
export const wholeNumber = kind(z.int().nonnegative(), 'a whole number of at least 0');
/** Seeds are those of NumPy's legacy generator: 32 bits. */
export const seedNumber = kind(z.int().min(0).max(0xffffffff), 'a whole number from 0 to 4294967295');
/** Of a server; 0 leaves the choice to the system. */
export const portNumber = kind(z.int().min(0).max(65535), 'a whole number from 0 to 65535');
/** Of diffraction patterns; networks take fewer, see `sides.ts`. */
export const patternSide = kind(z.int().min(4).multipleOf(2), 'an even number of at least 4');
export const anyNumber = kind(z.number(), 'a number');
export const positiveNumber = kind(z.number().positive(), 'a positive number');
export const nonNegativeNumber = kind(z.number().nonnegative(), 'a number of at least 0');
export const unitInterval = kind(z.number().min(0).max(1), 'a number from 0 to 1');
export const belowOne = kind(z.number().min(0).lt(1), 'a number of at least 0 and below 1');
export const openUnitInterval = kind(z.number().gt(0).lt(1), 'a number between 0 and 1');
export const flag = kind(z.boolean(), 'true or false');
/** `tcp://HOST:PORT`, or the socket of a file; what is in front of the port is judged when it is used. */
const isStreamAddress = (word: string): boolean => {
  const port = Number(/^tcp:\/\/\S*[^\s:/]:(\d{1,5})$/.exec(word)?.[1] ?? 0);
  return /^ipc:\/\/./.test(word) || (port >= 1 && port <= 65535);
};
export const streamAddress = kind(
  z.string().refine(isStreamAddress),
  'an address such as tcp://127.0.0.1:9999, with a port from 1 to 65535',
);
/** Where frames come from. */
export const frameSource = kind(
  z
    .string()
    .min(1)
    .refine((word) => !/^(tcp|ipc):/.test(word) || isStreamAddress(word)),
  'an address such as tcp://127.0.0.1:9999, with a port from 1 to 65535, a file or a folder',
);
export const text = kind(z.string().min(1), 'text');
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

/** Another word for a value, and what is said when it is used. */
export interface ValueAlias {
  readonly value: unknown;
  readonly note: string;
}

/** Names that programs have registered beyond those of the schemas, by field. */
const registered = new Map<string, Set<string>>();

/**
 * Lets configurations name something that was registered: a backend, a format of scans. Files and programs may write it; schemas,
 * help and documentation stay those of the package.
 * @returns takes it back
 */
export function acceptName(field: 'backend' | 'data_format', name: string): () => void {
  const names = registered.get(field) ?? new Set<string>();
  registered.set(field, names.add(name));
  return () => void names.delete(name);
}

/** A name that a schema does not know, but a program has registered. */
export function isRegistered({ name, choices }: FieldInfo, value: unknown): boolean {
  return typeof value === 'string' && choices?.includes(value) === false && registered.get(name)?.has(value) === true;
}

/** What a field tells besides its type; kept in zod's `.meta()`. */
export interface FieldMeta {
  /** Unit of the value: `px`, `photons`, `epochs`. */
  readonly unit?: string;
  /** Key in the legacy `params` dictionary; true: the field's own name; absent: it never enters the dictionary. */
  readonly legacyKey?: string | true;
  /** Other spellings of the name. */
  readonly aliases?: readonly string[];
  /** Former names, still understood, with a warning. */
  readonly formerly?: readonly string[];
  /** Other words for values, replaced at the entrance (`resolveConfig`). */
  readonly valueAliases?: Readonly<Record<string, ValueAlias>>;
  /** A field of the block `execution` that concerns training alone: `infer` has no flag for it. */
  readonly trainingOnly?: boolean;
  /** What the flag without a value means: a path below `output_dir`; empty: `output_dir` itself. */
  readonly bare?: string;
  /** A block besides the field's own in which published files write it. */
  readonly alsoIn?: 'execution';
  /** The field is published, but this version has nothing behind it: only its default is accepted. */
  readonly fixed?: boolean;
  /** Published words that this version does not have; they are refused by name. */
  readonly unavailable?: readonly string[];
  /** What to do in place of a value that is not available. */
  readonly instead?: string;
  /** The accepted values in words, for error sentences and help. */
  readonly expected?: string;
}

declare module 'zod' {
  interface GlobalMeta extends FieldMeta {}
}

/** Declares a field: its kind, its default, one sentence, and unit, aliases or limits where it has them. */
export function field<S extends z.ZodType>(
  of: Kind<S>,
  fallback: z.output<S>,
  description: string,
  meta: FieldMeta = {},
): z.ZodDefault<S> {
  return limited(of.schema, fallback, meta)
    .default(fallback as never)
    .describe(description)
    .meta({ expected: of.expected, ...meta }) as unknown as z.ZodDefault<S>;
}

/** Declares a switch that is off where nothing is given. */
export const offByDefault = (description: string, meta?: FieldMeta) => field(flag, false, description, meta);

/** Declares a field that the legacy `params` dictionary has under the same name. */
export function published<S extends z.ZodType>(
  of: Kind<S>,
  fallback: z.output<S>,
  description: string,
  meta: FieldMeta = {},
): z.ZodDefault<S> {
  return field(of, fallback, description, { legacyKey: true, ...meta });
}

/** Declares a field that may be null, and is where nothing is given. */
export function maybe<S extends z.ZodType>(
  of: Kind<S>,
  description: string,
  meta: FieldMeta = {},
): z.ZodDefault<z.ZodNullable<S>> {
  return field(optional(of), null as z.output<z.ZodNullable<S>>, description, meta);
}

/** Declares a field without a default, which must be given. */
export function required<S extends z.ZodType>(of: Kind<S>, description: string, meta: FieldMeta = {}): S {
  return of.schema.describe(description).meta({ expected: of.expected, ...meta }) as S;
}

/** The schema with the sentences of what this version does not have. */
function limited(schema: z.ZodType, fallback: unknown, { fixed, unavailable, instead }: FieldMeta): z.ZodType {
  if (fixed) {
    return schema.refine((value) => JSON.stringify(value) === JSON.stringify(fallback), {
      error: (issue) => notAvailable(String(issue.path?.at(-1)), issue.input, [fallback], instead),
    });
  }
  if (!unavailable) return schema;
  const refusal = (words: readonly unknown[]) => ({
    error: (issue: z.core.$ZodRawIssue) =>
      unavailable.includes(String(issue.input))
        ? notAvailable(String(issue.path?.at(-1)), issue.input, words, instead)
        : undefined,
  });
  if (schema instanceof z.ZodEnum) return z.enum(schema.def.entries, refusal(schema.options));
  // Words, or something that is written in another form.
  if (schema instanceof z.ZodUnion && schema.options[0] instanceof z.ZodEnum)
    return z.union(schema.options, refusal(schema.options[0].options));
  return schema;
}

/** "probe_trainable: true is not available in this version; only false is." */
export function notAvailable(
  name: string,
  value: unknown,
  available: readonly unknown[],
  instead: string | undefined,
): string {
  const words = available.map(plain);
  const verb = words.length === 1 ? 'is' : 'are';
  return `${name}: ${plain(value)} is not available in this version; only ${wordList(words, 'and')} ${verb}${instead ? ` (${instead})` : ''}.`;
}

/** A value in a sentence, texts in quotes. */
export function show(value: unknown): string {
  return typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));
}

function plain(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : JSON.stringify(value);
}

/** What a value looks like on a command line. */
export type ValueKind = 'boolean' | 'integer' | 'number' | 'pair' | 'list' | 'text' | 'texts' | 'choice';

/** A declared field, read back from its schema. */
export interface FieldInfo
  extends Required<
    Pick<FieldMeta, 'expected' | 'aliases' | 'formerly' | 'valueAliases' | 'trainingOnly' | 'unavailable' | 'fixed'>
  > {
  readonly name: string;
  readonly description: string;
  readonly unit: string | null;
  /** Key in the legacy dictionary, `null` when the field never enters it. */
  readonly legacyKey: string | null;
  readonly alsoIn: 'execution' | null;
  readonly bare: string | null;
  readonly kind: ValueKind;
  readonly choices: readonly (string | number)[] | null;
  /** A word accepted besides values of `kind`: `all`. */
  readonly word: string | null;
  readonly nullable: boolean;
  readonly required: boolean;
  /** The default; `undefined` for a required field. */
  readonly fallback: unknown;
}

/** Members of an object schema by name. */
export type FieldShape = Readonly<Record<string, z.ZodType>>;

/** The fields of an object schema, or of a part of one, in order; nested objects (`model`, `execution`) are left out. */
export function fieldsOf(of: z.ZodObject | FieldShape): FieldInfo[] {
  const fields: FieldInfo[] = [];
  for (const [name, member] of Object.entries((of instanceof z.ZodObject ? of.shape : of) as FieldShape)) {
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
  let word: string | null = null;
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
    } else if (inner instanceof z.ZodUnion) {
      const [value, other] = inner.options as [z.ZodType, z.ZodType];
      if (other instanceof z.ZodLiteral) word = String(other.value);
      inner = value;
    } else break;
  }
  if (inner instanceof z.ZodObject) return null;
  const choices = inner instanceof z.ZodEnum ? inner.options : inner instanceof z.ZodLiteral ? [...inner.values] : null;
  return {
    name,
    description: meta.description ?? '',
    expected: meta.expected ?? '',
    unit: meta.unit ?? null,
    legacyKey: meta.legacyKey === true ? name : (meta.legacyKey ?? null),
    aliases: meta.aliases ?? [],
    formerly: meta.formerly ?? [],
    valueAliases: meta.valueAliases ?? {},
    alsoIn: meta.alsoIn ?? null,
    bare: meta.bare ?? null,
    trainingOnly: meta.trainingOnly ?? false,
    kind: valueKind(inner),
    choices: choices as (string | number)[] | null,
    word,
    unavailable: meta.unavailable ?? [],
    fixed: meta.fixed === true || (choices?.length === 1 && !isRequired && !nullable),
    nullable,
    required: isRequired,
    fallback,
  };
}

function valueKind(schema: z.ZodType): ValueKind {
  if (schema instanceof z.ZodBoolean) return 'boolean';
  if (schema instanceof z.ZodEnum) return 'choice';
  if (schema instanceof z.ZodTuple) return 'pair';
  if (schema instanceof z.ZodArray) return schema.element instanceof z.ZodString ? 'texts' : 'list';
  if (schema instanceof z.ZodLiteral) return typeof [...schema.values][0] === 'number' ? 'integer' : 'choice';
  if (schema instanceof z.ZodNumber) return schema.format === 'safeint' ? 'integer' : 'number';
  return 'text';
}
