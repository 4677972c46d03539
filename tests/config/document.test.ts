import { expect, it } from 'vitest';
import { configurationDocument } from '../../scripts/configurationDocument.js';

it('docs/configuration.md says what the schemas say (npm run docs:configuration writes it anew)', async () => {
  await expect(configurationDocument()).toMatchFileSnapshot('../../docs/configuration.md');
});
