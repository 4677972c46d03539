/**
 * Weights are loaded into a template: every leaf's name and shape is checked before anything is used.
 *
 * @example
 * const template = network.parameters.map((p): [string, Shape] => [p.name, p.shape]);
 * checkWeights(template, bundle.weights);
 */
import { PtychoError } from '../core/errors.js';
import { type Shape, sameShape, type Tensor } from '../core/tensor.js';

/** One leaf whose shape is not the template's. */
export interface ShapeMismatch {
  readonly name: string;
  readonly expected: Shape;
  readonly found: Shape;
}

/** More names than this are counted, not listed, in a message; the error's fields hold all of them. */
const LISTED = 8;

/**
 * Compares weights with what a network asks for, leaf by leaf.
 * @param template name and shape of every parameter of the network, in any order.
 * @param weights name → array, as read from a file.
 * @throws PtychoError WEIGHTS_MISMATCH naming every leaf of another shape, every missing and every unexpected name; fields
 * `mismatched`, `missing`, `unexpected`.
 */
export function checkWeights(
  template: Iterable<readonly [name: string, shape: Shape]>,
  weights: Readonly<Record<string, Tensor>>,
): void {
  const unexpected = new Set(Object.keys(weights));
  const missing: string[] = [];
  const mismatched: ShapeMismatch[] = [];
  for (const [name, expected] of template) {
    if (!unexpected.delete(name)) missing.push(name);
    else if (!sameShape(expected, weights[name].shape)) mismatched.push({ name, expected, found: weights[name].shape });
  }
  if (missing.length + mismatched.length + unexpected.size === 0) return;

  const parts = [
    ...listed(
      mismatched.map((m) => `${m.name}: expected ${list(m.expected)}, file has ${list(m.found)}`),
      '; ',
    ),
    ...(missing.length > 0 ? [`missing: ${listed(missing, ', ')}`] : []),
    ...(unexpected.size > 0 ? [`not part of this network: ${listed([...unexpected], ', ')}`] : []),
  ];
  throw new PtychoError(
    'WEIGHTS_MISMATCH',
    `weights: ${parts.join('; ')}. The weights belong to another network; use the configuration they were trained with.`,
    { mismatched, missing, unexpected: [...unexpected] },
  );
}

function listed(names: readonly string[], separator: string): string[] {
  if (names.length === 0) return [];
  const rest = names.length - LISTED;
  return [names.slice(0, LISTED).join(separator) + (rest > 0 ? `${separator}and ${rest} more` : '')];
}

const list = (shape: Shape) => `[${shape.join(', ')}]`;
