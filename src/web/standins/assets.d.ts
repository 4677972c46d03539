/** What `scripts/build-web.mjs` builds into the scripts of pages. */
declare module 'asset:kernels.wasm' {
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
