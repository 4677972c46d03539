/** Whether an image is worth comparing. */
import { PtychoError } from '../../core/errors.js';
import type { ComplexImage, Tensor } from '../../core/tensor.js';
import { checkReconstruction } from '../checks.js';

/** Numbers of such an image would hide that something went wrong before. */
const WORTHLESS = new Set(['empty', 'flat']);

/**
 * Looks at an image before it is compared. Single pixels that are no numbers are told: its metrics will be NaN, and shown so.
 * @param what the image is, as the beginning of a sentence
 * @returns what must be known of its numbers
 * @throws PtychoError DATASET_VALUE for an image that is zero or one value everywhere, or holds no number at all
 */
export function checkImage(image: ComplexImage, weight: Tensor, what: string): string[] {
  const { problems } = checkReconstruction(image, { weight: weight.data });
  const worthless = problems.find(({ code }) => WORTHLESS.has(code));
  const noNumber = image.re.every(
    (v, i) => !(weight.data[i] > 0) || !Number.isFinite(v) || !Number.isFinite(image.im[i]),
  );
  if (worthless || noNumber) {
    throw new PtychoError(
      'DATASET_VALUE',
      `${what} ${worthless?.code === 'flat' ? 'is one value everywhere' : noNumber && !worthless ? 'holds no finite number' : 'is zero everywhere'}: the model did not learn, or the scan is not of the kind it was made for; look at the run that made it.`,
      { code: worthless?.code ?? 'not_finite' },
    );
  }
  // How much of the compared pixels is covered is measured on these.
  return problems.filter(({ code }) => code !== 'uncovered').map(({ message }) => `${what}: ${message}`);
}
