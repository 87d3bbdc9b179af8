"""What members share; see :mod:`thalweg.training.programs`."""

from thalweg.training.programs import Programs

__all__ = ["Programs"]
