"""A trained network: predict, save, load."""

from thalweg.model.forward import Forward
from thalweg.model.model import Model, load

__all__ = ["Forward", "Model", "load"]
