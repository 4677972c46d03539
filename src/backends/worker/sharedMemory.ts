/**
 * The worker's side of values that several engines share (`Backend.peers`): from a state into shared memory, sums there, and back into a
 * state. Who calls waits for all answers between these, so that no engine reads what another one is still writing.
 */
import type { Arrays, EngineCalls, SharedCalls } from './host.js';

/** Answers {@link SharedCalls} for an engine. */
export function sharedMemoryOf(engine: Pick<EngineCalls, 'readState' | 'writeState'>): SharedCalls {
  return {
    async copyOut(state, names, { memory, offset }, clear) {
      const values = await engine.readState(state, names);
      let at = offset;
      for (const name of names) {
        new Float32Array(memory).set(values[name], at);
        at += values[name].length;
        if (clear) values[name].fill(0);
      }
      if (clear) await engine.writeState(state, values);
    },
    async copyIn(state, lengths, { memory, offset }) {
      const values: Arrays = {};
      let at = offset;
      for (const [name, length] of Object.entries(lengths)) {
        // Engines take no shared memory: what they are given is a copy.
        values[name] = new Float32Array(memory, 4 * at, length).slice();
        at += length;
      }
      await engine.writeState(state, values);
    },
    async addUp({ memory, offsets: [into, ...others], count }) {
      const sums = new Float32Array(memory, 4 * into, count);
      for (const offset of others) {
        const terms = new Float32Array(memory, 4 * offset, count);
        for (let i = 0; i < count; i++) sums[i] += terms[i];
      }
    },
  };
}
