import { useEffect, useState } from 'preact/hooks';
import { formatBytes } from 'ptychopinn/web/session';
import { dropMemory, goOn, openAddress, openSample, openServed, remembered, takeFiles } from '../actions.js';
import { useStore } from '../state.js';
import { Runs } from './Runs.js';

const READABLE = /\.(npz|npy|h5|hdf5|hdf|nxs|cxi|tiff?|zip)$/i;

/** Drop, choose, type an address, or take the sample. */
export function Open() {
  const { served } = useStore();
  const [over, setOver] = useState(false);
  const [address, setAddress] = useState('');
  const memory = remembered();
  useEffect(() => {
    const typed = /^#url=(.*)$/.exec(location.hash)?.[1];
    if (typed) {
      history.replaceState(null, '', location.pathname + location.search);
      void openAddress(decodeURIComponent(typed));
    }
  }, []);
  return (
    <div class="view">
      {memory ? (
        <p class="notice">
          A run on {memory.path.split('/').pop()} was not finished.{' '}
          <button type="button" onClick={() => void goOn()}>
            Go on with it
          </button>{' '}
          <button type="button" onClick={() => void dropMemory()}>
            Forget it
          </button>
        </p>
      ) : null}
      <section
        class={over ? 'drop over' : 'drop'}
        aria-label="Drop files here"
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          // The page takes them, wherever they are dropped.
          event.preventDefault();
          setOver(false);
        }}
      >
        <h2>Drop a scan here</h2>
        <p>
          HDF5 (Ptychodus, NeXus, Eiger), CXI, NPZ, TIFF; a bundle (wts.zip); an image (reconstruction.npz). Files that
          belong together are dropped together.
        </p>
        <p class="row">
          <label class="button">
            Choose files
            <input
              class="hidden"
              type="file"
              multiple
              onChange={(event) => void takeFiles([...(event.currentTarget.files ?? [])])}
            />
          </label>
          <button type="button" onClick={() => void openSample()}>
            Take a sample scan
          </button>
        </p>
        <form
          class="row"
          onSubmit={(event) => {
            event.preventDefault();
            if (address.trim() !== '') void openAddress(address.trim());
          }}
        >
          <label>
            or an address{' '}
            <input
              type="url"
              value={address}
              placeholder="https://…/scan.h5"
              onInput={(event) => setAddress(event.currentTarget.value)}
            />
          </label>
          <button type="submit">Open</button>
        </form>
        <p>
          <small>Everything is computed on this machine; nothing is sent anywhere.</small>
        </p>
      </section>
      {served ? (
        <section>
          <h2>In {served.name}</h2>
          <ul class="files">
            {served.files
              .filter(({ path }) => READABLE.test(path))
              .slice(0, 500)
              .map(({ path, bytes }) => (
                <li key={path}>
                  <button type="button" class="link" onClick={() => void openServed(path)}>
                    {path}
                  </button>{' '}
                  <small>{formatBytes(bytes)}</small>
                </li>
              ))}
          </ul>
          {served.complete ? null : <p>There are more files than are listed here.</p>}
          <Runs />
        </section>
      ) : null}
    </div>
  );
}
