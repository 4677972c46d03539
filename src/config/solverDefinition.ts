/** What a solver alone is configured by: of all commands, the one that a page needs first. */
import { type ConfigDefinition, sectionsOf } from './definition.js';
import { translateElsewhere } from './elsewhere/translate.js';
import { type SolverOptions, solverOptionsSchema } from './schemas/solver.js';
import { withoutIdle } from './solverIdle.js';

/** The options of a solver alone. */
export const solverDefinition: ConfigDefinition<SolverOptions> = {
  name: 'solver',
  schema: solverOptionsSchema,
  sections: sectionsOf({ Solver: solverOptionsSchema.shape }),
  elsewhere: translateElsewhere,
  expand: withoutIdle,
};
