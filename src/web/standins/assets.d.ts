/** What `scripts/build-web.mjs` builds into the scripts of pages. */
/** Deflated: the text of base64 does not deflate well. */
declare module 'asset:kernels' {
  const bytes: Uint8Array;
  export default bytes;
}
declare module 'asset:hdf5' {
  const factory: unknown;
  export default factory;
}
declare module 'asset:hdf5-plugins' {
  const plugins: Readonly<Record<string, Uint8Array>>;
  export default plugins;
}
