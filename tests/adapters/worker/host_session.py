"""A whole session of a host: python host_session.py ADAPTER_FOLDER JSON_OF_OPTIONS; prints what it saw as JSON."""
import json
import logging
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, sys.argv[1])

import h5py
import numpy as np
import ptychodus_node_adapter as adapter
from fake_host import EarlierProduct, LaterProduct, input_of

options = json.loads(sys.argv[2])
folder, scan, count = Path(options['folder']), options['scan'], options.get('count')
seen = {}
records = []


class Keeping(logging.Handler):
    def emit(self, record):
        records.append([record.name, record.levelname, record.getMessage()])


logging.getLogger('ptychopinn').addHandler(Keeping())
logging.getLogger('ptychopinn').setLevel(logging.DEBUG)


def start():
    return adapter.Worker(options['command'], settings=options['settings'])


def deviation(a, b):
    return float(np.max(np.abs(np.asarray(a) - np.asarray(b)), initial=0.0))


# A model: training data exported from the host's input, then two epochs, as the newer host asks for them.
worker = start()
pinn = worker.reconstructors['PtychoPINN/PINN']
seen['names'] = [pinn.name, pinn.get_name(), pinn.get_model_file_filter(), pinn.get_model_file_extension(), pinn.get_training_data_file_filter()]
seen['trainable'] = [pinn.is_trainable, pinn.is_model_loaded()]
training, test = input_of(options['training_scan'], LaterProduct), input_of(options['training_scan'], EarlierProduct, 4)
(folder / 'data').mkdir()
pinn.export_training_data(folder / 'data' / 'train_data.npz', training)
pinn.export_training_data(folder / 'data' / 'test_data.npz', test)
steps = list(pinn.train(folder / 'data', folder / 'model'))
seen['epochs'] = [[loss.epoch for loss in step.training_loss] for step in steps]
seen['losses_finite'] = all(np.isfinite(loss.value) for step in steps for loss in step.training_loss + step.validation_loss)
seen['validated'] = len(steps[-1].validation_loss)
seen['train_end'] = [steps[-1].progress, steps[-1].result, steps[-1].status, str(pinn.model_path)]
seen['loaded_after_training'] = pinn.is_model_loaded()
pinn.save_model(folder / 'saved.zip')

# Another training, cancelled after its first output.
worker.call('settings/set', settings={'PtychoPINNTraining': {'NumEpochs': '1000'}})
cancelled = []
for step in pinn.train(folder / 'data', folder / 'cancelled'):
    cancelled.append(step)
    if len(cancelled) == 1:
        worker.cancel()
seen['cancelled_training'] = [cancelled[-1].progress < 1000, cancelled[-1].result]
worker.close()
seen['exit_code'] = worker.process.returncode

# Another process opens it, as the earlier host asks for it, and reconstructs with previews.
worker = start()
pinn = worker.reconstructors['PtychoPINN/PINN']
pinn.open_model(folder / 'saved.zip')
seen['settings_after_open'] = worker.settings['PtychoPINNModel']['NumFiltersScale']
parameters = input_of(scan, EarlierProduct, count)
pinn.product_path = folder / 'product-out.h5'
started = time.time()
outputs = []
for output in pinn.reconstruct(parameters):
    outputs.append([round(time.time() - started, 2), output])
seen['seconds'] = time.time() - started
last = outputs[-1][1]
seen['progress'] = [output.progress for _, output in outputs]
seen['goal'] = pinn.get_progress_goal()
seen['results'] = sorted({output.result for _, output in outputs})
seen['class'] = type(last.product).__name__
seen['geometry_kept'] = last.product.object_.get_array().shape == parameters.product.object_.get_array().shape
seen['changed'] = deviation(last.product.object_.get_array(), parameters.product.object_.get_array())
seen['loss_epochs'] = [loss.epoch for loss in last.product.losses]

# The product, as h5py sees it.
with h5py.File(folder / 'product-out.h5') as file:
    product, positions = parameters.product, parameters.product.positions
    seen['file'] = {
        'indexes': deviation(file['probe_position_indexes'], [p.index for p in positions]),
        'x_relative': deviation(np.divide(file['probe_position_x_m'], 1e-6), np.divide([p.coordinate_x_m for p in positions], 1e-6)),
        'y_relative': deviation(np.divide(file['probe_position_y_m'], 1e-6), np.divide([p.coordinate_y_m for p in positions], 1e-6)),
        'probe': deviation(file['probe'], product.probes.get_array()) / float(np.abs(product.probes.get_array()).max()),
        'object': deviation(file['object'], last.product.object_.get_array()),
        'losses': deviation(file['loss_values'], [loss.value for loss in last.product.losses]),
        'loss_epochs': deviation(file['loss_epochs'], [loss.epoch for loss in last.product.losses]),
    }
    seen['attributes'] = {
        'name': file.attrs['name'], 'distance': file.attrs['detector_object_distance_m'], 'energy': file.attrs['probe_energy_eV'],
        'center_x': file['object'].attrs['center_x_m'], 'pixel': file['probe'].attrs['pixel_width_m'],
        'angle': file.attrs['tomography_angle_deg'],
    }  # fmt: skip
# One that the host stops following, one that is cancelled from another thread; the model stays open.
pinn.product_path = None
for output in pinn.reconstruct(parameters):
    seen['left'] = [output.progress, output.result]
    break
timer = threading.Timer(options.get('cancel_after_s', 0.05), worker.cancel)
timer.start()
stopped = list(pinn.reconstruct(parameters))
timer.join()
seen['stopped'] = [stopped[-1].progress, stopped[-1].result]
again = list(pinn.reconstruct(parameters))[-1]
seen['again'] = deviation(again.product.object_.get_array(), last.product.object_.get_array())

# A solver, which needs no model and changes the probe, and positions where it is asked to.
lsqml = worker.reconstructors['PtychoPINN/LSQML']
seen['solver_names'] = [lsqml.name, lsqml.is_trainable, lsqml.get_model_file_filter()]
solved = list(lsqml.reconstruct(parameters))
seen['solver_end'] = [solved[-1].progress, solved[-1].result, type(solved[-1].product).__name__]
probes, given = solved[-1].product.probes, parameters.product.probes
seen['solver_probe'] = [probes.get_array().shape == given.get_array().shape, deviation(probes.get_array(), given.get_array()) > 0]
seen['solver_object'] = deviation(solved[-1].product.object_.get_array(), parameters.product.object_.get_array())
moved, still = solved[-1].product.positions, parameters.product.positions
seen['solver_positions'] = [
    [p.index for p in moved] == [p.index for p in still],
    deviation([p.coordinate_x_m for p in moved], [p.coordinate_x_m for p in still]) / 12.5e-9,
]
seen['probe_of_network_kept'] = last.product.probes is parameters.product.probes
worker.call('settings/set', settings={'PtychoPINNSolver': {'NumEpochs': '3', 'PositionStart': '1'}})
moved = list(lsqml.reconstruct(parameters))[-1].product.positions
seen['solver_moved'] = deviation([p.coordinate_x_m for p in moved], [p.coordinate_x_m for p in still]) / 12.5e-9

# Errors come as exceptions, and are no end.
try:
    pinn.load_model_from_file(folder / 'nothing.zip')
except adapter.WorkerError as error:
    seen['error'] = [str(error), error.args[1]]
seen['still_loaded'] = pinn.is_model_loaded()
worker.close()
seen['loaded_after_close'] = pinn.is_model_loaded()

# The earlier host's training: one output after all epochs, in the folder of the settings.
worker = start()
pinn = worker.reconstructors['PtychoPINN/PINN']
worker.call('settings/set', settings={'PtychoPINNTraining': {'OutputDir': str(folder / 'model2'), 'DataDir': str(folder / 'data')}})
output = pinn.train(pinn.get_training_data_path())
seen['earlier_train'] = [len(output.training_loss), output.result, type(output).__name__, str(pinn.model_path)]
worker.close()
seen['log'] = [len(records), sorted({name for name, _, _ in records})]
print(json.dumps(seen))
