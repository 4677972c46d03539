"""Products and their HDF5 files, as the host reads and writes them."""
from dataclasses import dataclass, field

import h5py
import numpy as np


@dataclass(frozen=True)
class PixelGeometry:
    width_m: float
    height_m: float


@dataclass(frozen=True)
class ObjectCenter:
    coordinate_x_m: float
    coordinate_y_m: float


@dataclass(frozen=True)
class ProbePosition:
    index: int
    coordinate_x_m: float
    coordinate_y_m: float


@dataclass(frozen=True)
class LossValue:
    epoch: int
    value: float


@dataclass(frozen=True)
class ProductMetadata:
    name: str
    comments: str
    detector_distance_m: float
    probe_energy_eV: float
    probe_photon_count: float
    exposure_time_s: float
    mass_attenuation_m2_kg: float
    tomography_angle_deg: float


class ProbePositionSequence:
    """Keeps arrays: an index comes back as NumPy's."""

    def __init__(self, points=()):
        self._indexes = np.array([p.index for p in points])
        self._coordinates = np.reshape([(p.coordinate_y_m, p.coordinate_x_m) for p in points], (-1, 2))

    def __len__(self):
        return self._indexes.size

    def __getitem__(self, at):
        return ProbePosition(self._indexes[at], self._coordinates[at, 1], self._coordinates[at, 0])


class ProbeSequence:
    def __init__(self, array, opr_weights, pixel_geometry):
        while array.ndim < 4:
            array = array[np.newaxis]
        self._array, self._opr_weights, self._pixel_geometry = array, opr_weights, pixel_geometry

    def get_array(self):
        return self._array

    def get_opr_weights(self):
        if self._opr_weights is None:
            raise ValueError('Missing opr_weights!')
        return self._opr_weights

    def get_pixel_geometry(self):
        return self._pixel_geometry


class Object:
    def __init__(self, array, pixel_geometry, center, layer_spacing_m=()):
        if not np.iscomplexobj(array):
            raise TypeError('An object is complex.')
        self._array = array[np.newaxis] if array.ndim == 2 else array
        self._pixel_geometry, self._center, self._layer_spacing_m = pixel_geometry, center, layer_spacing_m
        if len(layer_spacing_m) + 1 != len(self._array):
            raise ValueError(f'{len(self._array)} layers, {len(layer_spacing_m)} distances.')

    def get_array(self):
        return self._array

    def get_pixel_geometry(self):
        return self._pixel_geometry

    def get_center(self):
        return self._center

    @property
    def layer_spacing_m(self):
        return self._layer_spacing_m


@dataclass(frozen=True)
class Product:
    metadata: ProductMetadata
    probe_positions: ProbePositionSequence
    probes: ProbeSequence
    object_: Object
    losses: list = field(default_factory=list)


ATTRIBUTES = {
    'name': 'name', 'comments': 'comments', 'detector_object_distance_m': 'detector_distance_m', 'probe_energy_eV': 'probe_energy_eV',
    'probe_photon_count': 'probe_photon_count', 'exposure_time_s': 'exposure_time_s', 'mass_attenuation_m2_kg': 'mass_attenuation_m2_kg',
}  # fmt: skip


def read_product(file_path):
    with h5py.File(file_path) as file:
        facts = {ours: file.attrs[key] for key, ours in ATTRIBUTES.items()}
        probe, object_ = file['probe'], file['object']
        pixel = [PixelGeometry(float(item.attrs['pixel_width_m']), float(item.attrs['pixel_height_m'])) for item in (probe, object_)]
        center = ObjectCenter(float(object_.attrs['center_x_m']), float(object_.attrs['center_y_m']))
        columns = [file[f'probe_position_{part}'][()] for part in ('indexes', 'x_m', 'y_m')]
        return Product(
            ProductMetadata(**facts, tomography_angle_deg=float(file.attrs.get('tomography_angle_deg', 0))),
            ProbePositionSequence([ProbePosition(*row) for row in zip(*columns)]),
            ProbeSequence(probe[()], None, pixel[0]),
            Object(object_[()], pixel[1], center, file['object_layer_spacing_m'][()]),
            [LossValue(*row) for row in zip(file['loss_epochs'][()], file['loss_values'][()])],
        )


def write_product(file_path, product):
    with h5py.File(file_path, 'w') as file:
        for key, theirs in ATTRIBUTES.items():
            file.attrs[key] = getattr(product.metadata, theirs)
        points = list(product.probe_positions)
        file['probe_position_indexes'] = [p.index for p in points]
        file['probe_position_x_m'] = [p.coordinate_x_m for p in points]
        file['probe_position_y_m'] = [p.coordinate_y_m for p in points]
        file['probe'], file['object'] = product.probes.get_array(), product.object_.get_array()
        for name, part in (('probe', product.probes), ('object', product.object_)):
            file[name].attrs['pixel_width_m'] = part.get_pixel_geometry().width_m
            file[name].attrs['pixel_height_m'] = part.get_pixel_geometry().height_m
        file['object'].attrs['center_x_m'] = product.object_.get_center().coordinate_x_m
        file['object'].attrs['center_y_m'] = product.object_.get_center().coordinate_y_m
        file['object_layer_spacing_m'] = np.array(product.object_.layer_spacing_m, float)
        file['loss_epochs'] = [loss.epoch for loss in product.losses]
        file['loss_values'] = [loss.value for loss in product.losses]
