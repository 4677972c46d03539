"""What a Ptychodus-style host hands to a reconstructor: the same attributes and methods as its own classes, and nothing else.

Two generations, which differ in names: `Earlier` (positions, diffraction_patterns, detector_distance_m) and `Later`
(probe_positions). Products are frozen dataclasses, as the host's are.
"""
from dataclasses import dataclass, field

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


class ProbeSequence:
    def __init__(self, array, opr_weights, pixel_geometry):
        self._array, self._opr_weights, self._pixel_geometry = array, opr_weights, pixel_geometry

    def get_array(self):
        return self._array

    def get_opr_weights(self):
        if self._opr_weights is None:
            raise ValueError('Missing opr_weights!')
        return self._opr_weights

    def get_opr_weights_or_none(self):
        return self._opr_weights

    def get_pixel_geometry(self):
        return self._pixel_geometry


class Object:
    def __init__(self, array, pixel_geometry, center, layer_spacing_m=()):
        if not np.iscomplexobj(array):
            raise TypeError('Object must be a complex-valued ndarray')
        self._array = array[np.newaxis] if array.ndim == 2 else array
        self._pixel_geometry, self._center, self._layer_spacing_m = pixel_geometry, center, layer_spacing_m
        if len(layer_spacing_m) + 1 != len(self._array):
            raise ValueError(f'Expected {len(self._array)} layers; got {len(layer_spacing_m) + 1}!')

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
class ProductMetadata:
    name: str
    comments: str
    detector_distance_m: float
    probe_energy_eV: float
    probe_photon_count: float
    exposure_time_s: float
    mass_attenuation_m2_kg: float
    tomography_angle_deg: float


@dataclass(frozen=True)
class EarlierProduct:
    metadata: ProductMetadata
    positions: list
    probes: ProbeSequence
    object_: Object
    losses: list = field(default_factory=list)


@dataclass(frozen=True)
class LaterProduct:
    metadata: ProductMetadata
    probe_positions: list
    probes: ProbeSequence
    object_: Object
    losses: list = field(default_factory=list)


@dataclass(frozen=True)
class ReconstructInput:
    diffraction_patterns: np.ndarray
    bad_pixels: np.ndarray
    product: object


PIXEL_M, CENTER_X_M, CENTER_Y_M = 12.5e-9, 3e-7, -2e-7


def input_of(file, product_type=LaterProduct, count=None, guess=None):
    """A host's input from a scan of ours: counts, positions in metres with indexes that are not 0, 1, 2, …"""
    with np.load(file) as scan:
        amplitudes = scan['diffraction'] if 'diffraction' in scan else scan['diff3d']
        x_px, y_px, probe = scan['xcoords'], scan['ycoords'], scan['probeGuess'].astype(np.complex64)
        shape = scan['objectGuess'].shape if guess is None else guess
    chosen = slice(count)
    counts = np.round(amplitudes[chosen].astype(float) ** 2).astype(np.uint32)
    height, width = shape
    positions = [
        ProbePosition(3 + 2 * i, float((x - width / 2) * PIXEL_M + CENTER_X_M), float((y - height / 2) * PIXEL_M + CENTER_Y_M))
        for i, (x, y) in enumerate(zip(x_px[chosen], y_px[chosen]))
    ]
    pixel = PixelGeometry(PIXEL_M, PIXEL_M)
    product = product_type(
        ProductMetadata('star', 'from the fake host', 2.3353, 8800.0, 0.0, 0.1, 0.0, 15.0),
        positions,
        ProbeSequence(probe.reshape((1, 1, *probe.shape[-2:])), None, pixel),
        Object(np.ones((1, height, width), np.complex64), pixel, ObjectCenter(CENTER_X_M, CENTER_Y_M)),
    )
    return ReconstructInput(counts, np.zeros(counts.shape[1:], bool), product)
