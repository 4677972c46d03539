"""What a real Ptychodus makes of our files, and we of its: python host_files.py JSON_OF_OPTIONS

Options: `cli` (words of the command line), `folder` (to write in), `scan` (an NPZ of a scan), `image` (an output folder of solve).
Needs the host's own modules. Prints what it saw as JSON.
"""
import json
import logging
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
from ptychodus.api.diffraction import SimpleDiffractionArray, SimpleDiffractionDataset
from ptychodus.model import ModelCore

options = json.loads(sys.argv[1])
folder = Path(options['folder'])
seen = {}


def ours(*words):
    done = subprocess.run([*options['cli'], *map(str, words)], capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr)[-600:]


def item_of(model, product):
    return model.product_core.product_repository[model.workflow_api.open_product(product).get_product_index()]


with ModelCore(None, log_level=logging.ERROR) as model:
    # Ours: an image as product and patterns.
    seen['export'] = ours('product', 'export', options['image'], '--output_file', folder / 'product-in.h5', '--patterns', '--overwrite')
    model.workflow_api.import_assembled_patterns(folder / 'diffraction.h5')
    dataset = model.diffraction_core.dataset
    patterns, indexes, bad = (np.array(a) for a in (dataset.get_assembled_patterns(), dataset.get_assembled_indexes(), dataset.get_bad_pixels()))
    with h5py.File(folder / 'diffraction.h5') as file:
        seen['patterns'] = [bool((patterns == file['patterns'][()]).all()), bool((indexes == file['indexes'][()]).all()), str(bad.dtype)]
    item = item_of(model, folder / 'product-in.h5')
    product = item.get_product()
    seen['opened'] = [product.metadata.name, len(product.probe_positions), list(product.object_.get_array().shape)]
    # Its own measure of an object: the same detector, energy and distance as the product's pixel says.
    settings, pixel = model.diffraction_core.detector_settings, product.object_.get_pixel_geometry()
    N = patterns.shape[-1]
    wavelength, distance = product.metadata.probe_wavelength_m, product.metadata.detector_distance_m
    settings.width_px.set_value(N)
    settings.height_px.set_value(N)
    settings.pixel_width_m.set_value(wavelength * distance / (N * pixel.width_m))
    settings.pixel_height_m.set_value(wavelength * distance / (N * pixel.height_m))
    geometry = item.get_geometry()
    needed = geometry.get_object_geometry()
    own = product.object_.get_geometry()
    seen['geometry'] = [bool(geometry.is_object_geometry_valid(own)), [needed.height_px, needed.width_px], [own.height_px, own.width_px]]
    seen['one_pixel'] = product.probes.get_pixel_geometry() == pixel
    # What it saves of that comes back, and is the same product.
    model.workflow_api.get_product(item._index).save_product(folder / 'theirs.h5')
    seen['import'] = ours('product', 'import', folder / 'theirs.h5', '--diffraction', folder / 'diffraction.h5', '--output_file', folder / 'again.npz', '--overwrite')
    seen['again'] = ours('product', 'export', folder / 'again.npz', '--output_file', folder / 'again.h5', '--overwrite')
    with h5py.File(folder / 'theirs.h5') as a, h5py.File(folder / 'again.h5') as b:
        order = np.argsort(a['probe_position_indexes'][()])
        back = np.argsort(b['probe_position_indexes'][()])
        seen['round_trip'] = {
            'object': bool((a['object'][()] == b['object'][()]).all()),
            'probe': bool((a['probe'][()] == b['probe'][()]).all()),
            'indexes': bool((a['probe_position_indexes'][()][order] == b['probe_position_indexes'][()][back]).all()),
            'metres': float(max(np.abs(a[f'probe_position_{x}_m'][()][order] - b[f'probe_position_{x}_m'][()][back]).max() for x in 'xy')),
        }
    # Its three writers of patterns, of some of them: two forget the indexes.
    kept = np.sort(np.random.default_rng(1).choice(len(indexes), len(indexes) // 2, replace=False))
    array = SimpleDiffractionArray('half', indexes[kept], patterns[kept])
    half = SimpleDiffractionDataset(dataset.get_metadata(), dataset.get_layout(), [array])
    with h5py.File(folder / 'theirs.h5') as source, h5py.File(folder / 'half.h5', 'w') as target:
        rows = np.isin(source['probe_position_indexes'][()], indexes[kept])
        for name in source:
            source.copy(name, target)
        target.attrs.update(source.attrs)
        for name in ('probe_position_indexes', 'probe_position_x_m', 'probe_position_y_m'):
            values = source[name][()][rows]
            del target[name]
            target[name] = values
    seen['writers'] = {}
    endings = {'NPY': 'npy', 'NPZ': 'npz', 'fold_slice': 'h5'}
    for plugin in model.plugin_registry.diffraction_file_writers:
        file = folder / f'half-{plugin.simple_name}.{endings[plugin.simple_name]}'
        plugin.strategy.write(file, half)
        target = folder / f'half-{plugin.simple_name}-imported.npz'
        code, said = ours('product', 'import', folder / 'half.h5', '--diffraction', file, '--output_file', target, '--overwrite')
        if code:
            seen['writers'][plugin.simple_name] = said
            continue
        with np.load(target) as npz:
            right = [bool((npz['probe_position_indexes'] == indexes[kept]).all()), bool(np.allclose(npz['diffraction'].astype(float) ** (1 if npz['diffraction'].dtype.kind in 'iu' else 2), patterns[kept], rtol=1e-4))]
        seen['writers'][plugin.simple_name] = right
print(json.dumps(seen))
