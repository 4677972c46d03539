/** Judges of markup: tags closed in order, attributes quoted, no bare ampersands; and what a drawing says. */
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

const PLAIN: Readonly<Record<string, string>> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'" };

/** Every text of an SVG document, in order: titles, labels, ticks. */
export const textsOf = (svg: string): string[] =>
  Array.from(svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g), ([, text]) =>
    text.replace(/&(amp|lt|gt|quot|#39);/g, (entity) => PLAIN[entity]),
  );

/** Width and height of every image in an SVG document, in its pixels. */
export const imagesOf = (svg: string): [width: number, height: number][] =>
  Array.from(svg.matchAll(/<image[^>]*/g), ([image]) => {
    const side = (name: string) => Number(new RegExp(` ${name}="([^"]*)"`).exec(image)?.[1]);
    return [side('width'), side('height')];
  });
