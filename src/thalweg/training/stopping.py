"""When to stop: early stopping with the best weights kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from thalweg.descriptions import Description, family, flag, register, setting, size
from thalweg.training.recipe import Values


@family("stopping")
@dataclass(frozen=True)
class Stopping(Description):
    """A rule that ends training before its last epoch."""


@register("stopping", "early")
@dataclass(frozen=True)
class EarlyStopping(Stopping):
    """Stop when the monitored value has not fallen for ``patience`` epochs.

    Args:
        patience: epochs without a fall before the end, ≥ 1.
        min_delta: how much a fall must be to count.
        restore_best: give back the weights of the best epoch (the default) or the last ones.

    The value is the validation loss, or the training loss where there are no validation rows.

    >>> EarlyStopping(patience=5).restore_best
    True
    """

    patience: int = size(10, help="epochs without improvement before the end")
    min_delta: float = setting(0.0, low=0, help="the least fall that counts")
    restore_best: bool = flag(True, help="give back the best epoch's weights")


def as_stopping(value: Any) -> EarlyStopping | None:
    """A rule as it is, a number as its patience, True as the default, None or False as none."""
    if value is None or value is False:
        return None
    if isinstance(value, EarlyStopping):
        return value
    return EarlyStopping() if value is True else EarlyStopping(patience=value)


@dataclass(frozen=True)
class Best:
    """The best epoch so far: its number from 1 (0: none yet), its value, its weights."""

    epoch: int = 0
    value: float = float("inf")
    parameters: Values | None = None
    states: Values | None = None

    def falls(self, value: float, min_delta: float) -> bool:
        """Whether an epoch with this value is the new best; NaN never is."""
        return value < self.value - min_delta or (self.epoch == 0 and not math.isnan(value))
