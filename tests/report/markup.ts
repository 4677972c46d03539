/** A small judge of markup: tags closed in order, attributes quoted, no bare ampersands. */
import { expect } from 'vitest';

const VOID = new Set(['meta', 'img', 'br', '!doctype']);

export function expectWellFormed(markup: string): void {
  const open: string[] = [];
  const tag = /<(\/?)([a-zA-Z!][\w-]*)((?:\s+[\w:-]+(?:="[^"<]*")?)*)\s*(\/?)>/g;
  let end = 0;
  const text = (piece: string) => {
    expect(piece, 'text between tags').not.toMatch(/[<>]|&(?!(amp|lt|gt|quot|#39);)/);
  };
  for (const match of markup.matchAll(tag)) {
    if (open.at(-1) !== 'style') text(markup.slice(end, match.index));
    end = match.index + match[0].length;
    const [, closing, name, , selfClosing] = match;
    if (closing) expect(open.pop(), `</${name}>`).toBe(name);
    else if (!selfClosing && !VOID.has(name.toLowerCase())) open.push(name);
  }
  text(markup.slice(end));
  expect(open).toEqual([]);
}
