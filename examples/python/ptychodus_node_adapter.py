"""ptychopinn for a Ptychodus-style host in Python: reconstructors that work in a process of their own.

    worker = Worker(['ptychopinn', 'worker'], settings={'PtychoPINNTraining': {'NumEpochs': 20}})
    pinn = worker.reconstructors['PtychoPINN/PINN']
    pinn.load_model_from_file('run/wts.zip')
    for output in pinn.reconstruct(parameters):  # previews, then the result
        show(output.product, output.progress)
    lsqml = worker.reconstructors['PtychoPINN/LSQML']  # needs no model

Needs NumPy and Python 3.9, and nothing of the host: `parameters` is its ReconstructInput, products come back with its classes. Both
generations of its interface are there: get_name, open_model, train(path) -> output; name, train(path, path) -> iterator. Where
`ptychodus.api` can be imported, its abstract classes know ours. See specs/worker.md, and ptychodus_with_ptychopinn.py for the host's menus.
"""
import dataclasses, json, logging, os, struct, subprocess, tempfile, threading
from collections import namedtuple
from pathlib import Path
import numpy as np

PREFIX = struct.Struct('<4sIQ')  # magic, bytes of the header, bytes of the arrays
LARGE = 2 ** 30  # bytes; together, arrays in a frame may have twice as many, so that what is larger goes through a file
METADATA = ('probe_energy_eV', 'exposure_time_s', 'probe_photon_count', 'mass_attenuation_m2_kg', 'tomography_angle_deg')
LossValue = namedtuple('LossValue', 'epoch value')
class WorkerError(RuntimeError): __str__ = lambda self: str(self.args[0])  # args: message, code

class ReconstructOutput(namedtuple('ReconstructOutput', 'product progress result')):
    status = property(lambda self: self.result)  # 0 where all is well, 130 where it was cancelled; the newer hosts' name
class TrainOutput(namedtuple('TrainOutput', 'training_loss validation_loss progress result')):
    status = property(lambda self: self.result)

class Worker:
    """The process; one request is at work at a time. It ends with `close`, or with the host; one that died is started anew."""

    def __init__(self, command=('ptychopinn', 'worker'), settings=None, log_level='INFO', logger=None):
        self.logger, self.settings, self.command = logger or logging.getLogger('ptychopinn'), {}, list(command)
        self.log_level, self._given, self.process, self._number = log_level, {}, None, 0
        self._turn, self._writing, self._closed, self._scratch = threading.Lock(), threading.Lock(), False, None
        self._remember(settings or {})
        answer = self.call('settings/describe')
        self.described = answer['groups']  # {group: {parameter: kind, value, default, minimum, maximum}}
        self.reconstructors = {
            about['name']: (TrainableReconstructor if about['is_trainable'] else Reconstructor)(self, about)
            for about in self.about['reconstructors']
        }

    def set_settings(self, settings):
        """Later settings, {group: {parameter: value}}; a worker that has to be started anew gets them, too."""
        self._remember(settings)
        for note in self.call('settings/set', settings=settings)['notes']: self.logger.warning(note)

    def set_log_level(self, level):
        self.log_level = level
        self.call('log/level', level=level)

    def _remember(self, settings):
        for group, values in settings.items(): self._given.setdefault(group, {}).update(values)

    def scratch(self):
        """A folder for models that nobody gave a folder; it goes with the host."""
        self._scratch = self._scratch or tempfile.TemporaryDirectory(prefix='ptychopinn-')
        return self._scratch.name

    def _start(self):
        if self._closed: raise WorkerError('The worker was closed; make another.', 'USAGE')
        try:
            # A session of its own: Ctrl-C in a terminal is for the host to handle, and must not end the worker.
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        except OSError as error:
            raise WorkerError(f'The worker cannot be started ({" ".join(self.command)}): {error}.', 'WORKER') from None
        fields = {'protocol': 1, 'log_level': self.log_level, 'settings': self._given}
        try:
            self.about = list(self._frames(self._send('initialize', {}, fields)))[-1][0]['answer']
        except WorkerError:
            self.process.kill()
            raise
        for note in self.about['notes']: self.logger.warning(note)
        self.models_lost = set(getattr(self, 'reconstructors', ()))  # names whose model has to be opened again

    def call(self, verb, arrays=None, **fields):  # where other frames than the last do not matter
        return list(self.request(verb, arrays, **fields))[-1][0]['answer']

    def request(self, verb, arrays=None, wait=False, **fields):
        """(header, arrays) of each frame that belongs to a request, `end` included; leaving the loop cancels it."""
        if not self._turn.acquire(blocking=wait):
            raise WorkerError(f'Another request is at work, so "{verb}" has to wait; cancel that one or follow it to its end.', 'USAGE')
        files = []
        try:
            if self.process is None or self.process.poll() is not None: self._start()
            frames = self._frames(self._send(verb, arrays or {}, fields, files))
            for frame in frames: yield frame
        except GeneratorExit:
            self.cancel()
            list(frames)
            raise
        except KeyboardInterrupt:  # perhaps in the middle of a frame
            self.process.terminate()
            raise
        finally:
            for file in files: os.unlink(file)
            self._turn.release()

    def cancel(self):  # from any thread; the loop over what is at work comes to its end
        if self.process and self.process.poll() is None: self._send('cancel', {}, {})

    def close(self):
        self._closed = True
        if self.process is None: return
        try:
            self.process.stdin.close()
            self.process.wait(10)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self.process.kill()

    def _frames(self, number):
        tag = error = None
        while tag != 'end':
            frame, arrays = self._receive()
            if frame['tag'] == 'log':
                self.logger.getChild(frame['logger']).log(frame['level'], frame['message'])
            elif frame['tag'] == 'error' and frame['id'] in (number, None):
                error = WorkerError(frame['message'], frame['code'])
            elif frame['id'] == number:  # not the end of a `cancel`
                tag = frame['tag']
                self.settings = frame.get('settings', self.settings)
                if tag != 'end' or not error:
                    yield frame, arrays
        if error: raise error

    def _send(self, verb, arrays, fields, files=()):
        data = {name: np.ascontiguousarray(a, np.asarray(a).dtype.newbyteorder('<')) for name, a in arrays.items()}
        blobs = [{'name': name, 'dtype': a.dtype.name, 'shape': a.shape} for name, a in data.items() if a.nbytes <= LARGE]
        for name in [name for name, a in data.items() if a.nbytes > LARGE]:
            handle, file = tempfile.mkstemp('.npy', 'ptychopinn-')
            files.append(file)
            with os.fdopen(handle, 'wb') as npy: np.save(npy, data.pop(name), allow_pickle=False)
            blobs.append({'name': name, 'path': file})
        with self._writing:
            self._number += 1
            header = json.dumps({'verb': verb, 'id': self._number, 'blobs': blobs, **fields}).encode()
            prefix = PREFIX.pack(b'PTYW', len(header), sum(a.nbytes for a in data.values()))
            try:
                for piece in (prefix, header, *(a.reshape(-1).view(np.uint8).data for a in data.values())):
                    self.process.stdin.write(piece)
                self.process.stdin.flush()
                return self._number
            except BrokenPipeError:
                raise self._gone() from None

    def _receive(self):
        magic, header_bytes, _ = PREFIX.unpack(self._read(PREFIX.size))
        if magic != b'PTYW':
            self.process.kill()
            raise WorkerError('What the command writes to its standard output is not the protocol of ptychopinn.', 'PROTOCOL')
        header, arrays = json.loads(self._read(header_bytes)), {}
        for blob in header.pop('blobs', []):
            empty = np.empty(blob['shape'], np.dtype(blob['dtype']).newbyteorder('<'))
            arrays[blob['name']] = np.frombuffer(bytearray(self._read(empty.nbytes)), empty.dtype).reshape(empty.shape)
        return header, arrays

    def _read(self, count):
        data = self.process.stdout.read(count)
        if len(data) < count: raise self._gone()
        return data

    def _gone(self):
        try: code = self.process.wait(10)
        except subprocess.TimeoutExpired: self.process.kill(); code = self.process.wait()
        return WorkerError(f'The worker has ended with exit code {code}.', 'WORKER')

def either(thing, *names):  # hosts have renamed some attributes
    return next(getattr(thing, name) for name in names if hasattr(thing, name))

def request_of(parameters):
    """The product's part of a header, and arrays, from the host's ReconstructInput."""
    product, meta, obj = parameters.product, parameters.product.metadata, parameters.product.object_
    positions, probes = either(product, 'probe_positions', 'positions', 'scan'), either(product, 'probes', 'probe')
    numbers = {key: getattr(meta, key, 0) for key in METADATA}
    numbers['detector_object_distance_m'] = either(meta, 'detector_distance_m', 'detector_object_distance_m')
    for name, pixel in (('probe', probes.get_pixel_geometry()), ('object', obj.get_pixel_geometry())):
        numbers.update({f'{name}_pixel_width_m': pixel.width_m, f'{name}_pixel_height_m': pixel.height_m})
    numbers['object_center_x_m'], numbers['object_center_y_m'] = obj.get_center().coordinate_x_m, obj.get_center().coordinate_y_m
    index, x, y = np.array([(p.index, p.coordinate_x_m, p.coordinate_y_m) for p in positions], float).reshape(-1, 3).T
    epoch, loss = np.array([(loss.epoch, loss.value) for loss in product.losses], float).reshape(-1, 2).T
    arrays = {
        'patterns': either(parameters, 'diffraction_patterns', 'patterns'), 'bad_pixels': parameters.bad_pixels,
        'indexes': index,  # the host has paired patterns and positions, row by row
        'probe_position_indexes': index, 'probe_position_x_m': x, 'probe_position_y_m': y,
        'probe': probes.get_array(), 'object': obj.get_array(), 'object_layer_spacing_m': np.array(obj.layer_spacing_m, float),
        'opr_weights': getattr(probes, 'get_opr_weights_or_none', lambda: getattr(probes, '_opr_weights', None))(),
        'loss_epochs': epoch, 'loss_values': loss,
    }
    header = {'name': meta.name, 'comments': meta.comments, **{key: float(value) for key, value in numbers.items()}}
    return header, {name: np.asarray(array) for name, array in arrays.items() if array is not None}

def product_with(product, arrays):
    """The host's product with the object, in the same geometry, and the losses; with a solver's probe and positions, too."""
    old, array, probe, more = product.object_, arrays['object'], arrays.get('probe'), {}
    spacing = [] if len(array) == 1 else old.layer_spacing_m
    new = type(old)(array=array, pixel_geometry=old.get_pixel_geometry(), center=old.get_center(), layer_spacing_m=spacing)
    kind = type(product.losses[0]) if len(product.losses) else LossValue
    losses = [kind(int(epoch), float(value)) for epoch, value in zip(arrays['loss_epochs'], arrays['loss_values'])]
    x, y = (arrays.get(f'probe_position_{axis}_m', np.empty(0)).tolist() for axis in 'xy')
    for name, part in vars(product).items():
        if name in ('probes', 'probe') and probe is not None and not np.array_equal(np.complex64(part.get_array()), probe):
            more[name] = type(part)(probe, arrays.get('opr_weights'), part.get_pixel_geometry())
        elif name in ('probe_positions', 'positions', 'scan') and x:
            more[name] = type(part)([dataclasses.replace(p, coordinate_x_m=a, coordinate_y_m=b) for p, a, b in zip(part, x, y)])
    return dataclasses.replace(product, object_=new, losses=losses, **more)

class Reconstructor:
    """One that needs no model, in both generations; `product_path` gets the product as a file, too."""
    is_trainable = False

    def __init__(self, worker, about):
        self.worker, self.about, self.display_name = worker, about, about['name']
        self.library, self.name = about['name'].split('/')
        self.model_path, self.product_path = None, None

    def get_name(self): return self.name  # the host puts the library's name before it
    def get_progress_goal(self): return self.about['progress_goal']
    def get_model_file_filter(self): return self.about.get('model_file_filter', '')  # solvers have no models
    def get_model_file_extension(self): return self.about.get('model_file_extension', '')

    def reconstruct(self, parameters):
        product, arrays = request_of(parameters)
        output = {} if self.product_path is None else {'path': str(self.product_path), 'arrays': True}
        for frame, got in self._request('reconstruct/start', arrays, wait=True, product=product, output=output):
            if frame['tag'] == 'output':
                yield ReconstructOutput(product_with(parameters.product, got), frame['progress'], frame['result'])

    def _request(self, verb, arrays=None, wait=False, **fields):
        self._reopen()
        return self.worker.request(verb, arrays, wait, reconstructor=self.display_name, **fields)

    def _reopen(self):  # after a worker died, the next one has to know the model
        died = self.worker.process is not None and self.worker.process.poll() is not None
        lost = self.display_name in self.worker.models_lost
        if self.model_path is not None and (died or lost):
            self.worker.call('model/open', reconstructor=self.display_name, path=str(self.model_path))
        self.worker.models_lost.discard(self.display_name)

class TrainableReconstructor(Reconstructor):
    """One that has a model, given or trained."""
    is_trainable = True

    def get_training_data_file_filter(self): return self.about['training_data_file_filter']
    def get_training_data_path(self): return Path(self.worker.settings['PtychoPINNTraining']['DataDir'])
    def is_model_loaded(self): return self.model_path is not None and self.worker.process.poll() is None

    def open_model(self, file_path):
        self.worker.call('model/open', reconstructor=self.display_name, path=str(file_path))
        self.worker.models_lost.discard(self.display_name)
        self.model_path = Path(file_path)
    load_model_from_file = open_model
    def save_model(self, file_path):
        list(self._request('model/save', path=str(file_path)))
    def export_training_data(self, file_path, parameters):
        product, arrays = request_of(parameters)
        list(self._request('training/export', arrays, path=str(file_path), product=product))

    def train(self, input_dir, output_dir=None):
        """With a folder for the model: an iterator. Without (the setting OutputDir counts, if set): the output after all epochs."""
        chosen = self.worker.settings['PtychoPINNTraining']['OutputDir']
        unset = output_dir is None and (not chosen or chosen.startswith('/path/to/'))
        folders = {'input_dir': input_dir, 'output_dir': self.worker.scratch() if unset else output_dir}
        steps = self._train({key: str(folder) for key, folder in folders.items() if folder is not None})
        return list(steps)[-1] if output_dir is None else steps

    def _train(self, folders):
        for frame, _ in self.worker.request('train/start', reconstructor=self.display_name, **folders):
            if frame['tag'] == 'model_saved':
                self.worker.models_lost.discard(self.display_name)
                self.model_path = Path(frame['path'])
            elif frame['tag'] == 'train_output':
                columns = [zip(frame[key]['epochs'], frame[key]['values']) for key in ('training_loss', 'validation_loss')]
                losses = [[LossValue(e, float('nan') if v is None else v) for e, v in column] for column in columns]
                yield TrainOutput(*losses, frame['progress'], frame['result'])

try:
    from ptychodus.api import reconstructor as host
except ImportError:
    pass  # another host, or none
else:
    for ours, theirs in ((Reconstructor, 'Reconstructor'), (TrainableReconstructor, 'TrainableReconstructor')):
        if hasattr(host, theirs): getattr(host, theirs).register(ours)
