from .core import ModelCore

__all__ = ['ModelCore']
