import { expect, it } from 'vitest';
import { configurationDocument } from '../../src/config/document.js';

it('docs/configuration.md says what the schemas say (write it anew with -u)', async () => {
  await expect(configurationDocument()).toMatchFileSnapshot('../../docs/configuration.md');
});
