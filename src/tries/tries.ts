/**
 * What `reconstruct` tries beside the plain solver: one entry an option. A try goes on from the image as it stands with its option
 * switched on, and is kept where it explains the patterns that are held out better than the image without it.
 */
import type { SolverOptions } from '../config/schemas/solver.js';
import type { Share } from '../solvers/scan.js';

/** One option that may help. */
export interface Try {
  /** What `leave_out` and the files call it. */
  readonly name: string;
  /** What it does, after "with": `corrected positions`. */
  readonly title: string;
  /** Epochs after which it is judged. */
  readonly epochs: number;
  /** Tried on an image that rests, where small differences show; otherwise as soon as there is an image. */
  readonly rested: boolean;
  /** Once kept, it is tried again on top: one mode more, and one more. */
  readonly again: boolean;
  /** What several scans may share where it is tried. */
  readonly together: readonly Share[];
  /** The options with it, from those without; undefined where there is nothing to try. */
  readonly options: (without: Partial<SolverOptions>) => Partial<SolverOptions> | undefined;
}

/** More incoherent modes than this take more time than they bring. */
const MOST_MODES = 5;

/** Coherent modes of a beam that drifts: of one too few, of three little more was measured (docs/solvers.md). */
const COHERENT_MODES = 2;

/** Points of a way: enough for nine pixels, the longest that was measured. */
const POINTS = 6;

/** Positions are corrected with these options, each by itself or all together. */
export const movesPositions = ({ position_start, affine }: Partial<SolverOptions>): boolean =>
  affine === true || (position_start !== undefined && position_start !== null);

/** What solvers refuse of several scans (`solvers/together/refusals.ts`) is not tried with them. */
export const triesOf = (share: Share | null): readonly Try[] =>
  share === null ? TRIES : TRIES.filter(({ together }) => together.includes(share));

/** In the order in which they are tried; each sees what was kept before it. */
export const TRIES: readonly Try[] = [
  {
    name: 'flux',
    title: 'the intensity of every pattern',
    epochs: 5,
    rested: false,
    again: false,
    together: ['probe'],
    options: (without) => (without.flux ? undefined : { ...without, flux: true, opr_start: 1 }),
  },
  {
    name: 'fly_positions',
    title: 'six points of the way of every pattern',
    epochs: 5,
    rested: false,
    again: false,
    together: ['object', 'probe'],
    // Where the file says the ways: a mode or a varying beam would take up some of what they do.
    options: (without) => (without.fly_positions ? undefined : { ...without, fly_positions: POINTS }),
  },
  {
    name: 'affine',
    title: 'rotation and shear of the scan corrected',
    epochs: 8,
    rested: false,
    again: false,
    together: [],
    // Before single positions, which would hide it, and without them: they are another try. Scale and asymmetry take up other errors,
    // such as a mode that is wanting, while R of held-out patterns falls (docs/reconstruct.md).
    options: (without) =>
      movesPositions(without)
        ? undefined
        : {
            ...without,
            affine: true,
            affine_rule: 'gain',
            affine_freedom: 'rotation,shear',
            affine_start: 1,
            position_stop: 1,
          },
  },
  {
    name: 'positions',
    title: 'corrected positions',
    epochs: 5,
    // Every epoch at wrong positions is lost.
    rested: false,
    again: false,
    together: ['object', 'probe'],
    // What all share has been followed by then.
    options: (without) =>
      without.position_start
        ? undefined
        : { ...without, position_start: 1, ...(without.affine && { position_stop: null, affine_stop: 1 }) },
  },
  {
    name: 'modes',
    title: 'one more mode of the probe',
    epochs: 5,
    // While positions still move, a mode takes up what they get wrong.
    rested: true,
    again: true,
    together: ['object', 'probe'],
    options: (without) => {
      const modes = (without.probe_modes ?? 1) + 1;
      return modes > MOST_MODES ? undefined : { ...without, probe_modes: modes };
    },
  },
  {
    name: 'opr_modes',
    title: 'a beam that differs from pattern to pattern',
    epochs: 5,
    // After incoherent modes, for which it is no substitute; with the flux, without which it is less, or nothing.
    rested: true,
    again: false,
    together: ['probe'],
    options: (without) =>
      without.opr_modes ? undefined : { ...without, opr_modes: COHERENT_MODES, flux: true, opr_start: 1 },
  },
];
