/** The package's own name and version, for what we write. */
import { readFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  name: string;
  version: string;
};

/** `{ package: 'ptychopinn', version: '…' }`. */
export const createdBy = { package: manifest.name, version: manifest.version } as const;
