// A page that solves a scan that is dropped on it. `npm run build` of this folder makes `dist` of it, with Vite or with esbuild.
import { connect, isPtychoError, renderPhase } from 'ptychopinn/web/session';

const session = connect(new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }));
const [input, button, output, canvas, save] = ['input', 'button', 'output', 'canvas', '.save'].map((name) =>
  document.querySelector(name),
); // prettier-ignore
session.onLog = (_level, message) => console.log(message);

input.addEventListener('change', async () => {
  try {
    await solve([...input.files]);
  } catch (error) {
    output.textContent = isPtychoError(error) ? error.message : String(error);
  }
});

async function solve(files) {
  const paths = [];
  for (const file of files) paths.push(await session.addFile(file));
  const { scan, count, N } = await session.openScan(paths[0]).done;
  output.textContent = `${count} patterns of ${N} × ${N}`;
  const started = performance.now();
  const run = session.solve(
    scan,
    { options: { algorithm: 'rpie', epochs: 20 } },
    {
      onUpdate({ epoch, epochs, rFactor, shown }) {
        output.textContent = `epoch ${epoch} of ${epochs}, R ${rFactor.toFixed(4)}`;
        if (shown) draw(shown);
      },
    },
  ); // prettier-ignore
  let paused = false;
  button.disabled = false;
  button.onclick = () => {
    paused = !paused;
    if (paused) run.pause();
    else run.continue();
    button.textContent = paused ? 'Continue' : 'Pause';
  };
  const result = await run.done;
  button.disabled = true;
  draw(result);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  output.textContent = `R ${result.rFactor.toFixed(4)} after ${seconds} s: ${result.engine}`;
  save.hidden = false;
  save.onclick = async () => {
    const [path] = await session.save(result.result, 'npz');
    offer(path.split('/').pop(), await session.readFile(path));
  };
}

/** Lets the user keep a file. */
function offer(name, bytes) {
  const link = document.createElement('a');
  link.download = name;
  link.href = URL.createObjectURL(new Blob([bytes]));
  link.click();
}

function draw({ image, coverage }) {
  const { data, width, height } = renderPhase(image, { mask: coverage.data.map((light) => (light > 0.1 ? 1 : 0)) });
  const pixels = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) pixels.data.set([...data.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  Object.assign(canvas, { width, height });
  canvas.getContext('2d').putImageData(pixels, 0, 0);
}
