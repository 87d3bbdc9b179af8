"""What one step computes, as functions of tensors: the risk, and the update from its gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from thalweg.graph import Tensor, labelled
from thalweg.nn.augmentation import Augmented
from thalweg.nn.augmenting.placing import split_readers
from thalweg.nn.layer import Network, evaluate
from thalweg.ops.functions import astype, fold_in, where
from thalweg.optim.accumulation import Group
from thalweg.optim.optimizers import Moment
from thalweg.training.recipe import AVERAGE, GATHERED, ROWS, Recipe

Tensors = dict[str, Tensor]
Slots = dict[str, Tensors]
Risk = Callable[[Tensors], tuple[Tensor, tuple[Tensor, Tensors]]]

_OWN = (AVERAGE, GATHERED, ROWS)
_AUGMENTATION = 0
"""The site of the step's random numbers that augmentation takes; layers count from 1."""


class Given(NamedTuple):
    """A batch as tensors."""

    x: Tensor
    y: Tensor
    weights: Tensor | None


class Stage(NamedTuple):
    """What a step begins with."""

    parameters: Tensors
    slots: Slots
    moment: Moment


def nested_slots(recipe: Recipe, flat: Mapping[str, Tensor]) -> Slots:
    """Slots by name, then by path; a slot that no parameter keeps is empty."""
    nested: Slots = {slot.name: {} for slot in recipe.optimizer.slots}
    for path, value in flat.items():
        slot, _, rest = path.partition("/")
        nested.setdefault(slot, {})[rest] = value
    return nested


class Learner:
    """The parts of a step.

    Args:
        recipe: with tensors for its settings.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def point(self, stage: Stage) -> Tensors:
        """Where the gradient is taken: the trained parameters, or what the optimiser looks at."""
        trained = self._trained(stage.parameters)
        slots = {name: slot for name, slot in stage.slots.items() if name not in _OWN}
        return self.recipe.optimizer.point(trained, slots, stage.moment)

    def _trained(self, parameters: Tensors) -> Tensors:
        return {p: value for p, value in parameters.items() if not self.recipe.is_frozen(p)}

    def objective(self, stage: Stage, batch: Given, states: Tensors, key: Tensor) -> Risk:
        """Risk = mean loss + penalty as a function of the trained parameters.

        Beside the risk it gives the mean loss, and the states after the forward pass.
        """
        recipe = self.recipe
        dtype = next(iter(stage.parameters.values())).dtype
        x = astype(batch.x, dtype)
        changed, network = self._augmented(x, states, key)

        def risk(trained: Tensors) -> tuple[Tensor, tuple[Tensor, Tensors]]:
            result = evaluate(
                network, {**stage.parameters, **trained}, changed.x, states=states,
                training=True, key=key, frozen=recipe.frozen,
            )  # fmt: skip
            with labelled(layer="loss"):
                score = partial(recipe.loss, result.output)
                loss = changed.loss(score, batch.y, batch.weights)
                total = loss if recipe.penalty is None else loss + recipe.penalty(trained)
            return total, (loss, result.states)

        return risk

    def _augmented(self, x: Tensor, states: Tensors, key: Tensor) -> tuple[Augmented, Network]:
        """The changed batch, and the layers that take it."""
        augment, network = self.recipe.augmentation, self.recipe.network
        if augment is None:
            return Augmented(x), network
        reader, rest = split_readers(network)
        images = evaluate(reader, {}, x, states=states).output
        with labelled(layer="augmentation"):
            return augment(images, fold_in(key, _AUGMENTATION)), rest

    def update(
        self, stage: Stage, gradients: Tensors, batch: Given, group: Group | None
    ) -> tuple[Tensors, Slots]:
        """All parameters and slots after the step."""
        if group is None:
            return self._updated(stage, gradients)
        return self._accumulated(stage, gradients, batch, group)

    def _updated(self, stage: Stage, gradients: Tensors) -> tuple[Tensors, Slots]:
        """After an update with these gradients."""
        recipe = self.recipe
        trained = self._trained(stage.parameters)
        own = {name: slot for name, slot in stage.slots.items() if name not in _OWN}
        with labelled("clipping", "update"):
            clipped = recipe.clipping(gradients) if recipe.clipping else gradients
        with labelled("optimizer", "update"):
            moved, kept = recipe.optimizer.update(clipped, own, trained, stage.moment)
            kept = {name: _like(kept[name], slot) for name, slot in own.items()}
            moved = {**stage.parameters, **_like(moved, trained)}
        if recipe.average is not None:
            weight = recipe.average.weight(stage.moment)
            with labelled("average", "update"):
                means = {
                    path: mean + (moved[path] - mean) * weight
                    for path, mean in stage.slots[AVERAGE].items()
                }
                kept[AVERAGE] = _like(means, stage.slots[AVERAGE])
        return moved, kept

    def _accumulated(
        self, stage: Stage, gradients: Tensors, batch: Given, group: Group
    ) -> tuple[Tensors, Slots]:
        """Gradients are gathered; the last batch of a group updates with their mean over rows."""
        rows = batch.weights.sum() if batch.weights is not None else float(batch.x.shape[0])
        before = where(group.begins, 0.0, stage.slots[ROWS][""])
        count = before + rows
        share = rows / where(count == 0.0, 1.0, count)
        held = stage.slots[GATHERED]
        means = {
            path: where(group.begins, gradient, held[path] + (gradient - held[path]) * share)
            for path, gradient in gradients.items()
        }
        moved, kept = self._updated(stage, means)
        moved = _chosen(group.ends, moved, stage.parameters)
        kept = {name: _chosen(group.ends, slot, stage.slots[name]) for name, slot in kept.items()}
        kept[GATHERED] = _like(means, held)
        kept[ROWS] = {"": astype(count, "float64")}
        return moved, kept


def _like(values: Tensors, models: Tensors) -> Tensors:
    return {path: astype(values[path], model.dtype) for path, model in models.items()}


def _chosen(condition: Tensor, values: Tensors, otherwise: Tensors) -> Tensors:
    return {
        path: other if values[path] is other else where(condition, values[path], other)
        for path, other in otherwise.items()
    }
