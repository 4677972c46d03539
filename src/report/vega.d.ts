/** What is used of the parts of Vega, which come without declarations of their own. */
declare module 'vega-parser' {
  export function parse(spec: object, config?: object, options?: { ast: boolean }): object;
}
declare module 'vega-view' {
  export class View {
    constructor(runtime: object, options: { renderer: 'none'; expr?: unknown });
    toSVG(): Promise<string>;
    finalize(): void;
  }
}
declare module 'vega-dataflow' {
  export const transforms: Record<string, unknown>;
}
declare module 'vega-interpreter' {
  export const expressionInterpreter: unknown;
}
declare module 'vega-transforms';
declare module 'vega-view-transforms';
declare module 'vega-encode';
