#!/usr/bin/env python3
"""Read a bundle `wts.zip` of ptychopinn with NumPy alone (and h5py, to write what was read where asked for).

    python3 read_bundle.py run/wts.zip              # what it is
    python3 read_bundle.py run/wts.zip --h5 out.h5  # weights and probe as HDF5

Nothing in a bundle is code: it holds JSON, one safetensors file, one NPY array, a CSV table and two ONNX models. The format is
described in specs/bundle.md.
"""

import argparse
import csv
import hashlib
import io
import json
import math
import struct
import zipfile

import numpy as np


def read_members(path):
    """The members of a bundle as bytes, each checked by the hash that the manifest gives."""
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        if manifest.get("format") != "ptychopinn-bundle" or manifest.get("format_version") != 1:
            raise ValueError(f"{path} is no ptychopinn bundle of format version 1")
        members = {}
        for name, facts in manifest["members"].items():
            data = archive.read(name)
            if len(data) != facts["bytes"] or hashlib.sha256(data).hexdigest() != facts["sha256"]:
                raise ValueError(f"{path}: {name} is not the file that the manifest describes")
            members[name] = data
    return manifest, members


def read_safetensors(data):
    """Name -> float32 array: 8 bytes of header length, a JSON header, then the tensors back to back."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    start = 8 + length
    weights = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data, "<f4", count=(end - begin) // 4, offset=start + begin)
        weights[name] = values.reshape(entry["shape"])
    return weights


def read_history(data):
    """Column -> list of numbers; None where an epoch has no such value."""
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    columns = rows[0].keys() if rows else []
    return {name: [float(row[name]) if row[name] else None for row in rows] for name in columns}


def read_bundle(path):
    """Manifest, configuration, weights, probe and history of a bundle."""
    manifest, members = read_members(path)
    return {
        "manifest": manifest,
        "config": json.loads(members["config.json"]),
        "params": json.loads(members["params.json"]) if "params.json" in members else None,
        "weights": read_safetensors(members["weights.safetensors"]),
        "probe": np.load(io.BytesIO(members["probe.npy"]), allow_pickle=False),
        "history": read_history(members["history.csv"]),
    }


def write_hdf5(path, bundle):
    """Weights under /weights, the probe as /probe, the manifest as a text attribute."""
    import h5py

    with h5py.File(path, "w") as file:
        for name, values in bundle["weights"].items():
            file[f"weights/{name}"] = values
        file["probe"] = bundle["probe"]
        file.attrs["manifest"] = json.dumps(bundle["manifest"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", help="wts.zip")
    parser.add_argument("--h5", metavar="FILE", help="also write weights and probe as HDF5")
    given = parser.parse_args()
    bundle = read_bundle(given.bundle)
    manifest, weights, probe = bundle["manifest"], bundle["weights"], bundle["probe"]
    summary = {
        "architecture": manifest["architecture"],
        "N": manifest["N"],
        "gridsize": manifest["gridsize"],
        "intensity_scale": manifest["intensity_scale"],
        "epochs": len(bundle["history"].get("epoch", [])),
        "tensors": len(weights),
        "parameters": sum(values.size for values in weights.values()),
        "rms": {name: math.sqrt(float(np.mean(np.square(values, dtype=np.float64)))) for name, values in weights.items()},
        "probe": {"shape": probe.shape, "power": float(np.sum(np.abs(probe.astype(np.complex128)) ** 2))},
    }
    print(json.dumps(summary, indent=2))
    if given.h5:
        write_hdf5(given.h5, bundle)


if __name__ == "__main__":
    main()
