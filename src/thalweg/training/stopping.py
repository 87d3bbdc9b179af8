"""When to stop: early stopping with the best weights kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, cast

from thalweg.descriptions import Description, family, flag, register, setting, size
from thalweg.descriptions.spec import parse_spec
from thalweg.errors import SettingError
from thalweg.training.history import History
from thalweg.training.recipe import Values

GRADIENT_NORM = "gradient_norm"
"""The history's name of the norm of the gradient of all training rows."""


@family("stopping")
@dataclass(frozen=True)
class Stopping(Description):
    """A rule that ends training before its last epoch.

    Attributes:
        needs_gradient: whether the history must hold ``gradient_norm``.
    """

    needs_gradient: ClassVar[bool] = False

    def reason(self, history: History) -> str:
        """Why training ends after the last epoch of a history; empty where it goes on."""
        return ""


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


@register("stopping", "small_change")
@dataclass(frozen=True)
class SmallChange(Stopping):
    """Stop when the training loss has hardly changed: |l_e - l_{e-1}| ≤ tolerance.

    Args:
        tolerance: of the change from one epoch to the next, ≥ 0.
        patience: epochs in a row with such a change before the end, ≥ 1.

    >>> SmallChange(1e-3).reason(History([{"train_loss": 0.5}, {"train_loss": 0.4995}]))
    'small change'
    """

    tolerance: float = setting(1e-4, low=0, help="of the loss from one epoch to the next")
    patience: int = size(1, help="epochs in a row")

    def reason(self, history: History) -> str:
        """``small change`` or nothing."""
        losses = [row["train_loss"] for row in history.rows[-self.patience - 1 :]]
        changes = [abs(after - before) for before, after in pairwise(losses)]
        small = len(changes) == self.patience and all(c <= self.tolerance for c in changes)
        return "small change" if small else ""


@register("stopping", "small_gradient")
@dataclass(frozen=True)
class SmallGradient(Stopping):
    """Stop when the gradient of the risk of all training rows is short: ‖∇R‖ ≤ tolerance.

    The norm is computed after each epoch, over all trained parameters, and stands in the history
    as ``gradient_norm``; that costs about as much as the epoch itself. Networks that draw random
    numbers have no such gradient and are refused.

    Args:
        tolerance: of the norm, ≥ 0.

    >>> SmallGradient(1e-3).reason(History([{"train_loss": 0.5, "gradient_norm": 1e-4}]))
    'small gradient'
    """

    needs_gradient: ClassVar[bool] = True

    tolerance: float = setting(1e-3, low=0, help="of the gradient's norm")

    def reason(self, history: History) -> str:
        """``small gradient`` or nothing."""
        norm = history.rows[-1][GRADIENT_NORM]
        return "small gradient" if norm <= self.tolerance else ""


def as_rules(value: Any) -> tuple[Stopping, ...]:
    """Rules from one of them, a name, several, or None.

    Raises:
        SettingError: for anything else.

    >>> as_rules("small_change")
    (SmallChange(tolerance=0.0001, patience=1),)
    """
    if value is None:
        return ()
    if isinstance(value, (list, tuple)):
        return tuple(rule for item in cast("list[Any]", value) for rule in as_rules(item))
    if isinstance(value, str):
        value = parse_spec("stopping", value)
    if isinstance(value, Stopping) and not isinstance(value, EarlyStopping):
        return (value,)
    raise SettingError(
        f"stop takes SmallChange, SmallGradient or several, got {value!r}; early stopping by the "
        "validation loss is early_stopping="
    )


def needs_gradient(rules: Sequence[Stopping]) -> bool:
    """Whether a rule needs the norm of the whole gradient."""
    return any(rule.needs_gradient for rule in rules)


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
