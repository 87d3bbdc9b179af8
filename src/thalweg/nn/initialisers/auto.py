"""The initialiser that chooses by the activation that follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thalweg.descriptions import register
from thalweg.graph import Array, Shape
from thalweg.nn.initialisers.base import Fans, Initialiser
from thalweg.nn.initialisers.scaled import Xavier


@register("initialiser", "auto")
@dataclass(frozen=True)
class Auto(Initialiser):
    """What the activation that follows asks for (its ``preferred_initialiser``).

    Rectifiers (ReLU and its kin) ask for :class:`He`, tanh for :class:`Xavier`, the logistic
    function for Xavier with gain 4; where nothing is asked for, as in an output layer, it is
    Xavier.

    >>> import thalweg as tw
    >>> Auto().choose(Fans(3, 4, tw.ReLU()))
    He(distribution='normal', mode='inputs')
    """

    def choose(self, fans: Fans) -> Initialiser:
        """The initialiser that is used before the layer that follows.

        >>> Auto().choose(Fans(3, 4))
        Xavier(distribution='uniform', gain=1.0)
        """
        wanted = getattr(fans.following, "preferred_initialiser", None)
        return wanted if isinstance(wanted, Initialiser) else Xavier()

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Numbers of the chosen distribution."""
        return self.choose(fans).sample(rng, shape, fans)
