/** Lowerings of the ops that work element by element. */
import type { ElementOp, OpName } from '../../graph/node.js';
import type { Lowering, LoweringTable } from './lowering.js';
import { ONNX_BOOL, ONNX_FLOAT } from './proto.js';

/** An op that ONNX has under another spelling. */
const same =
  <O extends OpName>(onnx: string): Lowering<O> =>
  (_, x, { g }) =>
    g.op(onnx, x);

export const elementLowerings: LoweringTable<ElementOp> = {
  add: same('Add'),
  sub: same('Sub'),
  mul: same('Mul'),
  div: same('Div'),
  equal: (_, x, { g }) => g.op('Cast', [g.op('Equal', x)], { to: ONNX_FLOAT }),
  neg: same('Neg'),
  abs: same('Abs'),
  sign: same('Sign'),
  exp: same('Exp'),
  log: same('Log'),
  sqrt: same('Sqrt'),
  square: (_, [x], { g }) => g.op('Mul', [x, x]),
  sin: same('Sin'),
  cos: same('Cos'),
  sigmoid: same('Sigmoid'),
  tanh: same('Tanh'),
  atan: same('Atan'),
  relu: same('Relu'),
  silu: (_, [x], { g }) => g.op('Mul', [x, g.op('Sigmoid', [x])]),
  softplus: same('Softplus'),
  hat: (_, [z], { g }) => g.op('Relu', [g.op('Sub', [g.float(1), g.op('Abs', [z])])]),
  step: (_, [x], { g }) => g.op('Mul', [g.op('Add', [g.op('Sign', [x]), g.float(1)]), g.float(0.5)]),
  maximum: ({ attrs }, [x], { g }) => g.op('Max', [x, g.float(attrs.value)]),
  minimum: ({ attrs }, [x], { g }) => g.op('Min', [x, g.float(attrs.value)]),
  greater: ({ attrs }, [x], { g }) => g.op('Cast', [g.op('Greater', [x, g.float(attrs.value)])], { to: ONNX_FLOAT }),
  // y = relu x is never negative, so "not zero" is "positive"; two casts are the fastest mask (Sign and Where cost half more).
  reluGrad: (_, [dy, y], { g }) =>
    g.op('Mul', [dy, g.op('Cast', [g.op('Cast', [y], { to: ONNX_BOOL })], { to: ONNX_FLOAT })]),
};
