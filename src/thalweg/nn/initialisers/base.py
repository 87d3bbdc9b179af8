"""What every initialiser is, and what it knows of the parameter that it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from thalweg.descriptions import Description, family
from thalweg.graph import Array, Shape


class Fans(NamedTuple):
    """What an initialiser knows of a unit: its inputs, its outputs, the layer that follows."""

    inputs: int
    outputs: int
    following: Any = None


@family("initialiser")
@dataclass(frozen=True)
class Initialiser(Description):
    """The distribution that a parameter is drawn from at the start."""

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """A float64 array of a shape."""
        raise NotImplementedError(f"{type(self).__name__} has no sample method")
