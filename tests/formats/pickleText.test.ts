/** The one pickle that is understood: NumPy's object array of one str. Everything else is nothing. */

import { describe, expect, it } from 'vitest';
import { pickledText } from '../../src/formats/pickleText.js';
import fc from '../support/fastCheck.js';
import { describePython, runPython } from '../support/python.js';

const latin1 = (text: string) => Buffer.from(text, 'latin1');
/** `{"a": "é"}` as NumPy 2 writes it in protocol 4, and NumPy 1 in protocol 3. */
const PROTOCOL_4 = latin1(
  '\x80\x04\x95\x94\x00\x00\x00\x00\x00\x00\x00\x8c\x16numpy._core.multiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\x8c\x05numpy\x94\x8c\x07ndarray\x94\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\x94(K\x01)h\x03\x8c\x05dtype\x94\x93\x94\x8c\x02O8\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?t\x94b\x89]\x94\x8c\x0b{"a": "\xc3\xa9"}\x94at\x94b.',
);
const PROTOCOL_3 = latin1(
  '\x80\x03cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85q\x02C\x01bq\x03\x87q\x04Rq\x05(K\x01)cnumpy\ndtype\nq\x06X\x02\x00\x00\x00O8q\x07K\x00K\x01\x87q\x08Rq\t(K\x03X\x01\x00\x00\x00|q\nNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tq\x0bb\x89]q\x0cX\x0b\x00\x00\x00{"a": "\xc3\xa9"}q\ratq\x0eb.',
);

describe('pickledText', () => {
  it('reads the text of both NumPy generations', () => {
    for (const bytes of [PROTOCOL_3, PROTOCOL_4]) expect(pickledText(bytes)).toBe('{"a": "é"}');
  });

  it('knows nothing of what is cut, longer or something else', () => {
    for (const whole of [PROTOCOL_3, PROTOCOL_4]) {
      for (let cut = 0; cut < whole.length; cut++) expect(pickledText(whole.subarray(0, cut))).toBeUndefined();
      expect(pickledText(Buffer.concat([whole, latin1('.')]))).toBeUndefined();
      // Another function called, another class made: the text inside is not looked at.
      const renamed = whole.toString('latin1').replace('_reconstruct', '_reconstrucs');
      expect(pickledText(latin1(renamed))).toBeUndefined();
      expect(pickledText(latin1(whole.toString('latin1').replace('ndarray', 'ndbrray')))).toBeUndefined();
    }
    for (const pickle of [
      '\x80\x04N.', // None
      '\x80\x04\x8c\x04text.', // a bare str
      '\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.', // os.system('ls')
      '\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R.',
      '\x80\x06N.', // a protocol of the future
      '\x80\x04}.', // a dict
      `\x80\x04${']\x94a'.repeat(1000)}`,
      `\x80\x04${'('.repeat(1000)}`,
      '\x80\x04X\xff\xff\xff\xffabc.', // a length of 4 GiB
      '\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.',
      '\x80\x04h\x07.', // a memo that was never written
      '\x80\x04\x8c\x02\xff\xfe.', // no UTF-8
      'cnumpy',
      '',
    ]) {
      expect(pickledText(latin1(pickle))).toBeUndefined();
    }
  });

  it('any damage gives a text or nothing, and never an exception', () => {
    const damage = fc.array(fc.tuple(fc.nat(PROTOCOL_4.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.constantFrom(PROTOCOL_3, PROTOCOL_4), damage, (whole, changes) => {
        const bytes = Buffer.from(whole);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        const text = pickledText(bytes);
        expect(text === undefined || typeof text === 'string').toBe(true);
      }),
      { numRuns: 2000 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => pickledText(bytes) === undefined));
  });
});

describePython('pickles that NumPy makes', ['numpy'], () => {
  const pickles = (expression: string): Buffer[] =>
    runPython(`import numpy as np, pickle\nfor p in (2, 3, 4, 5): print(pickle.dumps(${expression}, protocol=p).hex())`)
      .trim()
      .split('\n')
      .map((hex) => Buffer.from(hex, 'hex'));

  it('one str in protocols 2 to 5, short and long, of shape () and (1,)', () => {
    const long = 'x'.repeat(70_000);
    for (const pickle of pickles(`np.array('a "é" \\U0001f600', dtype=object)`)) {
      expect(pickledText(pickle)).toBe('a "é" \u{1f600}');
    }
    for (const pickle of pickles(`np.array(['x' * 70000], dtype=object)`)) expect(pickledText(pickle)).toBe(long);
  });

  it('nothing else', () => {
    for (const expression of [
      "np.array(['a', 'b'], dtype=object)",
      "np.array({'a': 1}, dtype=object)",
      'np.array(None, dtype=object)',
      "np.array(b'bytes', dtype=object)",
      "np.array('text')",
      "np.array('text', dtype=object).astype('U')",
      'np.zeros(3)',
      "'text'",
      "['text']",
    ]) {
      for (const pickle of pickles(expression))
        expect([expression, pickledText(pickle)]).toEqual([expression, undefined]);
    }
  });
});
