/** The cells of an .ipynb file. */

/**
 * @param {string} text the file
 * @param {Record<string, unknown>} parameters assigned after the cell tagged `parameters`, as papermill does
 * @returns {{ document: object, cells: { kind: 'markdown' | 'code', source: string }[] }}
 */
export function readNotebook(text, parameters = {}) {
  const document = JSON.parse(text);
  if (document.nbformat !== 4)
    throw new Error(`This is a notebook of format ${document.nbformat}; format 4 was expected.`);
  const names = Object.keys(parameters);
  let left = names;
  for (const cell of document.cells) {
    if (!cell.metadata?.tags?.includes('parameters')) continue;
    const source = joined(cell);
    const ours = names.filter((name) => new RegExp(`^let ${name}\\b`, 'm').test(source));
    left = left.filter((name) => !ours.includes(name));
    const lines = ours.map((name) => `${name} = ${JSON.stringify(parameters[name])};`);
    if (lines.length > 0) cell.source = [source, '', '// given when it was run', ...lines].join('\n');
  }
  if (left.length > 0) {
    throw new Error(
      `The notebook has no parameter ${left.join(', ')}: its cell tagged "parameters" must declare it with let.`,
    );
  }
  const cells = document.cells.map((cell) => ({ kind: cell.cell_type, source: joined(cell) }));
  return { document, cells };
}

/** Text of a cell or an output, which files keep as one string or as lines. */
export const textOf = (source) => (Array.isArray(source) ? source.join('') : String(source));

const joined = (cell) => textOf(cell.source);
