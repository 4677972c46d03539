/**
 * The names of the published PyTorch network and ours. Documented in `docs/bundles.md`.
 *
 * @example
 * ownNameOf('model.autoencoder.encoder.blocks.0.conv1.weight'); // 'encoder.0.conv1.weight'
 */

/** Replacements behind the prefix of a module, the first that fits. */
const RULES: readonly (readonly [published: RegExp, own: string])[] = [
  [/^encoder\.blocks\.(\d+)\.(conv[12])\.(weight|bias)$/, 'encoder.$1.$2.$3'],
  [/^encoder\.blocks\.(\d+)\.attention\.ChannelGate\.mlp\.1\.(weight|bias)$/, 'encoder.$1.attention.channel.fc1.$2'],
  [/^encoder\.blocks\.(\d+)\.attention\.ChannelGate\.mlp\.3\.(weight|bias)$/, 'encoder.$1.attention.channel.fc2.$2'],
  [/^encoder\.blocks\.(\d+)\.attention\.SpatialGate\.compress\.weight$/, 'encoder.$1.attention.spatial.weight'],
  [/^decoder_(amp|phase)\.blocks\.(\d+)\.(conv[12])\.(weight|bias)$/, '$1.$2.$3.$4'],
  [/^decoder_(amp|phase)\.(?:amp|phase)\.conv1\.(weight|bias)$/, '$1.centre.$2'],
  [/^decoder_(amp|phase)\.(?:amp|phase)\.conv_up_block\.(conv[12])\.(weight|bias)$/, '$1.border.$2.$3'],
  [/^decoder_(amp|phase)\.(?:amp|phase)\.conv2\.(weight|bias)$/, '$1.border.out.$2'],
];
const SCALERS: Readonly<Record<string, string>> = {
  'forward_model.rect_scaler.s1': 'rectangular.s1',
  'forward_model.rect_scaler.s2': 'rectangular.s2',
};
/**
 * Scalars of the published forward model that are always registered, begin at 1 and are used by an option only: at these values they have
 * done, or do, nothing.
 */
const NEUTRAL: Readonly<Record<string, readonly number[]>> = {
  'forward_model.alpha': [1],
  'forward_model.beta': [0, 1],
};

const MODULE = /^(?:w\.)?(?:model\.)?(.*)$/;

/** Our name of a published weight; undefined where there is none. */
export function ownNameOf(published: string): string | undefined {
  const [, name] = MODULE.exec(published) as RegExpExecArray;
  if (Object.hasOwn(SCALERS, name)) return SCALERS[name];
  if (!name.startsWith('autoencoder.')) return undefined;
  const inside = name.slice('autoencoder.'.length);
  const rule = RULES.find(([pattern]) => pattern.test(inside));
  return rule && inside.replace(...rule).replace(/^amp\./, 'amplitude.');
}

/** Whether a published scalar has the value at which it does nothing. */
export function isNeutral(published: string, values: ArrayLike<number>): boolean {
  const [, name] = MODULE.exec(published) as RegExpExecArray;
  return Object.hasOwn(NEUTRAL, name) && values.length === 1 && NEUTRAL[name].includes(values[0]);
}
