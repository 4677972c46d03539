/**
 * Typed settings in named groups, as Ptychodus keeps them: they are read from text and clamped to their bounds, here and nowhere
 * else, and every clamp is told.
 *
 * @example
 * const registry = new SettingsRegistry();
 * const size = registry.createGroup('PtychoPINNModel').createInteger('GridSize', 1, { minimum: 1, maximum: 5 });
 * registry.fromIni('[PtychoPINNModel]\nGridSize = 9\n').notes; // ['PtychoPINNModel/GridSize = 9 is above 5, so 5 is used.']
 * size.value; // 5
 */
import { PtychoError } from '../../../core/errors.js';
import { formatIni, type IniSections, parseIni } from './ini.js';

/** What a parameter may hold. */
export type ParameterValue = string | boolean | number;
/** See {@link Parameter.kind}. */
export type ParameterKind = 'string' | 'path' | 'boolean' | 'integer' | 'real';

/** Bounds of a number, both included. */
export interface Bounds {
  readonly minimum?: number;
  readonly maximum?: number;
}

/** Where older and newer files of the host keep the same parameter: group and key. */
export type Alias = readonly [group: string, key: string];

const TRUE_WORDS = ['1', 'true', 't', 'yes', 'y'];

/** One setting. */
export class Parameter<T extends ParameterValue = ParameterValue> {
  #value: T;
  readonly #listeners = new Set<(value: T) => void>();

  constructor(
    readonly group: string,
    readonly name: string,
    readonly kind: ParameterKind,
    readonly fallback: T,
    readonly bounds: Bounds = {},
    readonly aliases: readonly Alias[] = [],
  ) {
    this.#value = fallback;
  }

  get value(): T {
    return this.#value;
  }

  /** True where nobody has changed it. */
  get isDefault(): boolean {
    return this.#value === this.fallback;
  }

  /**
   * Sets the value, clamped to the bounds; observers hear of it where it changes.
   * @returns a sentence where it was clamped
   * @throws PtychoError CONFIG_INVALID for a value of another kind, or a number that is NaN
   */
  set(value: T): string | undefined {
    const wanted = this.#checked(value);
    if (wanted !== this.#value) {
      this.#value = wanted;
      for (const listener of this.#listeners) listener(wanted);
    }
    if (wanted === value) return undefined;
    const side = (wanted as number) < (value as number) ? 'above' : 'below';
    return `${this.group}/${this.name} = ${value} is ${side} ${wanted}, so ${wanted} is used.`;
  }

  /**
   * Reads the value as Ptychodus does: any word but 1, true, t, yes, y is false; numbers are clamped.
   * @returns a sentence where it was clamped
   * @throws PtychoError CONFIG_INVALID for text that is no number where one is needed
   */
  fromText(text: string): string | undefined {
    return this.set(this.#parse(text) as T);
  }

  /** The value as Python's `repr`, text as it is. */
  toText(): string {
    const value: ParameterValue = this.#value;
    if (typeof value === 'boolean') return value ? 'True' : 'False';
    return this.kind === 'real' ? pythonFloat(value as number) : String(value);
  }

  /** Calls `listener` after every change; returns how to stop. */
  observe(listener: (value: T) => void): () => void {
    const own = (value: T) => listener(value);
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
    };
  }

  #parse(text: string): ParameterValue {
    if (this.kind === 'string' || this.kind === 'path') return text;
    const word = text.trim().toLowerCase();
    if (this.kind === 'boolean') return TRUE_WORDS.includes(word);
    // Python reads 1_000 as 1000, and inf and nan as numbers; the last is refused when it is set.
    const digits = word.replace(/(?<=\d)_(?=\d)/g, '');
    const infinite = /^([+-]?)inf(inity)?$/.exec(digits);
    if (infinite && this.kind === 'real') return infinite[1] === '-' ? -Infinity : Infinity;
    const pattern = this.kind === 'integer' ? /^[+-]?\d+$/ : /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/;
    return pattern.test(digits) ? Number(digits) : Number.NaN;
  }

  #checked(value: T): T {
    const wanted = { string: 'string', path: 'string', boolean: 'boolean', integer: 'number', real: 'number' }[
      this.kind
    ];
    const numeric = wanted === 'number';
    const whole = this.kind !== 'integer' || Number.isInteger(value);
    if (typeof value !== wanted || (numeric && (Number.isNaN(value) || !whole))) {
      const kinds = {
        string: 'text',
        path: 'a path',
        boolean: 'true or false',
        integer: 'a whole number',
        real: 'a number',
      };
      throw new PtychoError(
        'CONFIG_INVALID',
        `The setting ${this.group}/${this.name} must be ${kinds[this.kind]}, got ${JSON.stringify(value)}; correct it.`,
        { key: `${this.group}/${this.name}`, found: value },
      );
    }
    if (!numeric) return value;
    const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = this.bounds;
    return Math.min(maximum, Math.max(minimum, value as number)) as T;
  }
}

/** A float as Python writes it: the shortest digits, with a point or an exponent, the latter from 1e16 and below 1e-4 on. */
export function pythonFloat(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [mantissa, exponent] = value.toExponential().split('e');
  const power = Number(exponent);
  if (power >= 16 || power < -4) {
    return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
  }
  const digits = Math.max(0, mantissa.replace(/[-.]/g, '').length - 1 - power);
  const text = value.toFixed(digits);
  return digits === 0 ? `${text}.0` : text;
}

/** Parameters under a name. */
export class ParameterGroup implements Iterable<Parameter> {
  readonly #parameters = new Map<string, Parameter>();

  constructor(
    readonly name: string,
    private readonly changed: (parameter: Parameter) => void,
  ) {}

  /** A parameter that holds a text. */
  createString(name: string, fallback: string, aliases?: readonly Alias[]): Parameter<string> {
    return this.#add(new Parameter(this.name, name, 'string', fallback, {}, aliases));
  }

  /** A parameter that holds a path. */
  createPath(name: string, fallback: string, aliases?: readonly Alias[]): Parameter<string> {
    return this.#add(new Parameter(this.name, name, 'path', fallback, {}, aliases));
  }

  /** A parameter that is true or false. */
  createBoolean(name: string, fallback: boolean, aliases?: readonly Alias[]): Parameter<boolean> {
    return this.#add(new Parameter(this.name, name, 'boolean', fallback, {}, aliases));
  }

  /** A parameter that holds a whole number within bounds. */
  createInteger(name: string, fallback: number, bounds: Bounds = {}, aliases?: readonly Alias[]): Parameter<number> {
    return this.#add(new Parameter(this.name, name, 'integer', fallback, bounds, aliases));
  }

  /** A parameter that holds a number within bounds. */
  createReal(name: string, fallback: number, bounds: Bounds = {}, aliases?: readonly Alias[]): Parameter<number> {
    return this.#add(new Parameter(this.name, name, 'real', fallback, bounds, aliases));
  }

  /** The parameter of this name; undefined where there is none. */
  get(name: string): Parameter | undefined {
    return this.#parameters.get(name);
  }

  /** All parameters, in the order in which they were created. */
  [Symbol.iterator](): IterableIterator<Parameter> {
    return this.#parameters.values();
  }

  #add<T extends ParameterValue>(parameter: Parameter<T>): Parameter<T> {
    const known = parameter as unknown as Parameter;
    if (this.#parameters.has(parameter.name)) throw taken(`parameter ${this.name}/${parameter.name}`);
    this.#parameters.set(parameter.name, known);
    known.observe(() => this.changed(known));
    return parameter;
  }
}

/** What reading settings brought about. */
export interface SettingsRead {
  /** What was clamped, found under another name or left out: one sentence each. */
  readonly notes: readonly string[];
}

/** What a parameter is, for a host that draws it. */
export interface ParameterDescription {
  readonly kind: ParameterKind;
  readonly value: ParameterValue;
  readonly default: ParameterValue;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** All groups. */
export class SettingsRegistry implements Iterable<ParameterGroup> {
  readonly #groups = new Map<string, ParameterGroup>();
  readonly #listeners = new Set<(parameter: Parameter) => void>();
  /** Sections of the file that are somebody else's; they are written back. */
  #foreign = new Map<string, ReadonlyMap<string, string>>();

  /** Adds a group. @throws PtychoError USAGE for a name that is taken */
  createGroup(name: string): ParameterGroup {
    if (this.#groups.has(name)) throw taken(`group ${name}`);
    const group = new ParameterGroup(name, (parameter) => {
      for (const listener of this.#listeners) listener(parameter);
    });
    this.#groups.set(name, group);
    return group;
  }

  /** The group of this name; undefined where there is none. */
  group(name: string): ParameterGroup | undefined {
    return this.#groups.get(name);
  }

  /** A parameter by the names of its group and its own; undefined where there is none. */
  parameter(group: string, name: string): Parameter | undefined {
    return this.#groups.get(group)?.get(name);
  }

  /** All groups, in the order in which they were created. */
  [Symbol.iterator](): IterableIterator<ParameterGroup> {
    return this.#groups.values();
  }

  /** Calls `listener` after every change of any parameter; returns how to stop. */
  observe(listener: (parameter: Parameter) => void): () => void {
    const own = (parameter: Parameter) => listener(parameter);
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
    };
  }

  /** The settings as an INI file; sections of others that were read are kept. */
  toIni(): string {
    const own = Object.entries(this.toTexts()).map(
      ([name, values]) => [name, new Map(Object.entries(values))] as const,
    );
    return formatIni(new Map([...own, ...this.#foreign]));
  }

  /**
   * Reads an INI file as Ptychodus does: what it does not name keeps its value, keys are found whatever the case of their
   * letters, sections of other programs are kept for {@link toIni}.
   * @param origin the file, for messages
   * @throws PtychoError FILE_FORMAT for a file that is none, CONFIG_INVALID for a value of the wrong kind
   */
  fromIni(text: string, origin = 'settings.ini'): SettingsRead {
    const sections = parseIni(text, origin);
    const notes = this.#read(sections);
    const mine = new Set([...this.#groups.keys(), ...this.#aliasGroups()]);
    this.#foreign = new Map([...sections].filter(([name]) => !mine.has(name)));
    return { notes };
  }

  /** The values as text: {group: {parameter: text}}, as the host exchanges them. */
  toTexts(): Record<string, Record<string, string>> {
    return Object.fromEntries(
      [...this].map((group) => [group.name, Object.fromEntries([...group].map((p) => [p.name, p.toText()]))]),
    );
  }

  /** Takes values as text; see {@link fromIni}. @throws PtychoError CONFIG_INVALID */
  fromTexts(texts: Readonly<Record<string, Readonly<Record<string, string>>>>): SettingsRead {
    return { notes: this.#read(new Map(Object.entries(texts).map(([k, v]) => [k, new Map(Object.entries(v))]))) };
  }

  /** Kind, value, default and bounds of everything: {group: {parameter: description}}. */
  describe(): Record<string, Record<string, ParameterDescription>> {
    return Object.fromEntries(
      [...this].map((group) => [
        group.name,
        Object.fromEntries(
          [...group].map((p) => [p.name, { kind: p.kind, value: p.value, default: p.fallback, ...p.bounds }]),
        ),
      ]),
    );
  }

  #aliasGroups(): string[] {
    return [...this].flatMap((group) => [...group].flatMap((p) => p.aliases.map(([name]) => name)));
  }

  /** Reads what sections hold of each parameter; its own key wins over those of other generations. */
  #read(sections: IniSections): string[] {
    const notes: string[] = [];
    const used = new Set<string>();
    const textAt = (group: string, key: string): string | undefined => {
      const found = [...(sections.get(group) ?? [])].find(([name]) => name.toLowerCase() === key.toLowerCase());
      if (found) used.add(`${group}/${found[0]}`);
      return found?.[1];
    };
    for (const group of this) {
      // A file of the host names all of its groups; another generation's count only where ours is missing.
      const own = sections.has(group.name);
      for (const parameter of group) {
        const aliases = parameter.aliases.filter(([name]) => name === group.name || !own);
        const places: readonly Alias[] = [[group.name, parameter.name], ...aliases];
        const found = places
          .map(([g, key]) => ({ g, key, text: textAt(g, key) }))
          .find(({ text }) => text !== undefined);
        if (found?.text === undefined) continue;
        const note = parameter.fromText(found.text);
        if (note) notes.push(note);
        if (found.key !== parameter.name && !parameter.isDefault) {
          notes.push(`${found.g}/${found.key} is read as ${group.name}/${parameter.name}.`);
        }
      }
      const unknown = [...(sections.get(group.name)?.keys() ?? [])].filter((key) => !used.has(`${group.name}/${key}`));
      if (unknown.length > 0) {
        notes.push(`Left out: [${group.name}] has no ${unknown.join(', ')} here.`);
      }
    }
    return notes;
  }
}

function taken(what: string): PtychoError {
  return new PtychoError('USAGE', `The settings already have a ${what}; choose another name.`, {});
}

/** `PtychoPINNModel/ProbeScale = 3 has no effect here: …` */
export const idle = ({ group, name, value }: Pick<Parameter, 'group' | 'name' | 'value'>, why: string): string =>
  `${group}/${name} = ${String(value)} has no effect here: ${why}.`;
