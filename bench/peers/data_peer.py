"""h5py and NumPy beside bench/data.mjs: the same work on the same files.

    python3 data_peer.py about | iterate FILE C BATCH | neighbours N
"""
import json
import resource
import sys
import time
import zipfile

import h5py
import numpy as np


def npz_rows(path):
    """The diffraction array of an uncompressed NPZ as a memory map (np.load alone would read it whole)."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("diffraction.npy")
        with archive.open(info) as member:
            np.lib.format.read_magic(member)
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
            header = member.tell()
    with open(path, "rb") as raw:
        raw.seek(info.header_offset + 26)
        name, extra = np.frombuffer(raw.read(4), "<u2")
    offset = info.header_offset + 30 + int(name) + int(extra) + header
    return np.memmap(path, dtype, "r", offset, shape)


def iterate(path, members, batch):
    """Batches (B, C, N, N) of scaled float32 amplitudes; groups are a pattern and the next ones of its row and column."""
    frames = npz_rows(path) if path.endswith(".npz") else h5py.File(path, "r")["diffraction"]
    count = len(frames)
    side = int(np.ceil(np.sqrt(count)))
    steps = np.array([0, 1, side, side + 1])[:members]
    scale = np.float32(0.01)
    total = 0.0
    start, cpu = time.perf_counter(), time.process_time()
    for first in range(0, count, batch):
        wanted = (np.arange(first, min(count, first + batch))[:, None] + steps) % count
        rows, back = np.unique(wanted, return_inverse=True)
        # h5py reads a slice several times faster than a list of rows; each run of neighbours is one.
        runs = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
        images = np.concatenate([frames[run[0] : run[-1] + 1] for run in runs]).astype(np.float32)
        np.sqrt(images, out=images)
        images *= scale
        groups = images[back].reshape(wanted.shape + images.shape[1:])
        total += float(groups[0, 0, 64, 64])
    return {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}


def neighbours(count):
    side = int(np.ceil(np.sqrt(count)))
    rng = np.random.RandomState(0)
    points = np.stack([np.arange(count) % side, np.arange(count) // side], 1) * 4.0 + rng.uniform(-1.2, 1.2, (count, 2))
    try:
        from scipy.spatial import cKDTree
    except ImportError:
        queries = rng.choice(count, 200, replace=False)
        start = time.perf_counter()
        for query in queries:
            np.argpartition(((points - points[query]) ** 2).sum(1), 8)[:8]
        seconds = (time.perf_counter() - start) * count / len(queries)
        return {"peer": f"NumPy brute force, {len(queries)} queries scaled to {count}", "seconds": seconds}
    start = time.perf_counter()
    cKDTree(points).query(points, k=8)
    return {"peer": "scipy cKDTree", "seconds": time.perf_counter() - start}


def main(task, *args):
    if task == "about":
        result = {"peer": f"NumPy {np.__version__}, h5py {h5py.__version__}"}
    elif task == "iterate":
        result = iterate(args[0], int(args[1]), int(args[2]))
    else:
        result = neighbours(int(args[0]))
    result["peak_rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(result))


main(*sys.argv[1:])
