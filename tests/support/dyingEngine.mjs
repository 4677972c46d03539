/** An engine whose thread ends without a word after so many runs, as one does that the system kills: `PTYCHOPINN_DYING_RUNS`. */
import ort from 'onnxruntime-node';

let left = Number(process.env.PTYCHOPINN_DYING_RUNS ?? 1);
const { InferenceSession } = ort;
export default {
  Tensor: ort.Tensor,
  env: ort.env,
  InferenceSession: {
    async create(...args) {
      const session = await InferenceSession.create(...args);
      return {
        release: () => session.release(),
        run(...feeds) {
          // Not counted: what a backend asks of a new engine, whose programs take two arrays at most.
          if (Object.keys(feeds[0]).length > 2 && left-- <= 0) process.exit(7);
          return session.run(...feeds);
        },
      };
    },
  },
};
