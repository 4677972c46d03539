"""Drives a host, the stand-in in `host` or a real Ptychodus, with our libraries: python host_checks.py JSON_OF_OPTIONS

Options: `launcher` (folder of ptychodus_with_ptychopinn.py), `folder` (to write in), `patterns`, `product`. Prints what it saw as JSON.
"""
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

options = json.loads(sys.argv[1])
folder, patterns, product = Path(options['folder']), Path(options['patterns']), Path(options['product'])
launcher = Path(options['launcher']) / 'ptychodus_with_ptychopinn.py'
sys.path.insert(0, options['launcher'])

import h5py
import numpy as np
import ptychodus_with_ptychopinn as launch
from ptychodus.api import reconstructor as api

seen = {}


class Host:
    """The same words for both."""

    def __init__(self, model):
        self.model, core = model, model.reconstructor_core
        self.real = hasattr(core, 'reconstructor_api')
        self.api = core.reconstructor_api if self.real else core

    def names(self):
        core = self.model.reconstructor_core
        return list(core.presenter.reconstructors()) if self.real else core.names()

    def choose(self, name):
        core = self.model.reconstructor_core
        if self.real:
            core.presenter.set_reconstructor(name)
            return core.presenter.get_reconstructor(), core.presenter.is_trainable
        core.chooser.choose(name)
        return core.chooser.plugins[core.chooser.current][0], core.is_trainable

    def open(self):
        if self.real:
            self.model.workflow_api.import_assembled_patterns(patterns)
            self.given = self.model.workflow_api.open_product(product).get_product_index()
        else:
            self.model.open_patterns(patterns)
            self.given = self.model.open_product(product)
        return self.product(self.given)

    def reconstruct(self):
        """Waits for the end, as batch mode and scripts do: whoever forgets to say that it has come is waited for forever."""
        made = self.api.reconstruct(self.given, block=True)
        self.model.run_tasks()
        return self.product(made)

    def product(self, index):
        return self.model.product_core.product_repository[index].get_product() if self.real else self.model.products[index]

    def parameter(self, group, key):
        return self.model.settings_registry[group].parameters()[key]


def settings_file(name, text):
    (folder / name).write_text(text)
    return folder / name


# In process: the host's own model, with our libraries among its own.
worker = launch.Worker(launch.worker_command(), logger=logging.getLogger(launch.LOGGER))
launch.add_to_host(worker, True)
launch.end_batch = None  # failures are handled as in the window
from ptychodus.model import ModelCore

settings = settings_file('start.ini', '[PtychoPINNSolver]\nNumEpochs = 2\n[PtychoPINNNode]\nThreads = 1\nAccelerator = cpu\n[Reconstructor]\nAlgorithm = PtychoPINN/rPIE\n')
with ModelCore(settings, log_level=logging.ERROR) as model:
    host = Host(model)
    seen['real'], seen['names'] = host.real, host.names()
    seen['algorithm'] = host.choose('there is none of this name')
    seen['selected'] = {name: host.choose(name) for name in host.names()}
    everyone = list(worker.reconstructors.values())
    seen['abstract'] = [
        all(isinstance(r, api.Reconstructor) for r in everyone),
        all(isinstance(r, api.TrainableReconstructor) == r.is_trainable for r in everyone),
        issubclass(launch.Library, api.ReconstructorLibrary),
    ]
    given = host.open()

    # Settings of the file, then of the window.
    host.choose('PtychoPINN_lsqml')
    first = host.reconstruct()
    seen['first'] = [first.metadata.name, len(first.losses), first.metadata.comments]
    host.parameter('PtychoPINNSolver', 'NumEpochs').set_value(3)
    host.choose('PtychoPINN/rPIE')
    second = host.reconstruct()
    seen['second'] = [second.metadata.name, len(second.losses), list(second.object_.get_array().shape), second.metadata.comments]
    seen['changed'] = float(np.abs(second.object_.get_array() - given.object_.get_array()).max())
    seen['geometry'] = [second.object_.get_center() == given.object_.get_center(), second.object_.get_pixel_geometry() == given.object_.get_pixel_geometry()]
    model.settings_registry.save_settings(folder / 'saved.ini')
    seen['saved'] = [line for line in (folder / 'saved.ini').read_text().splitlines() if line.startswith(('[PtychoPINNSolver]', 'NumEpochs'))]

    # What fails comes to an end, and the product says so.
    host.choose('PtychoPINN/PINN')
    failed = host.reconstruct()
    seen['failed'] = [failed.metadata.comments, float(np.abs(failed.object_.get_array() - given.object_.get_array()).max())]
    # A worker that was killed is started again.
    worker.process.kill()
    worker.process.wait()
    host.choose('PtychoPINN/rPIE')
    seen['after_kill'] = [len(host.reconstruct().losses), worker.process.poll()]

    # Training as the menus do it: export, train, save, open; the settings follow the model.
    host.choose('PtychoPINN-onnx/PINN')
    data = folder / 'data'
    data.mkdir()
    for name in ('train_data.npz', 'test_data.npz'):
        host.api.export_training_data(data / name, host.given)
    host.parameter('PtychoPINNTraining', 'NumEpochs').set_value(2)
    host.parameter('PtychoPINNModel', 'NumFiltersScale').set_value(1)
    output = host.api.train(data)
    seen['trained'] = [output.result, len(output.training_loss), len(output.validation_loss)]
    host.api.save_model(folder / 'model.zip')
    host.parameter('PtychoPINNModel', 'NumFiltersScale').set_value(2)
    host.choose('PtychoPINN/PINN')
    host.api.open_model(folder / 'model.zip')
    seen['follows'] = [host.parameter('PtychoPINNModel', 'NumFiltersScale').get_value(), str(host.parameter('PtychoPINNInference', 'ModelPath').get_value())]
    worker.process.kill()  # the model is opened again, too
    worker.process.wait()
    network = host.reconstruct()
    seen['network'] = [network.metadata.name, network.metadata.comments, bool(np.isfinite(network.object_.get_array()).all()), len(network.losses)]
    try:
        host.api.open_model(folder / 'nothing.zip')
    except Exception as error:
        seen['refused'] = str(error)
worker.close()


# The launcher, in processes of its own.
def batch(action, source, target, *more, log_level=40):
    started = time.time()
    command = [sys.executable, '-B', str(launcher), '-b', action, '-i', str(source), '-o', str(target), '--log-level', str(log_level), *map(str, more)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return {'code': done.returncode, 'said': (done.stdout + done.stderr)[-2000:], 'seconds': round(time.time() - started, 1), 'files': sorted(os.listdir(target))}


def staged(name, algorithm, more=''):
    """A folder as this host stages it: Python 3.10 and 3.11 make its members' names of another kind."""
    source = folder / name
    source.mkdir()
    try:
        from ptychodus.api.io import StandardFileLayout as layout

        names = [source / layout.SETTINGS, source / layout.DIFFRACTION, source / layout.PRODUCT_IN]
    except ImportError:
        names = [source / 'settings.ini', source / 'diffraction.h5', source / 'product-in.h5']
    names[0].write_text(f'[Reconstructor]\nAlgorithm = {algorithm}\n[PtychoPINNNode]\nThreads = 1\nAccelerator = cpu\n{more}')
    names[1].write_bytes(patterns.read_bytes())
    names[2].write_bytes(product.read_bytes())
    return source


seen['batch'] = batch('reconstruct', staged('staged', 'PtychoPINN/rPIE', '[PtychoPINNSolver]\nNumEpochs = 2\n'), folder / 'done')
made = [file for file in (folder / 'done').iterdir() if 'PRODUCT_OUT' in file.name or file.name == 'product-out.h5']
if made:
    with h5py.File(made[0]) as out, h5py.File(product) as source:
        seen['batch_product'] = [out.attrs['name'], len(out['loss_values']), float(np.abs(out['object'][()] - source['object'][()]).max())]
seen['batch_fails'] = batch('reconstruct', staged('staged2', 'PtychoPINN/PINN'), folder / 'failed')
with_model = f'[PtychoPINNInference]\nModelPath = {folder / "model.zip"}\n'
seen['batch_network'] = batch('reconstruct', staged('staged3', 'PtychoPINN_PINN', with_model), folder / 'network')
train_ini = settings_file('train.ini', '[Reconstructor]\nAlgorithm = PtychoPINN/PINN\n[PtychoPINNTraining]\nNumEpochs = 1\n[PtychoPINNModel]\nNumFiltersScale = 1\n[PtychoPINNNode]\nThreads = 1\nAccelerator = cpu\n')
seen['batch_train'] = batch('train', data, folder / 'trained', '-s', train_ini)
seen['batch_untrained'] = batch('train', folder / 'done', folder / 'untrained', '-s', train_ini)
# Developers see placeholders of what is not installed; ours are in their place, and none is there twice.
seen['developer'] = subprocess.run(
    [sys.executable, '-B', '-c', f'''
import sys, logging
sys.path.insert(0, {options["launcher"]!r})
import ptychodus_with_ptychopinn as launch
worker = launch.Worker(launch.worker_command())
launch.add_to_host(worker, True)
from ptychodus.model import ModelCore
sys.stdout = open("/dev/null", "w")
with ModelCore(None, log_level=logging.DEBUG) as model:
    core = model.reconstructor_core
    names = list(core.presenter.reconstructors()) if hasattr(core, "presenter") else core.names()
    ours = [name for name in names if name.startswith("PtychoPINN")]
    sys.stderr.write("NAMES" + str(len(ours) - len(set(ours))) + "\\n")
worker.close()
'''], capture_output=True, text=True).stderr.split('NAMES')[-1].strip()  # fmt: skip
no_worker = dict(os.environ, PTYCHOPINN_WORKER='/no/such/program worker')
seen['no_worker'] = [*subprocess.run([sys.executable, '-B', str(launcher)], env=no_worker, capture_output=True, text=True).stderr.splitlines()[-1:]]
print(json.dumps(seen))
