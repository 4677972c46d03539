"""Peer of the solver benchmark: Pty-Chi from a checkout, with the settings below and its defaults otherwise.

  python3 ptychi_peer.py CHECKOUT FILE PROBE_KEY ALGORITHM EPOCHS BATCH OUT.npz

Needs what Pty-Chi needs (Python 3.11, PyTorch 2.4 or later). Writes object (height, width), probe and origin_yx, the pixel of the scan that
object[0, 0] is, and prints one JSON line: seconds of the epochs on one thread, and the settings.
"""

import json
import sys
import time

checkout, file, key, algorithm, epochs, batch, out = sys.argv[1:8]
sys.path.insert(0, f"{checkout}/src")

import numpy as np
import torch

torch.set_num_threads(1)
import ptychi.api as api
from ptychi.api.task import PtychographyTask

CLASSES = {
    "rpie": api.RPIEOptions,
    "epie": api.EPIEOptions,
    "pie": api.PIEOptions,
    "lsqml": api.LSQMLOptions,
    "dm": api.DMOptions,
}
data = np.load(file)
name = "diffraction" if "diffraction" in data else "diff3d"
counts = np.asarray(data[name], dtype=np.float32)
if not np.issubdtype(data[name].dtype, np.integer):
    counts = counts**2
ys, xs = np.asarray(data["ycoords"], dtype=float), np.asarray(data["xcoords"], dtype=float)
N = counts.shape[-1]
margin = 8
top, left = int(np.floor(ys.min())) - N // 2 - margin, int(np.floor(xs.min())) - N // 2 - margin
height, width = int(np.ceil(ys.max())) + N // 2 + margin - top, int(np.ceil(xs.max())) + N // 2 + margin - left
probe = np.asarray(data[key]).astype(np.complex64)
probe *= np.sqrt(counts.sum() / len(counts) / (np.abs(probe) ** 2).sum())

options = CLASSES[algorithm]()
settings = {"batch_size": int(batch), "num_epochs": int(epochs), "batching_mode": "random", "probe starts in epoch": 1}
options.reconstructor_options.num_epochs = int(epochs)
options.reconstructor_options.batch_size = int(batch)
options.reconstructor_options.default_device = api.Devices.CPU
options.reconstructor_options.random_seed = 0
options.object_options.pixel_size_m = 1.0
options.object_options.determine_position_origin_coords_by = api.ObjectPosOriginCoordsMethods.SPECIFIED
options.object_options.position_origin_coords = np.array([-top, -left], dtype=float)
options.probe_options.optimization_plan.start = 1
if algorithm in ("rpie", "epie", "pie"):
    options.object_options.alpha = options.probe_options.alpha = {"rpie": 0.5, "epie": 1.0, "pie": 0.1}[algorithm]
    settings["alpha"] = options.object_options.alpha
task = PtychographyTask(
    options,
    diffraction_data=torch.from_numpy(counts),
    object_data=torch.ones((1, height, width), dtype=torch.complex64),
    probe_data=torch.from_numpy(probe.reshape((1, -1, N, N))),
    probe_position_x_px=torch.from_numpy(xs.astype(np.float32)),
    probe_position_y_px=torch.from_numpy(ys.astype(np.float32)),
)
began = time.perf_counter()
task.run()
seconds = time.perf_counter() - began
found = np.asarray(task.get_data_to_cpu("object", as_numpy=True))[0]
wave = np.asarray(task.get_data_to_cpu("probe", as_numpy=True))
np.savez(out, object=found.astype(np.complex64), probe=wave.reshape((-1, N, N)).astype(np.complex64), origin_yx=np.array([top, left]))
print(json.dumps({"seconds": seconds, "settings": settings}))
