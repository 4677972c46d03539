#!/usr/bin/env python3
"""Turn a PyTorch bundle or checkpoint of the Python PtychoPINN into an NPZ of named arrays.

    python3 export_torch_weights.py wts.h5.zip weights.npz --probe probe.npy
    ptychopinn bundle import weights.npz --output_dir imported

Run it where the model was trained. PyTorch and dill files are pickles: opening one can run code that somebody put into it, so give
only files that you trust. The NPZ holds no code, and ptychopinn never opens a pickle.

What is read: `wts.h5.zip` (manifest.dill, MODEL/model.pth, MODEL/params.dill), a Lightning `.ckpt`, or a state dict saved by
torch.save. What is written: each weight as `w.NAME` in float32 (complex64 where it is complex), `params` (the settings as a JSON text), and `probe` where one is given
or found; the probe must be what the network multiplies an object with, that is, already divided by its published norm.
"""

import argparse
import io
import json
import zipfile

import numpy as np
import torch

MODELS = ("diffraction_to_obj", "autoencoder")


def load(data):
    """torch.load of bytes, on the CPU; tensors only where this PyTorch can be asked for that."""
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception:  # an older PyTorch, or a checkpoint with configuration objects inside
        return torch.load(io.BytesIO(data), map_location="cpu")


def is_state_dict(value):
    return isinstance(value, dict) and any(isinstance(v, torch.Tensor) for v in value.values())


def read_bundle(archive):
    """State dict and settings of a wts.h5.zip."""
    names = archive.namelist()
    for model in MODELS:
        if f"{model}/model.pth" not in names:
            continue
        state = load(archive.read(f"{model}/model.pth"))
        if not is_state_dict(state):
            continue  # `autoencoder` may be a placeholder
        params = {}
        if f"{model}/params.dill" in names:
            try:
                from dill import loads
            except ImportError:  # plain dictionaries need no dill
                from pickle import loads
            params = dict(loads(archive.read(f"{model}/params.dill")))
            if params.get("intensity_scale") == 1.0:
                del params["intensity_scale"]  # what is written where none is known
        return state, params
    raise SystemExit(f"no weights found; the archive holds {', '.join(names)}")


def read_checkpoint(data):
    """State dict and settings of a Lightning checkpoint or of a bare state dict."""
    content = load(data)
    if is_state_dict(content):
        return content, {}
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not is_state_dict(state):
        raise SystemExit("this file holds no state dict")
    params = {}
    hyper = content.get("hyper_parameters") or {}
    for block in hyper.values() if isinstance(hyper, dict) else ():
        params.update(block if isinstance(block, dict) else getattr(block, "__dict__", {}))
    params.pop("intensity_scale", None)  # a default of the configuration, not that of the data
    return state, params


def settings(params):
    """What JSON can hold, under the keys of the `params` dictionary."""
    renamed = {
        "probe_big": "probe.big",
        "object_big": "object.big",
        "probe_mask": "probe.mask",
        "mode": "model_type",
        "intensity_scale.trainable": "intensity_scale_trainable",
    }
    out = {}
    for key, value in params.items():
        key = renamed.get(str(key), str(key))
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            value = value.item()
        if isinstance(value, (bool, int, float, str)) or value is None:
            out[key] = value
    return out


def probe_of(params):
    """The probe among the settings, (N, N) or modes first; None where there is none."""
    probe = params.get("probe")
    if isinstance(probe, torch.Tensor):
        probe = probe.detach().cpu().numpy()
    if not isinstance(probe, np.ndarray) or probe.ndim < 2:
        return None
    return np.squeeze(probe).astype(np.complex64)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="wts.h5.zip, .ckpt or a state dict")
    parser.add_argument("target", help="NPZ file to write")
    parser.add_argument("--probe", metavar="FILE", help="NPY file of the probe, as the network multiplies with it")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="a setting, e.g. amp_activation=silu")
    given = parser.parse_args()

    with open(given.source, "rb") as file:
        data = file.read()
    names = zipfile.ZipFile(io.BytesIO(data)).namelist() if zipfile.is_zipfile(io.BytesIO(data)) else []
    bundle = any(name.endswith("/model.pth") for name in names)
    state, params = read_bundle(zipfile.ZipFile(io.BytesIO(data))) if bundle else read_checkpoint(data)

    arrays = {}
    for name, value in state.items():
        if isinstance(value, torch.nn.parameter.UninitializedParameter):
            continue  # a layer that was never run
        if isinstance(value, torch.Tensor):
            kind = np.complex64 if torch.is_complex(value) else np.float32
            arrays[f"w.{name}"] = value.detach().cpu().numpy().astype(kind)
    probe = np.load(given.probe, allow_pickle=False) if given.probe else probe_of(params)
    if probe is not None:
        arrays["probe"] = np.squeeze(probe).astype(np.complex64)
    said = settings(params)
    for pair in given.set:
        key, _, text = pair.partition("=")
        try:
            said[key] = json.loads(text)
        except ValueError:
            said[key] = text
    arrays["params"] = np.array(json.dumps(said, sort_keys=True))
    np.savez(given.target, **arrays)
    left = [name for name, value in state.items() if f"w.{name}" not in arrays]
    print(f"Written {given.target}: {len(arrays)} arrays" + (f"; left out: {', '.join(left)}" if left else "") + ".")


if __name__ == "__main__":
    main()
