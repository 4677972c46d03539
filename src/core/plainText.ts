/**
 * Text of others on its way to a terminal or a log: what would move the cursor, change a title or turn the reading direction is
 * shown instead of obeyed.
 *
 * @example
 * plainText('scan\u001b[2J.npz'); // 'scan\\x1b[2J.npz'
 */

/** Controls but tab and line feed, marks of the reading direction, and the separators that terminals take for line ends. */
const OBEYED = /(?![\t\n])[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/gu;

/** The same text with visible escapes: `\\x1b`, `\\u202e`. Tabs and line ends stay. */
export function plainText(text: string): string {
  return text.replace(OBEYED, (letter) => {
    const code = letter.charCodeAt(0).toString(16);
    return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u${code.padStart(4, '0')}`;
  });
}
