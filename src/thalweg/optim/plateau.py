"""A learning rate that falls when the loss no longer does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from thalweg.descriptions import Description, option, register, setting, size
from thalweg.descriptions.constraints import declared
from thalweg.errors import DataError
from thalweg.graph import Tensor
from thalweg.optim.schedule import Schedule, double


@register("schedule", "reduce_on_plateau")
@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """η = η₀ s, where the share s is multiplied by β when the loss has not fallen for a while.

    After each epoch the monitored loss counts as lower if it is below best · (1 - threshold), or,
    with ``threshold_mode="absolute"``, below best - threshold. After more than ``patience`` epochs
    in a row that were not lower, the rate becomes max(βη, minimum); the next ``cooldown`` epochs
    do not count. These are the rules of PyTorch's ReduceLROnPlateau.

    Args:
        initial: η₀.
        factor: β, in [0, 1).
        patience: epochs without a lower loss that are waited for.
        threshold: how much lower counts.
        threshold_mode: ``relative`` or ``absolute``.
        cooldown: epochs after a fall that do not count.
        minimum: the least rate.
        least_change: a fall by less than this is left out.
        monitor: ``validation_loss``, or ``train_loss``, which also stands in where no rows are
            held out.
        share: s, an input of the compiled step, which the training loop sets after each epoch.

    >>> rule = ReduceOnPlateau(0.1, factor=0.5, patience=1)
    >>> [rule.share_after([3.0, 2.0, 2.0, 2.0, 2.0, 2.0][:n]) for n in range(7)]
    [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25]
    """

    initial: float = setting(1e-3, low=0, help="η₀")
    factor: float = setting(0.1, low=0, high=1, high_open=True, help="β, what a fall multiplies by")
    patience: int = size(10, low=0, help="epochs without a lower loss that are waited for")
    threshold: float = setting(1e-4, low=0, help="how much lower counts as lower")
    threshold_mode: str = option(
        "relative", options=("relative", "absolute"), help="what the threshold is a share of"
    )
    cooldown: int = size(0, low=0, help="epochs after a fall that do not count")
    minimum: float = setting(0.0, low=0, at_most="initial", help="the least rate")
    least_change: float = setting(1e-8, low=0, help="a smaller fall is left out")
    monitor: str = option(
        "validation_loss", options=("validation_loss", "train_loss"), help="the loss that counts"
    )
    share: float = setting(1.0, low=0, high=1, help="s, set while training")

    def at(self, time: Tensor, total: Tensor) -> Tensor:
        """η₀ s."""
        return double(self.initial) * self.share

    def monitored(self, values: Mapping[str, float]) -> float:
        """The loss that counts, of an epoch's numbers.

        >>> ReduceOnPlateau().monitored({"train_loss": 0.5})
        0.5

        Raises:
            DataError: neither the monitored loss nor the training loss is there.
        """
        for name in (self.monitor, "train_loss"):
            if name in values:
                return float(values[name])
        raise DataError(f"no {self.monitor} and no train_loss among {', '.join(values) or 'none'}")

    def share_after(self, losses: Sequence[float]) -> float:
        """The share s after some epochs, a function of their monitored losses alone.

        Args:
            losses: of every finished epoch from the first on, in order.
        """
        rate, best = self.initial, float("inf")
        waited = resting = 0
        for loss in losses:
            if self._is_lower(loss, best):
                best, waited = loss, 0
            else:
                waited += 1
            if resting:
                resting, waited = resting - 1, 0
            if waited > self.patience:
                lower = max(rate * self.factor, self.minimum)
                rate = lower if rate - lower > self.least_change else rate
                resting, waited = self.cooldown, 0
        return rate / self.initial if self.initial else 1.0

    def _is_lower(self, loss: float, best: float) -> bool:
        if self.threshold_mode == "relative":
            return loss < best * (1.0 - self.threshold)
        return loss < best - self.threshold


def plateaus(description: Description, prefix: str = "") -> dict[str, ReduceOnPlateau]:
    """Every :class:`ReduceOnPlateau` inside a description, by its path among the settings.

    The setting to change between epochs is ``f"{path}.share"``.

    Args:
        description: such as an optimiser.
        prefix: of the paths, as in ``settings_of``: empty, or ending in a dot.

    >>> from thalweg.optim.composing import WarmUp
    >>> list(plateaus(WarmUp(ReduceOnPlateau(0.1)), "optimizer.learning_rate."))
    ['optimizer.learning_rate.then']
    """
    if isinstance(description, ReduceOnPlateau):
        return {prefix.removesuffix("."): description}
    found: dict[str, ReduceOnPlateau] = {}
    for name, _, value in declared(description):
        path = f"{prefix}{name}"
        if isinstance(value, Description):
            found |= plateaus(value, f"{path}.")
        elif isinstance(value, tuple):
            for place, item in enumerate(cast("tuple[Any, ...]", value)):
                if isinstance(item, Description):
                    found |= plateaus(item, f"{path}.{place}.")
    return found
