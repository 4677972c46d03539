/** What a file that is no bundle of ours probably is, in a sentence that says what to do. */

/** One kind of model or data file that people mistake for a bundle. */
interface Kind {
  readonly matches: (names: readonly string[]) => boolean;
  readonly sentence: string;
}

const has = (test: RegExp) => (names: readonly string[]) => names.some((n) => test.test(n));
const all =
  (...tests: readonly RegExp[]) =>
  (names: readonly string[]) =>
    tests.every((test) => has(test)(names));

const PICKLE = 'is a pickle, which could run code and is never opened';
const EXPORT =
  'turn it into an NPZ with examples/python/export_torch_weights.py where it was trained, then "ptychopinn bundle import" that';

/** Archives, the more telling first. */
const KINDS: readonly Kind[] = [
  {
    matches: all(/^manifest\.dill$/, /(^|\/)model\.keras$/),
    sentence: `is a wts.h5.zip of the Python PtychoPINN (TensorFlow): its manifest.dill ${PICKLE}; "ptychopinn bundle import FILE --output_dir DIR" takes over the weights, which are plain data.`,
  },
  {
    matches: all(/^manifest\.dill$/, /(^|\/)model\.pth$/),
    sentence: `is a wts.h5.zip of the Python PtychoPINN (PyTorch): its manifest.dill ${PICKLE}; ${EXPORT}.`,
  },
  {
    matches: has(/^manifest\.dill$/),
    sentence: `is a wts.h5.zip of the Python PtychoPINN: its manifest.dill ${PICKLE}; train again with "ptychopinn train".`,
  },
  {
    matches: has(/^[^/]+\/data\.pkl$/),
    sentence: `is a PyTorch or Lightning checkpoint: it ${PICKLE}; ${EXPORT}.`,
  },
  {
    matches: has(/^model\.weights\.h5$/),
    sentence:
      'is a Keras model, not a bundle of ptychopinn; "ptychopinn bundle import FILE --output_dir DIR" takes over the weights of a published network.',
  },
  {
    matches: has(/^checkpoint\.json$/),
    sentence:
      'is a checkpoint of ptychopinn, not a bundle: training goes on from it with "ptychopinn train --resume FOLDER"; the bundle is wts.zip in the folder of the run.',
  },
  {
    matches: (names) => names.length > 0 && names.every((n) => n.endsWith('.npy')),
    sentence:
      'is an NPZ archive of arrays, not a trained bundle; "ptychopinn inspect FILE" shows what is in it, and "ptychopinn bundle import FILE --output_dir DIR" makes a bundle of exported weights.',
  },
];

/** The sentence (after the name) for an archive or folder of a kind that is known; undefined for others. */
export function knownForeignArchive(names: readonly string[]): string | undefined {
  return KINDS.find((k) => k.matches(names))?.sentence;
}

/** The sentence (after the file's name) for a zip archive without `manifest.json`. */
export function describeForeignArchive(names: readonly string[]): string {
  return (
    knownForeignArchive(names) ??
    'holds no manifest.json, so it is not a bundle of ptychopinn; give the wts.zip that "ptychopinn train" wrote.'
  );
}

/** First bytes that tell what a file is. */
const HEADS: readonly (readonly [head: string, sentence: string])[] = [
  [
    '\x89HDF',
    'is an HDF5 file, Keras weights or a data file perhaps, not a bundle of ptychopinn; give the wts.zip, or a model.keras to "ptychopinn bundle import".',
  ],
  ['\x80', `is a Python pickle, an old PyTorch checkpoint perhaps: it ${PICKLE}; ${EXPORT}.`],
  ['\x93NUMPY', 'is a single NPY array, not a zip archive, so it is not a bundle; give the wts.zip.'],
  [
    '\x1f\x8b',
    'is compressed by gzip, not a zip archive, so it is not a bundle; unpack it and give the wts.zip inside.',
  ],
];

/** The sentence for a file that is no zip archive, from its first bytes; undefined when they are those of a zip. */
export function describeForeignFile(head: Uint8Array): string | undefined {
  const latin1 = Buffer.from(head).toString('latin1');
  if (latin1.startsWith('PK')) return undefined;
  return (
    HEADS.find(([magic]) => latin1.startsWith(magic))?.[1] ??
    'is not a zip archive, so it is not a bundle; give the wts.zip that "ptychopinn train" wrote.'
  );
}
