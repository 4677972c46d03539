/**
 * From the keys and words that people write to fields and their values: nested blocks and flat keys, former names, keys
 * of the legacy dictionary, other words for values. Whatever no field stands for is an error with a suggestion.
 *
 * @example
 * const collection = newCollection();
 * collectLayer(trainingDefinition, { source: 'file', origin: 'run.yaml', values: { 'object.big': false } }, collection);
 * collection.given.get('object_big'); // { value: false, source: 'file', origin: 'run.yaml' }
 */

import { PtychoError } from '../core/errors.js';
import { type FieldInfo, show } from '../core/field.js';
import type { Source } from '../core/services.js';
import { nearestName } from '../core/words.js';
import { allFields, type Collection, type ConfigDefinition, namesOf } from './definition.js';
import { implyPublished, publishedWithoutPart } from './legacy/published.js';
import { torchHome } from './torch/fields.js';

/** Values of one strength. */
export interface SourcedLayer {
  readonly source: Source;
  readonly origin?: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** An empty collection. */
export function newCollection(): Collection {
  return { given: new Map(), notes: [], warnings: [] };
}

/**
 * Adds a layer; an `undefined` value counts as not given.
 * @throws PtychoError CONFIG_UNKNOWN_KEY, or CONFIG_INVALID for a field that one layer gives twice with different values.
 */
export function collectLayer(definition: ConfigDefinition<unknown>, layer: SourcedLayer, into: Collection): void {
  new LayerCollector(definition, layer.source, layer.origin, into).readAll(layer.values);
}

/** Reads the values of one layer, which must not contradict itself. */
export class LayerCollector {
  readonly #seen = new Map<string, unknown>();

  constructor(
    private readonly definition: ConfigDefinition<unknown>,
    private readonly source: Source,
    private readonly origin: string | undefined,
    private readonly into: Collection,
  ) {}

  /** Reads a whole file, or all flags. */
  readAll(values: Readonly<Record<string, unknown>>): void {
    const leftOut: string[] = [];
    const saysNothing = this.definition.legacyState?.(this.definition, values);
    if (saysNothing && this.source === 'file' && this.#has('preset')) implyPublished(this.into, this.#place);
    for (const [key, value] of Object.entries(values)) {
      const block = this.definition.sections.find((section) => section.key !== null && section.key === key);
      if (block !== undefined) this.#readBlock(key, value, block.fields);
      else if (saysNothing?.(key, value)) leftOut.push(key);
      else if (!this.#withoutPart(key)) this.read(key, value, key, allFields(this.definition));
    }
    if (leftOut.length > 0) {
      const [verb, were] = leftOut.length === 1 ? ['plays', 'was'] : ['play', 'were'];
      this.into.notes.push(
        `${this.#place}: ${leftOut.join(', ')} of the params dictionary ${verb} no part in ${this.definition.name} and ${were} left out.`,
      );
    }
  }

  /** Tells a key of published files that plays no part; false for any other. */
  #withoutPart(key: string): boolean {
    if (this.source !== 'file' || namesOf(allFields(this.definition)).has(key)) return false;
    const published = publishedWithoutPart(key, this.#place);
    if (published === undefined) return false;
    this.into.notes.push(published);
    return true;
  }

  /**
   * Reads one key.
   * @param written the key with its block, for messages.
   */
  read(key: string, value: unknown, written: string, fields: readonly FieldInfo[]): void {
    if (value === undefined) return;
    const field =
      fields.find((f) => f.name === key) ?? fields.find((f) => f.aliases.includes(key) || f.legacyKey === key);
    if (field !== undefined) {
      this.#put(field, value, written);
      return;
    }
    const renamed = fields.find((f) => f.formerly.includes(key));
    if (renamed === undefined) throw this.#unknown(key, written, fields);
    const warning = `${key} is the former name of ${renamed.name}; write ${renamed.name}.`;
    if (!this.into.warnings.includes(warning)) this.into.warnings.push(warning);
    this.#put(renamed, value, written);
  }

  #has(name: string): boolean {
    return allFields(this.definition).some((field) => field.name === name);
  }

  get #place(): string {
    return this.origin ?? 'The configuration';
  }

  #readBlock(block: string, values: unknown, fields: readonly FieldInfo[]): void {
    if (typeof values !== 'object' || values === null || Array.isArray(values)) {
      throw new PtychoError(
        'CONFIG_INVALID',
        `${this.#place}: ${block} must be a block of fields, got ${show(values)}.`,
        { field: block, found: values, path: this.origin },
      );
    }
    // Published execution settings hold a few training fields; these live once, in training.
    const moved = allFields(this.definition).filter((field) => field.alsoIn === block);
    for (const [key, value] of Object.entries(values)) {
      if (block === 'execution' && this.definition.ignores?.includes(key)) {
        this.into.notes.push(`${this.#place}: ${key} plays no part in ${this.definition.name} and was left out.`);
      } else this.read(key, value, `${block}.${key}`, [...fields, ...moved]);
    }
  }

  #put(field: FieldInfo, written: unknown, at: string): void {
    const { name } = field;
    let value = written;
    if (typeof written === 'string' && Object.hasOwn(field.valueAliases, written)) {
      const alias = field.valueAliases[written];
      value = alias.value;
      if (!this.into.notes.includes(alias.note)) this.into.notes.push(alias.note);
    }
    if (this.#seen.has(name) && show(this.#seen.get(name)) !== show(value)) {
      throw new PtychoError(
        'CONFIG_INVALID',
        `${this.#place} gives ${name} twice, as ${show(this.#seen.get(name))} and, at ${at}, as ${show(value)}; keep one of them.`,
        { field: name, path: this.origin },
      );
    }
    this.#seen.set(name, value);
    const { source, origin } = this;
    this.into.given.set(name, origin === undefined ? { value, source } : { value, source, origin });
  }

  #unknown(key: string, written: string, fields: readonly FieldInfo[]): PtychoError {
    const names = fields.map((field) => field.name);
    const torch = torchHome(key);
    if (torch?.to !== undefined && names.includes(torch.to)) return unknownKey(this.origin, written, torch.to);
    const advice = `it is a PyTorch-style name: put it into a block ${torch?.block}_config.`;
    if (torch !== undefined) return unknownKey(this.origin, written, null, advice);
    return unknownKey(this.origin, written, nearestName(key, names));
  }
}

/** The error for a key that no field has. */
export function unknownKey(
  origin: string | undefined,
  written: string,
  suggestion: string | null,
  otherwise = 'docs/configuration.md lists every field.',
): PtychoError {
  const advice = suggestion ? `did you mean ${suggestion}?` : otherwise;
  return new PtychoError('CONFIG_UNKNOWN_KEY', `${origin ?? 'Configuration'}: unknown key ${written}; ${advice}`, {
    key: written,
    suggestion,
    path: origin,
  });
}
