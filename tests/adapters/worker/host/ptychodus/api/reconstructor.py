"""What a reconstructor has to be."""
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ReconstructInput:
    diffraction_patterns: Any
    bad_pixels: Any
    product: Any


@dataclass(frozen=True)
class ReconstructOutput:
    product: Any
    progress: int = 0
    result: int = 0


@dataclass(frozen=True)
class TrainOutput:
    training_loss: Any
    validation_loss: Any
    result: int


class Reconstructor(ABC):
    @abstractmethod
    def get_name(self): ...

    @abstractmethod
    def get_progress_goal(self): ...

    @abstractmethod
    def reconstruct(self, parameters): ...


class TrainableReconstructor(Reconstructor):
    @abstractmethod
    def get_model_file_filter(self): ...

    @abstractmethod
    def open_model(self, file_path): ...

    @abstractmethod
    def save_model(self, file_path): ...

    @abstractmethod
    def get_training_data_file_filter(self): ...

    @abstractmethod
    def export_training_data(self, file_path, parameters): ...

    @abstractmethod
    def get_training_data_path(self): ...

    @abstractmethod
    def train(self, data_path): ...


class NullReconstructor(TrainableReconstructor):
    """What a menu shows in place of a library that is not installed."""

    def __init__(self, name):
        self._name = name

    def get_name(self):
        return self._name

    def get_progress_goal(self):
        return 0

    def reconstruct(self, parameters):
        yield from ()

    def get_model_file_filter(self):
        return ''

    open_model = save_model = export_training_data = lambda self, *_: None
    get_training_data_file_filter = get_model_file_filter

    def get_training_data_path(self):
        return None

    def train(self, data_path):
        return TrainOutput([], [], 0)


class ReconstructorLibrary(Iterable):
    def __init__(self, logger_name):
        self._logger = logging.getLogger(logger_name)

    @property
    @abstractmethod
    def name(self): ...

    def get_logger(self):
        return self._logger
