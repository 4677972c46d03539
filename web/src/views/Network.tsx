import { infer, saveModel, train } from '../actions.js';
import { Curve } from '../parts/Curve.js';
import { ImageView } from '../parts/ImageView.js';
import { Options } from '../parts/Options.js';
import { useForm, useStore } from '../state.js';

/** A network: its image of the open scan, and a training on it. */
export function Network() {
  const { scan, model, running, results, chosen, origins } = useStore();
  const [inferring, setInferring] = useForm('infer');
  const [training, setTraining] = useForm('train');
  const going = running && (running.what === 'infer' || running.what === 'train') ? running : undefined;
  const result = results.find((each) => each.result === chosen && origins.get(each.result)?.scan === scan?.scan);
  const shown = going?.shown ?? (result?.kind === 'inferred' ? result : undefined);
  const curve = going?.what === 'train' ? going.curve : [];
  return (
    <div class="view columns">
      <section class="side">
        <h2>Network</h2>
        {model ? (
          <>
            <dl class="facts">
              <dt>network</dt>
              <dd>{model.title}</dd>
              <dt>patterns</dt>
              <dd>
                {model.N}×{model.N}, groups of {model.gridsize ** 2}
              </dd>
              <dt>runs on</dt>
              <dd>
                {model.engine}, {model.device}
              </dd>
            </dl>
            <Options command="infer" first={[]} values={inferring} onValues={setInferring} sections={['Inference']} />
            <p class="row">
              <button
                type="button"
                class="main"
                disabled={running !== undefined || !scan}
                onClick={() => void infer(inferring)}
              >
                Reconstruct
              </button>
              <button type="button" disabled={running !== undefined} onClick={() => void saveModel(model.model)}>
                Save wts.zip
              </button>
            </p>
          </>
        ) : (
          <p>Drop a bundle (wts.zip) in Open, or train a network here.</p>
        )}
        <h2>Train</h2>
        {scan ? (
          <>
            <Options
              command="train"
              first={['nepochs', 'batch_size', 'n_filters_scale', 'gridsize']}
              values={training}
              onValues={setTraining}
              sections={['Training', 'Model']}
            />
            <button type="button" class="main" disabled={running !== undefined} onClick={() => void train(training)}>
              Train on this scan
            </button>
          </>
        ) : (
          <p>Open a scan first.</p>
        )}
      </section>
      <section class="wide">
        <h2>Image</h2>
        {shown ? (
          <ImageView
            image={shown.image}
            coverage={shown.coverage}
            label="Image of the network"
            pixel_m={scan?.geometry.objectPixel_m?.x}
            originYxPx={shown.frame.originYxPx}
          />
        ) : (
          <p>The image appears here.</p>
        )}
        {curve.length > 1 ? (
          <Curve
            title="Loss"
            x={curve.map(([x]) => x)}
            series={[{ name: 'training', y: curve.map(([, y]) => y) }]}
            xLabel="epoch"
            yLabel="loss"
          />
        ) : null}
      </section>
    </div>
  );
}
