/** The options of a command, as its schema has them: name, sentence, choices, default. Only what is changed is handed on. */

import { useEffect, useState } from 'preact/hooks';
import type { FormField } from 'ptychopinn/web/session';
import { attempt, page, type Values } from '../state.js';

/** Options that the page sets by other means, or that a page has not. */
const LEFT_OUT = new Set([
  'test_data_file', 'train_data_file', 'output_dir', 'overwrite', 'product_file', 'resume', 'init', 'backend', 'preview_seconds', 'save_every',
  'vector_pictures', 'phase_vmin', 'phase_vmax', 'strict', 'model_path', 'accelerator', 'threads', 'probe', 'measurement_domain', 'n_subsample', 'subsample_seed',
]); // biome-ignore format: a list

const asked = new Map<string, Promise<readonly FormField[]>>();

/** Fields do not change, and the thread that knows them may be computing: they are asked for once, early. */
export function fieldsOf(command: string): Promise<readonly FormField[]> {
  let fields = asked.get(command);
  if (!fields) {
    fields = page.session.fields(command);
    asked.set(command, fields);
  }
  return fields;
}

interface OptionsProps {
  readonly command: string;
  /** The first ones, always seen; the others are in a fold. */
  readonly first: readonly string[];
  readonly values: Values;
  readonly onValues: (values: Values) => void;
  /** Sections of the schema that make sense here; all where not given. */
  readonly sections?: readonly string[];
}

export function Options({ command, first, values, onValues, sections }: OptionsProps) {
  const [fields, setFields] = useState<readonly FormField[]>([]);
  useEffect(() => {
    void attempt(async () => setFields(await fieldsOf(command)));
  }, [command]);
  const usable = fields.filter(({ name, section }) => !LEFT_OUT.has(name) && (!sections || sections.includes(section)));
  const of = (name: string) => usable.find((field) => field.name === name);
  const change = (name: string, value: unknown) => {
    const { [name]: _, ...others } = values;
    onValues(value === undefined ? others : { ...others, [name]: value });
  };
  const row = (field: FormField) => (
    <OptionRow
      key={field.name}
      field={field}
      value={values[field.name]}
      onValue={(value) => change(field.name, value)}
    />
  );
  const others = usable.filter(({ name }) => !first.includes(name));
  const titles = [...new Set(others.map(({ section }) => section))];
  return (
    <div class="options">
      {first.map(of).map((field) => field && row(field))}
      <details>
        <summary>All options ({others.length})</summary>
        {titles.map((title) => (
          <fieldset key={title}>
            <legend>{title}</legend>
            {others.filter(({ section }) => section === title).map(row)}
          </fieldset>
        ))}
      </details>
    </div>
  );
}

interface RowProps {
  readonly field: FormField;
  readonly value: unknown;
  readonly onValue: (value: unknown) => void;
}

function OptionRow({ field, value, onValue }: RowProps) {
  const { name, description, kind, choices, unit, fallback } = field;
  const id = `option-${name}`;
  const usual = fallback === null || fallback === undefined ? '' : String(fallback);
  const changed = value !== undefined;
  return (
    <div class={changed ? 'option changed' : 'option'}>
      <label for={id}>
        {name}
        {unit ? <small> / {unit}</small> : null}
      </label>
      {kind === 'boolean' ? (
        <input
          id={id}
          type="checkbox"
          checked={(value ?? fallback) === true}
          aria-describedby={`${id}-help`}
          onChange={(event) =>
            onValue(event.currentTarget.checked === fallback ? undefined : event.currentTarget.checked)
          }
        />
      ) : choices ? (
        <select
          id={id}
          value={String(value ?? usual)}
          aria-describedby={`${id}-help`}
          onChange={(event) => onValue(chosen(event.currentTarget.value, field))}
        >
          {field.nullable ? <option value="">–</option> : null}
          {choices.map((choice) => (
            <option key={choice} value={String(choice)}>
              {choice}
            </option>
          ))}
        </select>
      ) : (
        <input
          id={id}
          type="text"
          value={value === undefined ? '' : String(value)}
          placeholder={usual || 'as it suits'}
          aria-describedby={`${id}-help`}
          onChange={(event) => onValue(written(event.currentTarget.value, field))}
        />
      )}
      <small id={`${id}-help`}>{description}</small>
    </div>
  );
}

const chosen = (text: string, { fallback, choices }: FormField): unknown => {
  const value = choices?.find((choice) => String(choice) === text);
  return value === fallback || text === '' ? undefined : value;
};

/** What was typed as a value; what is wrong with it the library says, in its own words. */
function written(text: string, { kind }: FormField): unknown {
  if (text.trim() === '') return undefined;
  if (kind === 'integer' || kind === 'number') return Number.isFinite(Number(text)) ? Number(text) : text;
  if (kind === 'pair' || kind === 'list') return text.split(',').map(Number);
  return text;
}
