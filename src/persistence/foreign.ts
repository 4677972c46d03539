/** What a file that is no bundle of ours probably is, in a sentence that says what to do. */

/** One kind of model or data file that people mistake for a bundle. */
interface Kind {
  readonly matches: (names: readonly string[]) => boolean;
  readonly sentence: string;
}

const has = (test: RegExp) => (names: readonly string[]) => names.some((n) => test.test(n));

const KINDS: readonly Kind[] = [
  {
    matches: has(/^manifest\.dill$/),
    sentence:
      'is a wts.h5.zip of the Python PtychoPINN: its manifest is a dill pickle, which could run code and is never opened; train again with "ptychopinn train".',
  },
  {
    matches: has(/^[^/]+\/data\.pkl$/),
    sentence:
      'is a PyTorch or Lightning checkpoint: it is a pickle, which could run code and is never opened; train again with "ptychopinn train".',
  },
  {
    matches: has(/^model\.weights\.h5$/),
    sentence: 'is a Keras model, not a bundle of ptychopinn; train again with "ptychopinn train".',
  },
  {
    matches: (names) => names.length > 0 && names.every((n) => n.endsWith('.npy')),
    sentence: 'is an NPZ archive of arrays, not a trained bundle; "ptychopinn inspect FILE" shows what is in it.',
  },
];

/** The sentence (after the file's name) for a zip archive without `manifest.json`. */
export function describeForeignArchive(names: readonly string[]): string {
  const kind = KINDS.find((k) => k.matches(names));
  return (
    kind?.sentence ??
    'holds no manifest.json, so it is not a bundle of ptychopinn; give the wts.zip that "ptychopinn train" wrote.'
  );
}

/** The sentence for a file that is no zip archive, from its first bytes; undefined when they are those of a zip. */
export function describeForeignFile(head: Uint8Array): string | undefined {
  const latin1 = Buffer.from(head).toString('latin1');
  if (latin1.startsWith('PK')) return undefined;
  if (latin1.startsWith('\x89HDF')) {
    return 'is an HDF5 file, a Keras model perhaps, not a bundle of ptychopinn; train again with "ptychopinn train".';
  }
  if (latin1.startsWith('\x80')) {
    return 'is a Python pickle, an old PyTorch checkpoint perhaps, which could run code and is never opened; train again with "ptychopinn train".';
  }
  return 'is not a zip archive, so it is not a bundle; give the wts.zip that "ptychopinn train" wrote.';
}
