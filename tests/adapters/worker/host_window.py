"""A real Ptychodus with its window, off the screen: python host_window.py JSON_OF_OPTIONS (those of host_checks.py); prints JSON."""
import json
import logging
import sys
import time
from pathlib import Path

options = json.loads(sys.argv[1])
sys.argv = ['ptychodus']
sys.path.insert(0, options['launcher'])

import ptychodus_with_ptychopinn as launch

worker = launch.Worker(launch.worker_command(), logger=logging.getLogger(launch.LOGGER))
launch.add_to_host(worker, False)
from ptychodus.model import ModelCore
from PyQt5.QtWidgets import QApplication

app = QApplication(['ptychodus'])
from ptychodus.controller import ControllerCore
from ptychodus.view import ViewCore

seen = {}
with ModelCore(None, log_level=logging.ERROR) as model:
    view = ViewCore()
    controller = ControllerCore(model, view, is_developer_mode_enabled=False)
    controller.show_main_window('check')
    reconstructor_view = view.reconstructor_view
    combo = reconstructor_view.parameters_view.algorithm_combo_box
    seen['names'] = [combo.itemText(i) for i in range(combo.count())]
    presenter = model.reconstructor_core.presenter
    seen['views'] = {}
    for name in seen['names']:
        presenter.set_reconstructor(name)
        app.processEvents()
        seen['views'][name] = [presenter.get_reconstructor() == name, type(reconstructor_view.stacked_widget.currentWidget()).__name__]
    model.workflow_api.import_assembled_patterns(Path(options['patterns']))
    given = model.workflow_api.open_product(Path(options['product'])).get_product_index()
    presenter.set_reconstructor('PtychoPINN/rPIE')
    model.settings_registry['PtychoPINNSolver'].parameters()['NumEpochs'].set_value(3)
    made, started = presenter.reconstruct(given), time.time()
    item = model.product_core.product_repository[made]
    while time.time() - started < 60 and len(item.get_losses()) < 3:
        app.processEvents()
        model.run_tasks()
        time.sleep(0.05)
    seen['reconstructed'] = [item.get_name(), len(item.get_losses())]
worker.close()
print(json.dumps(seen))
