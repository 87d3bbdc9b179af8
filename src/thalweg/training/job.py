"""What is trained: the recipe, the rows, and how they make batches; the same for every backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from thalweg.graph import Array, Shape
from thalweg.ops.random import key_from_seed, permutation
from thalweg.training.programs import Programs
from thalweg.training.recipe import Recipe
from thalweg.training.step import Batch, Run, State, StepGraph

SHUFFLE, DROPOUT = 1, 2
"""Sites of the two random streams of a run."""


class Chosen:
    """Some rows of an array that stays where it is; rows are copied only when they are asked for.

    Args:
        base: all rows.
        places: which of them, in order.
    """

    def __init__(self, base: Array, places: Array) -> None:
        self.base = base
        self.places = np.ascontiguousarray(places, np.int64)

    @property
    def shape(self) -> Shape:
        """The lengths of the axes."""
        return (len(self.places), *self.base.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self.base.dtype

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Array:
        return self.base[self.places[index]]


class Rows(NamedTuple):
    """Inputs, targets and (where given) weights, in the user's own order."""

    x: Array | Chosen
    y: Array
    weights: Array | None

    def take(self, places: Array) -> Batch:
        """The rows at these places."""
        weights = None if self.weights is None else self.weights[places]
        return Batch(self.x[places], self.y[places], weights)

    def like(self, count: int) -> Batch:
        """So many rows without their values: their shape and types."""
        x, y, weights = (
            None if item is None else np.empty((count, *item.shape[1:]), item.dtype)
            for item in self
        )
        assert x is not None
        assert y is not None
        return Batch(x, y, weights)

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, eq=False)
class Job:
    """The training of one network.

    Attributes:
        recipe: network, loss, optimiser, clipping.
        rows: training rows.
        epochs: how many at most.
        batch_size: rows of a batch; the last batch of an epoch may be shorter.
        seed: of shuffling and dropout.
        shuffle: whether rows are taken in a new random order in each epoch.
        held_out: validation rows, if any.
        threads: how many at most; None for as many as are found to gain.
        programs: what this run shares with others of its shape.
    """

    recipe: Recipe
    rows: Rows
    epochs: int
    batch_size: int
    seed: int
    shuffle: bool = True
    held_out: Rows | None = None
    threads: int | None = None
    programs: Programs = field(default_factory=Programs, repr=False)
    _graphs: dict[int, StepGraph] = field(default_factory=dict[int, StepGraph], repr=False)
    _orders: dict[int, Array] = field(default_factory=dict[int, Array], repr=False)
    _adjusted: dict[str, float] = field(default_factory=dict[str, float], repr=False)

    @cached_property
    def steps_per_epoch(self) -> int:
        """Updates of one epoch."""
        return -(-len(self.rows) // self.batch_size)

    @cached_property
    def total_steps(self) -> int:
        """Updates of all epochs."""
        return self.epochs * self.steps_per_epoch

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """The lengths of batches: of all but the last of an epoch, and of that where it differs."""
        rest = len(self.rows) % self.batch_size
        return (self.batch_size, rest) if rest else (self.batch_size,)

    @cached_property
    def run(self) -> Run:
        """The numbers that steps read."""
        return Run(key_from_seed(self.seed, DROPOUT), self.total_steps, self.steps_per_epoch)

    @cached_property
    def shuffle_key(self) -> Array:
        """The key of all orders: an epoch folds in its number's low and high 32 bits (from 0)."""
        return key_from_seed(self.seed, SHUFFLE)

    def order(self, epoch: int) -> Array:
        """The rows' places in an epoch's order (N,): a function of seed and epoch alone."""
        if epoch not in self._orders:
            count = len(self.rows)
            key = key_from_seed(self.seed, SHUFFLE, epoch)
            self._orders.clear()
            self._orders[epoch] = permutation(key, count) if self.shuffle else np.arange(count)
        return self._orders[epoch]

    def remember(self, epoch: int, order: Array) -> None:
        """Take a copy of an epoch's order from who has computed it."""
        if epoch not in self._orders:
            self._orders.clear()
            self._orders[epoch] = order.copy()

    def places(self, step: int) -> Array:
        """The places of the rows that a step takes; steps count from 0 over the whole run."""
        epoch, within = divmod(step, self.steps_per_epoch)
        return self.order(epoch)[within * self.batch_size : (within + 1) * self.batch_size]

    def weights(self, steps: range) -> list[float]:
        """What batches count in their epoch's mean loss: their rows, or the rows' weights' sum.

        Args:
            steps: consecutive steps of one epoch.
        """
        weights = self.rows.weights
        if weights is not None:
            return [float(np.sum(weights[self.places(step)])) for step in steps]
        found = [float(self.batch_size)] * len(steps)
        if steps.stop % self.steps_per_epoch == 0:
            found[-1] = float(self.lengths[-1])
        return found

    def batch(self, step: int) -> Batch:
        """The rows that a step takes."""
        return self.rows.take(self.places(step))

    def adjust(self, settings: Mapping[str, float]) -> None:
        """Change numeric settings for later steps, by path (``optimizer.learning_rate.share``)."""
        self._adjusted.update(settings)
        for graph in self._graphs.values():
            graph.adjust(settings)

    def graph(self, state: State, length: int) -> StepGraph:
        """The step for batches of this length; traced once for each length."""
        if length not in self._graphs:
            batch = self.rows.like(length)
            self._graphs[length] = StepGraph(self.recipe, state, batch, self.programs)
            self._graphs[length].adjust(self._adjusted)
        return self._graphs[length]
