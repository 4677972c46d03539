"""The host's parts, put together: libraries in a fixed list, a menu of reconstructors, a thread for what takes long."""
import dataclasses
import logging
import queue
import sys
import threading
from pathlib import Path

import h5py
import numpy as np

from ptychodus.api.reconstructor import NullReconstructor, ReconstructInput, ReconstructorLibrary, TrainableReconstructor, TrainOutput
from ptychodus.api.settings import SettingsRegistry

from .product import read_product, write_product

logger = logging.getLogger(__name__)


class NetworkLibrary(ReconstructorLibrary):
    """The host's own library of our name: its settings are there, its reconstructors only where Python has the package."""

    name = 'PtychoPINN'

    def __init__(self, registry, developer):
        super().__init__('ptychopinn')
        model, training, inference = (registry.create_group(f'PtychoPINN{part}') for part in ('Model', 'Training', 'Inference'))
        model.create_integer_parameter('GridSize', 1, minimum=1, maximum=5)
        model.create_integer_parameter('NumFiltersScale', 2, minimum=1, maximum=4)
        training.create_path_parameter('DataDir', Path('/path/to/training_data'))
        training.create_integer_parameter('BatchSize', 16, minimum=1, maximum=1 << 30)
        training.create_integer_parameter('NumEpochs', 50, minimum=1)
        training.create_path_parameter('OutputDir', Path('/path/to/output_data'))
        inference.create_path_parameter('ModelPath', Path('/path/to/model.zip'))
        self._reconstructors = [NullReconstructor('PINN'), NullReconstructor('Supervised')] if developer else []

    def __iter__(self):
        return iter(self._reconstructors)


class TaskManager:
    """One thread for what takes long; what it hands back waits until a window runs it."""

    def __init__(self):
        self._background, self._foreground, self._stop = queue.Queue(), queue.Queue(), threading.Event()
        self._thread = threading.Thread(target=self._work)

    @property
    def is_stopping(self):
        return self._stop.is_set()

    def put_background_task(self, task):
        self._background.put(task)

    def put_foreground_task(self, task):
        self._foreground.put(task)

    def run_foreground_tasks(self):
        while not self._foreground.empty():
            self._foreground.get()()

    def start(self):
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join()

    def _work(self):
        while not self._stop.is_set():
            try:
                task = self._background.get(timeout=0.1)
            except queue.Empty:
                continue
            try:
                task()
            except Exception as error:  # it is logged, and whoever waits for the end goes on waiting
                logger.error(f'Background task failed: {error}')


class Chooser:
    """The menu. A name that it does not know changes nothing."""

    def __init__(self):
        self.plugins, self.current = [], 0

    def register(self, library, reconstructor):
        names = [f'{library.name}{mark}{reconstructor.get_name()}' for mark in '/_']
        self.plugins.append((*names, reconstructor))
        self.plugins.sort(key=lambda plugin: plugin[0])

    def choose(self, name):
        for index, plugin in enumerate(self.plugins):
            if name.casefold() in (plugin[0].casefold(), plugin[1].casefold()):
                self.current = index
                return

    @property
    def reconstructor(self):
        return self.plugins[self.current][2]


class ReconstructorCore:
    def __init__(self, task_manager, settings_registry, dataset, product_api, library_seq):
        self._tasks, self._dataset, self._products = task_manager, dataset, product_api
        self.algorithm = settings_registry.create_group('Reconstructor').create_string_parameter('Algorithm', 'pty-chi/LSQML')
        self.chooser = Chooser()
        for library in library_seq:
            for reconstructor in library:
                self.chooser.register(library, reconstructor)
            library.get_logger()
        self.is_reconstructing = False

    def names(self):
        return [plugin[0] for plugin in self.chooser.plugins]

    def input_of(self, index):
        patterns, indexes, bad_pixels = self._dataset
        product = self._products[index]
        places = {int(position.index): position for position in product.probe_positions}
        rows = [row for row, number in enumerate(indexes) if int(number) in places]
        kept = type(product.probe_positions)([places[int(indexes[row])] for row in rows])
        return ReconstructInput(patterns[rows], bad_pixels, dataclasses.replace(product, probe_positions=kept))

    def reconstruct(self, index, *, block=False):
        plugin = self.chooser.plugins[self.chooser.current]
        parameters = self.input_of(index)
        name = f'{parameters.product.metadata.name}_{plugin[1]}'
        out, finished = len(self._products), threading.Event()
        self._products.append(self._products[index])

        def put(product):
            self._products[out] = dataclasses.replace(product, metadata=dataclasses.replace(product.metadata, name=name))

        def task():
            self.is_reconstructing = True
            try:
                for output in plugin[2].reconstruct(parameters):
                    self._tasks.put_foreground_task(lambda product=output.product: put(product))
            finally:
                self.is_reconstructing = False
            finished.set()

        self._tasks.put_foreground_task(lambda: put(self._products[index]))
        self._tasks.put_background_task(task)
        while block and not self._tasks.is_stopping:
            if finished.wait(timeout=1):
                break
        return out

    def _trainable(self):
        if not isinstance(self.chooser.reconstructor, TrainableReconstructor):
            raise TypeError('Reconstructor is not trainable!')
        return self.chooser.reconstructor

    def open_model(self, file_path):
        self._trainable().open_model(file_path)

    def save_model(self, file_path):
        self._trainable().save_model(file_path)

    def export_training_data(self, file_path, index):
        self._trainable().export_training_data(file_path, self.input_of(index))

    def train(self, data_path):
        return self._trainable().train(data_path) if self.is_trainable else TrainOutput([], [], -1)

    @property
    def is_trainable(self):
        return isinstance(self.chooser.reconstructor, TrainableReconstructor)


class ModelCore:
    def __init__(self, settings_file=None, *, log_level=logging.WARNING):
        logging.basicConfig(level=log_level, stream=sys.stdout, format='[%(levelname)s] %(name)s: %(message)s')
        self.settings_registry, self._tasks = SettingsRegistry(), TaskManager()
        self.dataset, self.products = [None, None, None], []
        library = NetworkLibrary(self.settings_registry, developer=logger.getEffectiveLevel() <= logging.DEBUG)
        self.reconstructor_core = ReconstructorCore(self._tasks, self.settings_registry, self.dataset, self.products, [library])
        if settings_file:
            self.open_settings(settings_file)

    def __enter__(self):
        self._tasks.start()
        return self

    def __exit__(self, *_):
        self._tasks.stop()

    def run_tasks(self):
        self._tasks.run_foreground_tasks()

    def open_settings(self, file_path):
        self.settings_registry.open_settings(file_path)
        self.reconstructor_core.chooser.choose(self.reconstructor_core.algorithm.get_value())

    def open_patterns(self, file_path):
        with h5py.File(file_path) as file:
            self.dataset[:] = [np.asarray(file[key]) for key in ('patterns', 'indexes', 'bad_pixels')]

    def open_product(self, file_path):
        self.products.append(read_product(file_path))
        return len(self.products) - 1

    def batch_mode_execute(self, action, source, target):
        target.mkdir(parents=True, exist_ok=True)
        core = self.reconstructor_core
        if action == 'train':  # settings are those of -s alone
            output = core.train(source)
            core.save_model(target)
            return output.result
        if (source / 'settings.ini').is_file():
            self.open_settings(source / 'settings.ini')
        self.open_patterns(source / 'diffraction.h5')
        made = core.reconstruct(self.open_product(source / 'product-in.h5'), block=True)
        write_product(target / 'product-out.h5', self.products[made])
        return 0
