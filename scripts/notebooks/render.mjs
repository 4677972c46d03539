/** A notebook with what its cells showed, as Markdown and PNG files. */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { halved } from '../halved.mjs';

/**
 * Writes `pages`/NAME.md and `pictures`/notebook_NAME_01.png …; pictures of an earlier run are removed.
 * @param {{ cells: { kind: string, source: string }[] }} notebook
 * @param {Map<number, ({ text: string } | { png: Buffer, title: string })[]>} outputs
 * @param {{ name: string, pages: string, pictures: string, half?: boolean }} place `half`: pictures half as wide and high
 */
export async function renderNotebook(notebook, outputs, { name, pages, pictures, half }) {
  await mkdir(pages, { recursive: true });
  await mkdir(pictures, { recursive: true });
  const prefix = `notebook_${name.replaceAll('-', '_')}_`;
  for (const file of await readdir(pictures)) if (file.startsWith(prefix)) await rm(path.join(pictures, file));
  const parts = [
    `<!-- Made by \`npm run notebooks -- --render\` from notebooks/${name}.ipynb; changes belong there. -->`,
  ];
  let count = 0;
  for (const [k, { kind, source }] of notebook.cells.entries()) {
    if (kind !== 'code') {
      parts.push(source);
      continue;
    }
    parts.push(fenced('ts', source));
    for (const output of outputs.get(k) ?? []) {
      if (output.text !== undefined) {
        parts.push(fenced('text', output.text.trimEnd()));
        continue;
      }
      count++;
      const file = path.join(pictures, `${prefix}${String(count).padStart(2, '0')}.png`);
      await writeFile(file, half ? halved(output.png) : output.png);
      parts.push(`![${output.title}](${path.relative(pages, file).split(path.sep).join('/')})`);
    }
  }
  await writeFile(path.join(pages, `${name}.md`), `${parts.join('\n\n')}\n`);
}

const fenced = (language, text) => `\`\`\`${language}\n${text}\n\`\`\``;
