#!/usr/bin/env python3
"""Put a model of ptychopinn into a network of the Python PtychoPINN that was built by its own code.

    ptychopinn bundle export run --format torch-npz --output_file weights.npz    (or --format keras)

    from load_weights import into_torch, into_keras, settings
    settings('weights.npz')                  # N, gridsize, n_filters_scale, …: build the network with these
    into_torch(module, 'weights.npz')        # a PyTorch module, or the Lightning module around it
    into_keras(autoencoder, 'weights.npz')   # a Keras model (autoencoder or diffraction_to_obj)

The NPZ holds named arrays and a JSON text, no code. `probe` in it is what the network's object is multiplied with, already divided by
its published norm; `intensity_scale` is the number of root counts per unit of the input.
"""

import json

import numpy as np



def settings(file):
    """The settings that the network has to be built with."""
    with np.load(file, allow_pickle=False) as npz:
        return json.loads(str(npz["params"]))


def torch_state(file, names):
    """Name in the module -> array, for the names of a state dict, whatever stands before `autoencoder.` in them."""
    with np.load(file, allow_pickle=False) as npz:
        given = {key[2:].removeprefix("model."): npz[key] for key in npz.files if key.startswith("w.")}
    found = {}
    for name in names:
        short = name[name.find("autoencoder.") :] if "autoencoder." in name else name.removeprefix("model.")
        if short in given:
            found[name] = given.pop(short)
    if given:
        raise ValueError(f"the module has no place for {', '.join(sorted(given))}; build it with settings()")
    return found


# Constants, heads of other output modes, and what a configuration leaves without a use.
UNUSED = ("blur_kernel", "output_proj.", "output_amp.", "output_phase.", "layerscale", "shared_gate", "shared_spectral.")


def into_torch(module, file):
    """Copies the weights; returns the names that the module keeps as they are.

    Layers that find their number of channels out (skips of hybrid_resnet) have no weights before the module was run once.
    """
    import torch

    state = module.state_dict()
    found = torch_state(file, list(state))
    with torch.no_grad():
        for name, values in found.items():
            if tuple(state[name].shape) != values.shape and state[name].numel() != values.size:
                raise ValueError(f"{name} has shape {tuple(state[name].shape)}, the file {values.shape}")
            state[name].copy_(torch.from_numpy(np.ascontiguousarray(values)).reshape(state[name].shape))
    kept = [name for name in state if name not in found]
    spectral = any("lifter." in name or "uno.lifting." in name for name in found)
    # Weights that blocks share have several names.
    filled = {state[name].data_ptr() for name in found}
    lost = [
        name
        for name in kept
        if (spectral or ".encoder." in f".{name}")
        and "attention" not in name
        and "forward_model." not in name
        and state[name].data_ptr() not in filled
        and not any(part in name for part in UNUSED)
    ]
    if lost:
        raise ValueError(f"the file holds nothing for {', '.join(lost)}; build the module with settings()")
    return kept


def keras_parts(config):
    """Layer name -> part (`encoder.0.conv1`, `amplitude.centre`, …), told by how the layers of a functional model are connected."""
    layers = {layer["config"]["name"]: layer for layer in config["layers"]}

    def references(value):
        if isinstance(value, (list, tuple)):
            if len(value) >= 3 and isinstance(value[0], str) and value[0] in layers and isinstance(value[1], int):
                return [value[0]]
            return [name for item in value for name in references(item)]
        return [name for item in value.values() for name in references(item)] if isinstance(value, dict) else []

    parents = {name: list(dict.fromkeys(references(layer.get("inbound_nodes", [])))) for name, layer in layers.items()}
    convolutions = [name for name, layer in layers.items() if layer["class_name"] == "Conv2D"]

    def above(name):  # the nearest convolution before a layer
        level, seen = list(parents[name]), set()
        while level:
            for one in level:
                if one in convolutions:
                    return one
            seen.update(level)
            level = [up for one in level for up in parents[one] if up not in seen]
        return None

    below = {}
    for name in convolutions:
        below.setdefault(above(name), []).append(name)

    def chain(start):
        names = []
        while len(start) == 1:
            names.append(start[0])
            start = below.get(start[0], [])
        return names, start

    def before(name):  # a layer and everything it depends on
        found, level = set(), [name]
        while level:
            found.update(level)
            level = [up for one in level for up in parents[one] if up not in found]
        return found

    parts = {}
    encoder, heads = chain(below.get(None, []))
    for i, name in enumerate(encoder):
        parts[name] = f"encoder.{i // 2}.conv{i % 2 + 1}"
    blocks = len(encoder) // 2 - 1
    combine = next(name for name, layer in layers.items() if layer["class_name"] == "CombineComplexLayer" or name == "obj")
    for head, operand in zip(("amplitude", "phase"), parents[combine]):
        (first,) = [start for start in heads if start in before(operand)]
        names, ends = chain([first])
        for i, name in enumerate(names[: 2 * blocks]):
            parts[name] = f"{head}.{i // 2}.conv{i % 2 + 1}"
        tails = [names[2 * blocks :]] if not ends else [chain([end])[0] for end in ends]
        for tail in tails:
            branch = "full" if not ends else "border"
            ends_of = ["centre"] if len(tail) == 1 else [f"{branch}.{part}" for part in ("conv1", "conv2", "out")]
            parts.update({name: f"{head}.{part}" for name, part in zip(tail, ends_of)})
    return parts


def into_keras(model, file):
    """Sets kernels and biases of a functional model; returns {layer: part}."""
    parts = keras_parts(json.loads(model.to_json())["config"])
    with np.load(file, allow_pickle=False) as npz:
        given = {key.rsplit("/", 1)[0] for key in npz.files if key.endswith("/kernel")}
        if given != set(parts.values()):
            odd = ", ".join(sorted(given.symmetric_difference(parts.values())))
            raise ValueError(f"the file and the model differ in {odd}; build the model with settings()")
        for layer, part in parts.items():
            model.get_layer(layer).set_weights([npz[f"{part}/kernel"], npz[f"{part}/bias"]])
    return parts
