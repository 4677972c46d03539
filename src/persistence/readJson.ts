/**
 * JSON from files that nobody vouches for: what is nested deeper than anything we write is refused before it is parsed, because
 * whatever walks through it afterwards would run out of stack.
 */

/** Nothing that we read is nested more deeply. */
const MAX_JSON_DEPTH = 64;

/** How deeply brackets are nested in a JSON text; those inside of texts do not count. */
function jsonDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (quoted) {
      if (c === 0x5c) i++;
      else if (c === 0x22) quoted = false;
    } else if (c === 0x22) quoted = true;
    else if (c === 0x5b || c === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (c === 0x5d || c === 0x7d) depth--;
  }
  return deepest;
}

/**
 * Parses JSON.
 * @throws Error for what is no JSON, or nested too deeply
 */
export function parseBoundedJson(text: string): unknown {
  if (jsonDepth(text) > MAX_JSON_DEPTH) throw new Error(`it is nested deeper than ${MAX_JSON_DEPTH} levels`);
  return JSON.parse(text);
}
