/** Text that goes into SVG or HTML. */

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** The text with the characters escaped that markup reads; right between tags and inside quoted attributes. */
export function escapeMarkup(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

/** A coordinate with two decimals at most, so that equal data gives equal, short files. */
export function coordinate(value: number): string {
  return String(Math.round(value * 100) / 100);
}
