"""Label smoothing: targets a little less certain than the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.descriptions import numbers, option
from thalweg.errors import SettingError
from thalweg.graph import Tensor, as_tensor
from thalweg.nn.losses.base import Loss

CONVENTIONS = ("uniform", "share")


@dataclass(frozen=True)
class SmoothedLoss(Loss):
    """A loss of classes whose targets may be smoothed.

    Without smoothing the program has no trace of it; ε itself is an input of the program.
    """

    label_smoothing: tuple[float, ...] = numbers(
        (), low=0, high=1, high_open=True, help="ε as one number; none without smoothing"
    )
    smoothing_convention: str = option(
        "uniform", options=CONVENTIONS, help="where ε goes: to all classes or to the others"
    )

    def __post_init__(self) -> None:
        """Take ε as a number, 0 is none; or as an array, one number for each of several networks.

        Raises:
            SettingError: ε outside [0, 1), or more than one number.
        """
        given: Any = self.label_smoothing
        if _is_number(given) or (isinstance(given, np.ndarray) and given.ndim == 1):
            object.__setattr__(self, "label_smoothing", (given,))
        super().__post_init__()
        if len(self.label_smoothing) > 1:
            raise SettingError(
                f"{type(self).__name__}.label_smoothing takes one number, got {given!r}"
            )
        if any(_is_number(item) and item == 0 for item in self.label_smoothing):
            object.__setattr__(self, "label_smoothing", ())

    def smoothed(self, targets: Tensor, classes: int) -> Tensor:
        """Probabilities of K classes (or of one of two) with ε moved, as the convention says."""
        epsilon = as_tensor(self.label_smoothing[0], targets.dtype)
        if self.smoothing_convention == "uniform":
            return targets * (1.0 - epsilon) + epsilon / classes
        return targets * (1.0 - epsilon) + (1.0 - targets) * (epsilon / (classes - 1))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
