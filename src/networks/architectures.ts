/** The networks by their configured name. A new one is its file, and a line of this list. */
import type { z } from 'zod';
import { PtychoError } from '../core/errors.js';
import { type FieldShape, show, wordList } from '../core/field.js';
import { baseline } from './baseline.js';
import { cnn } from './cnn.js';
import { cnnCbam } from './cnnCbam.js';
import { ffno } from './ffno.js';
import { fno } from './fno.js';
import { fnoVanilla } from './fnoVanilla.js';
import type { Generator, NetworkShape } from './generator.js';
import { hybrid, stableHybrid } from './hybrid.js';
import { hybridResnet, hybridResnetConvnext } from './hybridResnet.js';
import { encoderThenFfno, ffnoBottleneck, ffnoThenEncoder } from './hybridResnetFfno.js';
import { neuralopUno } from './neuralopUno.js';
import { spectralResnetBottleneck, spectralResnetLinearDecoder } from './spectralResnetBottleneck.js';

const GENERATORS = [
  cnn,
  cnnCbam,
  baseline,
  hybridResnet,
  hybridResnetConvnext,
  ffnoBottleneck,
  ffnoThenEncoder,
  encoderThenFfno,
  spectralResnetBottleneck,
  spectralResnetLinearDecoder,
  hybrid,
  stableHybrid,
  fnoVanilla,
  fno,
  ffno,
  neuralopUno,
] as const;

type Name = (typeof GENERATORS)[number]['name'];
/** All members of the types of a union, as one type. */
type Together<U> = (U extends unknown ? (of: U) => void : never) extends (of: infer I) => void
  ? { [K in keyof I]: I[K] }
  : never;

/** Their names. */
export const ARCHITECTURES = GENERATORS.map(({ name }) => name) as unknown as readonly [Name, ...Name[]];

/** Fields that some network has and others have no use for. */
export const generatorFields = Object.assign({}, ...GENERATORS.map(({ fields }) => fields)) as Together<
  (typeof GENERATORS)[number]['fields']
>;

/** The networks in a sentence. */
export const architecturesInWords = wordList(
  GENERATORS.map(({ name, summary }) => `${name} is ${summary}`),
  'and',
);

/** A configuration with the fields of every network. */
export type NetworkConfig = NetworkShape & {
  readonly [K in keyof typeof generatorFields]: z.output<(typeof generatorFields)[K]>;
};

/**
 * The network called `architecture`.
 * @throws PtychoError MODEL_UNSUPPORTED for a name that is not registered.
 */
export function generatorOf(architecture: string): Generator<string, typeof generatorFields> {
  const found = GENERATORS.find(({ name }) => name === architecture);
  // Whoever has all fields has those of this one.
  if (found) return found as unknown as Generator<string, typeof generatorFields>;
  throw new PtychoError(
    'MODEL_UNSUPPORTED',
    `architecture: "${architecture}" is not known; choose one of ${ARCHITECTURES.join(', ')}.`,
    { found: architecture, expected: ARCHITECTURES },
  );
}

/** The networks that have a field; all of them where it is not one of {@link generatorFields}. */
export function architecturesWith(field: string): readonly string[] {
  if (!Object.hasOwn(generatorFields, field)) return ARCHITECTURES;
  return GENERATORS.filter(({ fields }) => Object.hasOwn(fields, field)).map(({ name }) => name);
}

/** Without attention there is nothing to leave out. */
const HARMLESS: Readonly<Record<string, unknown>> = { cbam_encoder: false };

/** What of a configuration does nothing in its network, or does not go together there: field and sentence. */
export function networkComplaints(config: Omit<NetworkConfig, 'N'>): (readonly [field: string, message: string])[] {
  const { architecture } = config;
  const idle = Object.entries(generatorFields as FieldShape).filter(([name, field]) => {
    const value = config[name as keyof typeof config];
    if (architecturesWith(name).includes(architecture) || value === HARMLESS[name]) return false;
    return show(value) !== show(field.parse(undefined));
  });
  return [
    ...idle.map(([name]) => {
      const all = architecturesWith(name);
      // A sentence is no list.
      const owners =
        all.length > 6 ? `${all.slice(0, 3).join(', ')} and ${all.length - 3} other networks` : wordList(all, 'and');
      return [
        name,
        `architecture ${architecture} has no use for ${name}, a field of ${owners}; leave it out.`,
      ] as const;
    }),
    ...(generatorOf(architecture).complaints?.(config) ?? []),
  ];
}
