/** The package's own name and version, for what we write; a constant, so that importing reads no file and bundles carry it. */

/** `{ package: 'ptychopinn', version: '…' }`; a test compares it with package.json. */
export const createdBy: { readonly package: string; readonly version: string } = {
  package: 'ptychopinn',
  version: '0.1.0',
};
