"""Augmentation: training rows changed at random, and their targets with them.

Here is what holds for all rows, vectors or images; images have more in
:mod:`thalweg.nn.augmenting`. Noise on the inputs alone is a layer, too:
:class:`thalweg.GaussianNoise`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

from thalweg.descriptions import Description, family, parts, register, setting
from thalweg.descriptions.spec import parse_spec
from thalweg.errors import SettingError
from thalweg.graph import Tensor, as_tensor
from thalweg.ops.functions import concatenate, exp, fold_in, log, uniform, where

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

    @property
    def changes_targets(self) -> bool:
        """Whether the loss is made of other targets than the rows' own."""
        return False

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

    @property
    def changes_targets(self) -> bool:
        """It mixes them."""
        return True

    def __call__(self, x: Tensor, key: Tensor) -> Augmented:
        """The mixed batch."""
        share = symmetric_beta(key, self.alpha)

        def loss(score: Score, y: Tensor, weights: Tensor | None) -> Tensor:
            other = None if weights is None else _rolled(weights)
            return score(y, weights) * share + score(_rolled(y), other) * (1.0 - share)

        return Augmented(x * share + _rolled(x) * (1.0 - share), loss)


@register("augmentation", "augmentations")
@dataclass(frozen=True, init=False)
class Augmentations(Augmentation):
    """Several augmentations, one after the other.

    Each draws random numbers of its own. To turn, scale and shift images together, one
    ``RandomAffine`` is faster than three augmentations, and blurs less.

    Args:
        steps: any number of augmentations, in order.

    Source: Cireşan, Meier, Gambardella and Schmidhuber, "Deep, big, simple neural nets for
    handwritten digit recognition", 2010.

    >>> import thalweg as tw
    >>> tw.Augmentations(tw.RandomCrop(4), tw.RandomHorizontalFlip())
    Augmentations(steps=(RandomCrop(padding=4, fill=0.0), RandomHorizontalFlip(p=0.5)))
    """

    steps: tuple[Augmentation, ...] = parts(family="augmentation", help="one after the other")

    def __init__(
        self, *given: Augmentation | Sequence[Augmentation], steps: Sequence[Augmentation] = ()
    ) -> None:
        if not isinstance(steps, (list, tuple)):
            raise SettingError(f"Augmentations.steps takes a list of them, got {steps!r:.80}")
        alone = given[0] if len(given) == 1 and isinstance(given[0], (list, tuple)) else given
        checked = tuple(_step(place, item) for place, item in enumerate((*alone, *steps)))
        object.__setattr__(self, "steps", checked)

    @property
    def changes_targets(self) -> bool:
        """Whether one of them does."""
        return any(step.changes_targets for step in self.steps)

    def __call__(self, x: Tensor, key: Tensor) -> Augmented:
        """The batch after the last augmentation."""
        changed = Augmented(x)
        for place, step in enumerate(self.steps):
            changed = _after(changed, step(changed.x, fold_in(key, place)))
        return changed


def _step(place: int, item: object) -> Augmentation:
    if isinstance(item, Augmentation):
        return item
    hint = f": write {item.__name__}() with parentheses" if isinstance(item, type) else ""
    raise SettingError(
        f"augmentation {place} of Augmentations is {item!r:.80}, which is none{hint}"
    )


def _after(first: Augmented, second: Augmented) -> Augmented:
    """A changed batch that was changed again."""

    def loss(score: Score, y: Tensor, weights: Tensor | None) -> Tensor:
        return second.loss(partial(first.loss, score), y, weights)

    return Augmented(second.x, loss)


def as_augmentation(value: Any) -> Augmentation | None:
    """An augmentation as it is, one by its name, several in order, or None.

    Raises:
        SettingError: for anything else.

    >>> as_augmentation("mixup")
    Mixup(alpha=0.2)
    """
    if value is None or isinstance(value, Augmentation):
        return value
    if isinstance(value, str):
        return parse_spec("augmentation", value)
    if isinstance(value, (list, tuple)):
        return Augmentations(*cast("Sequence[Augmentation]", value))
    hint = f" (write {value.__name__}() with parentheses)" if isinstance(value, type) else ""
    raise SettingError(f"augment must be None, a name or an augmentation, got {value!r}{hint}")
