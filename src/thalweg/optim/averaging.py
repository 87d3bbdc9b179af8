"""Averaging of weights: beside the trained parameters runs an average, which is what is used.

Symbols: θ_t the parameters after update t (from 1), a_t their average, a_0 = θ_0;
a_t = a_{t-1} + w_t (θ_t - a_{t-1}).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.descriptions import Description, family, flag, option, register, setting
from thalweg.descriptions.spec import parse_spec
from thalweg.errors import SettingError
from thalweg.graph import Tensor, as_tensor
from thalweg.ops.functions import astype, floor, maximum, minimum, where
from thalweg.optim.optimizer import Moment


@family("averaging")
@dataclass(frozen=True)
class Averaging(Description):
    """How much of the newest parameters goes into their average."""

    def weight(self, moment: Moment) -> Tensor:
        """w_t of the update that begins at a moment, as float64."""
        raise NotImplementedError(f"{type(self).__name__} has no weight method")


def _float(value: Any) -> Tensor:
    return astype(as_tensor(value), "float64")


@register("averaging", "ema")
@dataclass(frozen=True)
class EMA(Averaging):
    """Exponential moving average: a ← d a + (1 - d) θ.

    With ``warm_up`` the memory d is at most (1 + t) / (10 + t) at update t (from 1), so that the
    start is forgotten soon; without it the form is PyTorch's and Keras'.

    Args:
        decay: d in [0, 1); the average reaches back about 1 / (1 - d) updates.
        warm_up: let the memory grow in the first updates.

    Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992.

    >>> float(EMA(0.75, warm_up=False).weight(Moment(0)))
    0.25
    """

    decay: float = setting(0.999, low=0, high=1, high_open=True, help="d, memory of the average")
    warm_up: bool = flag(True, help="shorter memory in the first updates")

    def weight(self, moment: Moment) -> Tensor:
        """1 - d."""
        decay = _float(self.decay)
        if self.warm_up:
            time = _float(moment.step) + 1.0
            decay = minimum(decay, (time + 1.0) / (time + 10.0))
        return 1.0 - decay


@register("averaging", "swa")
@dataclass(frozen=True)
class SWA(Averaging):
    """The plain mean of the parameters over the end of the run: a ← a + (θ - a) / (n + 1).

    n counts the parameters already averaged. Before the share ``start`` of the run is over, and
    for the whole first epoch at least, the average is θ itself.

    Args:
        start: share of the run after which averaging begins, in [0, 1).
        every: whether the parameters after each ``epoch`` or each ``update`` are averaged.

    Source: Izmailov, Podoprikhin, Garipov, Vetrov and Wilson, "Averaging weights leads to wider
    optima and better generalization", 2018.

    >>> [float(SWA(0.0, every="update").weight(Moment(t, 4, 1))) for t in range(4)]
    [1.0, 0.5, 0.3333333333333333, 0.25]
    """

    start: float = setting(0.75, low=0, high=1, high_open=True, help="share of the run before it")
    every: str = option("epoch", options=("epoch", "update"), help="what is averaged")

    def weight(self, moment: Moment) -> Tensor:
        """1 / (n + 1) where parameters are averaged, 1 before the start, else 0."""
        step, total, per_epoch = (_float(value) for value in moment)
        span = per_epoch if self.every == "epoch" else as_tensor(np.float64(1.0))
        done = floor((step + 1.0) / span)
        before = floor(_float(self.start) * total / span)
        count = maximum(done - before, 1.0)
        ends = (step + 1.0) - done * span == 0.0
        share = where(ends, 1.0 / count, 0.0)
        return where(done <= before, 1.0, share)


def as_averaging(value: Any) -> Averaging | None:
    """An averaging as it is, a number as the decay of an :class:`EMA`, a name, or None.

    Raises:
        SettingError: for anything else.

    >>> as_averaging(0.99)
    EMA(decay=0.99, warm_up=True)
    """
    if value is None or isinstance(value, Averaging):
        return value
    if isinstance(value, str):
        return parse_spec("averaging", value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return EMA(value)
    raise SettingError(f"average must be None, a decay, a name or an averaging, got {value!r}")
