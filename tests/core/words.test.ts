import { describe, expect, it } from 'vitest';
import { counted, formatBytes, noun, plainText } from '../../src/core/words.js';

describe('counted nouns', () => {
  it.each([
    [0, 'epochs'],
    [1, 'epoch'],
    [2, 'epochs'],
  ])('%i %s', (count, word) => {
    expect(noun(count, 'epoch')).toBe(word);
    expect(counted(count, 'epoch')).toBe(`${count} ${word}`);
  });

  it('may have a plural of their own', () => expect(counted(2, 'entry', 'entries')).toBe('2 entries'));
});

describe('bytes', () => {
  it.each([
    [1, '1 byte'],
    [999, '999 bytes'],
    [1234, '1.23 kB'],
    [38e9, '38 GB'],
    [16.4e12, '16.4 TB'],
    [4e22, '40000 EB'],
  ])('%d are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));
});

describe('text of others', () => {
  it.each([
    ['scan\u001b[2J.npz', 'scan\\x1b[2J.npz'],
    ['\u001b]0;title\u0007', '\\x1b]0;title\\x07'],
    ['a\rb', 'a\\x0db'],
    ['\u009b2J', '\\x9b2J'],
    ['gpj.\u202egnp', 'gpj.\\u202egnp'],
    ['\u2066x\u2069', '\\u2066x\\u2069'],
    ['a\u2028b', 'a\\u2028b'],
    ['\u0000\u007f', '\\x00\\x7f'],
    ['Σ|P|² of µm, 光, 64×64\tnext\nline', 'Σ|P|² of µm, 光, 64×64\tnext\nline'],
  ])('%j is shown', (text, shown) => expect(plainText(text)).toBe(shown));
});
