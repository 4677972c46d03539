/** The interfaces of configurations are those of the schemas: as text, and to the compiler. */
import { expect, expectTypeOf, it } from 'vitest';
import type { z } from 'zod';
import { configurationTypes } from '../../scripts/configurationTypes.js';
import type { DataConfig, ModelConfig, SimulationConfig, SolverOptions } from '../../src/config/interfaces.js';
import type { dataConfigSchema } from '../../src/config/schemas/data.js';
import type { modelConfigSchema } from '../../src/config/schemas/model.js';
import type { simulationConfigSchema } from '../../src/config/schemas/simulation.js';
import type { solverOptionsSchema } from '../../src/config/schemas/solver.js';

it('src/config/interfaces.ts says what the schemas say (npm run docs:configuration writes it anew)', async () => {
  await expect(await configurationTypes()).toMatchFileSnapshot('../../src/config/interfaces.ts');
});

it('the compiler takes what a schema gives for the interface, and the other way round', () => {
  type Settled = z.output<typeof simulationConfigSchema>;
  expectTypeOf<Settled>().toExtend<SimulationConfig>();
  expectTypeOf<SimulationConfig>().toExtend<Settled>();
  expectTypeOf<Readonly<z.output<typeof dataConfigSchema>>>().toEqualTypeOf<DataConfig>();
  expectTypeOf<Readonly<z.output<typeof modelConfigSchema>>>().toEqualTypeOf<ModelConfig>();
  // Types of devices are words or any text: the same, but not to the letter.
  type Solver = Readonly<z.output<typeof solverOptionsSchema>>;
  expectTypeOf<Solver>().toExtend<SolverOptions>();
  expectTypeOf<SolverOptions>().toExtend<Solver>();
});
