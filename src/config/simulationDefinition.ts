/** What a simulated scan is configured by; beside the other commands, for simulations need none of them. */
import { type ConfigDefinition, sectionsOf } from './definition.js';
import { SIMULATION_GROUPS, type SimulationConfig, simulationConfigSchema } from './schemas/simulation.js';
import { expandSimulation } from './simulationPresets.js';

/** `simulate`: a scan with a known object. */
export const simulationDefinition: ConfigDefinition<SimulationConfig> = {
  name: 'simulation',
  schema: simulationConfigSchema,
  sections: sectionsOf(SIMULATION_GROUPS),
  expand: expandSimulation,
};
