"""What a training step is made of, and the arrays that it keeps beside the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from thalweg.descriptions import (
    Description,
    descriptions_in,
    replace_settings,
    settings_of,
    structure_of,
)
from thalweg.errors import SettingError
from thalweg.graph import Array, Tensor
from thalweg.nn.augmentation import Augmentation
from thalweg.nn.front import FrontLayer
from thalweg.nn.layer import Blueprint, Network, layer_kind
from thalweg.nn.losses import Loss
from thalweg.nn.paths import any_selects
from thalweg.nn.penalties import Penalty
from thalweg.optim.accumulation import updates_of
from thalweg.optim.averaging import SWA, Averaging
from thalweg.optim.clipping import Clipping
from thalweg.optim.lbfgs import LBFGS
from thalweg.optim.optimizers import Optimizer
from thalweg.optim.schedules import Schedule

Values = dict[str, Array]

AVERAGE, GATHERED, ROWS = "thalweg.average", "thalweg.gathered", "thalweg.rows"
"""Slots of the step itself: averaged parameters, accumulated gradients, and their rows' weight."""

_PARTS = ("network", "loss", "optimizer", "clipping", "penalty", "average", "augmentation")


@dataclass(frozen=True)
class Recipe:
    """What a training step is made of.

    Attributes:
        network: whose parameters are trained.
        loss: whose mean over a batch is minimised.
        optimizer: turns gradients into updates.
        clipping: of the gradients, if any.
        penalty: on the weights, added to the loss, if any.
        average: of the weights, used in place of the last ones, if any.
        augmentation: of the batches, if any.
        accumulate: batches of one update.
        frozen: patterns of the parameters and layers that stay as they are.
    """

    network: Network
    loss: Loss
    optimizer: Optimizer
    clipping: Clipping | None = None
    penalty: Penalty | None = None
    average: Averaging | None = None
    augmentation: Augmentation | None = None
    accumulate: int = 1
    frozen: tuple[str, ...] = ()

    def parts(self) -> dict[str, Description]:
        """The descriptions whose numeric settings are inputs of the step."""
        named = {name: getattr(self, name) for name in _PARTS}
        return {name: part for name, part in named.items() if isinstance(part, Description)}

    @cached_property
    def structure(self) -> object:
        """What shapes the step: recipes of equal structure differ by numeric settings alone."""
        return tuple(structure_of(getattr(self, field.name)) for field in fields(self))

    def numbers(self) -> dict[str, float]:
        """Every numeric setting by path."""
        return {
            path: _number(path, value)
            for name, part in self.parts().items()
            for path, value in settings_of(part, f"{name}.").items()
        }

    def settings(self) -> Values:
        """Every numeric setting by path, as float64 numbers."""
        return {path: np.asarray(value) for path, value in self.numbers().items()}

    def with_settings(self, values: Mapping[str, Tensor]) -> Recipe:
        """The same recipe with tensors in place of its numbers."""
        replaced: dict[str, Any] = {
            name: replace_settings(part, values, f"{name}.") for name, part in self.parts().items()
        }
        return replace(self, **replaced)

    def is_frozen(self, path: str) -> bool:
        """Whether a parameter or layer stays as it is."""
        return any_selects(self.frozen, path)

    def used(self, parameters: Values, slots: Values) -> Values:
        """The parameters that a model uses: their averages where there are any."""
        if self.average is None:
            return parameters
        return {path: slots.get(f"{AVERAGE}/{path}", value) for path, value in parameters.items()}


def _number(path: str, value: Any) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    number = np.asarray(value, np.float64)
    if number.shape:
        raise SettingError(
            f"{path} is an array of shape {number.shape}; one network takes one number, "
            "an array is for several: members=K"
        )
    return float(number)


def depends_on_length(recipe: Recipe) -> bool:
    """Whether steps depend on how long the run is to be: through a schedule, or an average."""
    return any(
        isinstance(inner, (Schedule, SWA))
        for part in recipe.parts().values()
        for inner in descriptions_in(part)
    )


def check_schedules(recipe: Recipe, batches: int, per_epoch: int) -> None:
    """Refuse schedules that do not fit in a run.

    Args:
        recipe: with the optimiser.
        batches: of the whole run.
        per_epoch: batches of an epoch.

    Raises:
        SettingError: with a schedule's length and the run's.
    """
    updates = updates_of(per_epoch, recipe.accumulate)
    for inner in descriptions_in(recipe.optimizer):
        if isinstance(inner, Schedule):
            inner.check(batches // per_epoch * updates, updates)


def check_augmentation(augmentation: Augmentation | None, plan: Blueprint) -> None:
    """Refuse to mix rows whose numbers stand for categories.

    Args:
        augmentation: of the batches, if any.
        plan: of the network.

    Raises:
        SettingError: naming the layer that takes categories.
    """
    if augmentation is None or not augmentation.changes_targets:
        return
    for path, layer, *_ in plan.applied:
        if isinstance(layer, FrontLayer) and layer.takes_codes:
            raise SettingError(
                f"augment = {augmentation} mixes rows, but layer {path or 'top'} "
                f"({layer_kind(layer)}) takes numbers that stand for categories, and a number "
                "between two of them is none; leave augment out, or give each category as a column "
                "of 0 and 1 (categories one_hot, of a table)"
            )


def initial_slots(recipe: Recipe, parameters: Values) -> Values:
    """The arrays that a step keeps beside the parameters, by ``slot/path``."""
    trained = {path: value for path, value in parameters.items() if not recipe.is_frozen(path)}
    slots = dict(_optimizer_slots(recipe.optimizer, trained))
    if recipe.average is not None:
        slots |= {f"{AVERAGE}/{path}": value.copy() for path, value in trained.items()}
    if recipe.accumulate > 1:
        slots |= {f"{GATHERED}/{path}": np.zeros_like(value) for path, value in trained.items()}
        slots[f"{ROWS}/"] = np.zeros(())
    return slots


def _optimizer_slots(optimizer: Optimizer, parameters: Values) -> Values:
    if isinstance(optimizer, LBFGS):
        return optimizer.arrays(sum(value.size for value in parameters.values()))
    optimizer.check({path: value.shape for path, value in parameters.items()})
    found: Values = {}
    for slot in optimizer.slots:
        if slot.shared:
            found[f"{slot.name}/"] = np.full((), slot.start, np.float64)
            continue
        for path, value in parameters.items():
            if optimizer.keeps(slot, path, value.shape):
                found[f"{slot.name}/{path}"] = _filled(value, slot.start)
    return found


def _filled(like: Array, start: float) -> Array:
    """Zeros take memory only when they are written to."""
    if start == 0.0:
        return np.zeros(like.shape, like.dtype)
    return np.full(like.shape, start, like.dtype)
