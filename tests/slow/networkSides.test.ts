/** Networks whose images become odd on the way down, as those of 272 do, learn on both backends. */
import { expect, it } from 'vitest';
import { backendCases } from '../support/backends.js';
import { lossDrop } from '../support/lossDrop.js';

it.each(backendCases)('a step along the gradient lowers the loss by what it says, $name', async ({ create }) => {
  const backend = await create();
  try {
    const options = { N: 272, gridsize: 1, architecture: 'cnn', n_filters_scale: 1, batch: 1 } as const;
    const drop = await lossDrop(backend, options);
    expect(drop).toBeGreaterThan(0.85);
    expect(drop).toBeLessThan(1.15);
  } finally {
    await backend.dispose();
  }
});
