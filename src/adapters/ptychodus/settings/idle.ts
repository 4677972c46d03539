/** What is said of a setting that changes nothing. */
import type { Parameter } from './parameters.js';

/** `PtychoPINNModel/ProbeScale = 3 has no effect here: …` */
export const idle = ({ group, name, value }: Pick<Parameter, 'group' | 'name' | 'value'>, why: string): string =>
  `${group}/${name} = ${String(value)} has no effect here: ${why}.`;
