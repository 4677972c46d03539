/** `ptychopinn setup-cuda`: fetches the CUDA libraries of ONNX Runtime by onnxruntime-node's own install script. */
import type { CudaSetup } from '../../workflows/setupCuda.js';
import { commandOf } from '../run.js';

export const command = commandOf({
  json: 'Print the result as JSON.',
  others: 'quiet',
  options: (setup) => setup.option('--dry_run', 'Only say what would be fetched, and from where.'),
  interrupted: 'stopping the installation',
  work: async ({ given, services }) =>
    (await import('../../workflows/setupCuda.js')).setupCuda({ dry_run: given.dry_run === true }, services),
  text: setupText,
  always: true,
});

function setupText({ fetches, files, installed, before }: CudaSetup): string {
  if (!installed)
    return `onnxruntime-node's install script would fetch ${fetches.join(' and ')}:\n  ${files.join('\n  ')}\n`;
  const state = before ? 'The CUDA libraries are there already' : 'The CUDA libraries are installed';
  return `${state}:\n  ${files.join('\n  ')}\nThey also need CUDA 12, cuDNN 9 and a driver; "ptychopinn doctor" tells whether they work.\n`;
}
