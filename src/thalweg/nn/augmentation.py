"""Augmentation of batches of vectors: training rows changed at random, and their targets with them.

Noise on the inputs alone is a layer, :class:`thalweg.GaussianNoise`, in front of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from thalweg.descriptions import Description, family, register, setting
from thalweg.descriptions.spec import parse_spec
from thalweg.errors import SettingError
from thalweg.graph import Tensor, as_tensor
from thalweg.ops.functions import concatenate, exp, log, uniform, where

Score = Callable[[Tensor, Tensor | None], Tensor]
"""The loss of the network's outputs for targets and weights."""


def _plain(score: Score, y: Tensor, weights: Tensor | None) -> Tensor:
    return score(y, weights)


class Augmented(NamedTuple):
    """A changed batch: its inputs, and how its loss is made from the targets' losses."""

    x: Tensor
    loss: Callable[[Score, Tensor, Tensor | None], Tensor] = _plain


@family("augmentation")
@dataclass(frozen=True)
class Augmentation(Description):
    """A random change of each training batch."""

    def __call__(self, x: Tensor, key: Tensor) -> Augmented:
        """The changed batch.

        Args:
            x: inputs (N, …).
            key: ``uint32[2]``, new for each batch.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot be called")


def _rolled(x: Tensor) -> Tensor:
    """Every row replaced by the one before it, the first by the last."""
    return concatenate([x[-1:], x[:-1]]) if x.shape[0] > 1 else x


_TRIES = 48
"""Proposals of a beta number; all are refused with a probability below 2⁻⁴⁸."""


def symmetric_beta(key: Tensor, alpha: Tensor | float) -> Tensor:
    """A number from Beta(α, α), 0 < α ≤ 1, as float64 (): Jöhnk's method.

    Of u, v uniform, a = u^(1/α) and b = v^(1/α), the first pair with a + b ≤ 1 gives a / (a + b).
    Computed from logarithms, so that small α does not underflow.

    Source: Jöhnk, "Erzeugung von betaverteilten und gammaverteilten Zufallszahlen", 1964.
    """
    pairs = 1.0 - uniform(key, (_TRIES, 2), "float64")  # in (0, 1], so that logarithms exist
    logs = log(pairs) / alpha
    top = logs.max(1)
    first, second = logs[:, 0], logs[:, 1]
    total = exp(first - top) + exp(second - top)
    accepted = log(total) + top <= 0.0
    share = exp(first - top) / total
    found = as_tensor(0.5, "float64")
    for place in reversed(range(_TRIES)):
        found = where(accepted[place], share[place], found)
    return found


@register("augmentation", "mixup")
@dataclass(frozen=True)
class Mixup(Augmentation):
    """x̃ = λ x_i + (1 - λ) x_j, loss λ l(ŷ, y_i) + (1 - λ) l(ŷ, y_j), λ ~ Beta(α, α).

    j is the row before i in the (shuffled) batch; λ is drawn once for each batch. Since losses are
    linear in probability targets, this is the mixing of targets for cross entropy.

    Args:
        alpha: α in (0, 1]; small values leave most batches nearly as they are.

    Source: Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: beyond empirical risk minimization", 2018.

    >>> Mixup(0.4).alpha
    0.4
    """

    alpha: float = setting(0.2, low=0, high=1, low_open=True, help="α of Beta(α, α)")

    def __call__(self, x: Tensor, key: Tensor) -> Augmented:
        """The mixed batch."""
        share = symmetric_beta(key, self.alpha)

        def loss(score: Score, y: Tensor, weights: Tensor | None) -> Tensor:
            other = None if weights is None else _rolled(weights)
            return score(y, weights) * share + score(_rolled(y), other) * (1.0 - share)

        return Augmented(x * share + _rolled(x) * (1.0 - share), loss)


def as_augmentation(value: Any) -> Augmentation | None:
    """An augmentation as it is, one by its name, or None.

    Raises:
        SettingError: for anything else.

    >>> as_augmentation("mixup")
    Mixup(alpha=0.2)
    """
    if value is None or isinstance(value, Augmentation):
        return value
    if isinstance(value, str):
        return parse_spec("augmentation", value)
    raise SettingError(f"augment must be None, a name or an augmentation, got {value!r}")
