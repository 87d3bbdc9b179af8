"""How a network for a table is built and trained, with defaults that were measured."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.data.table import nearest
from thalweg.descriptions import make, members
from thalweg.errors import SettingError
from thalweg.nn.activations import Activation
from thalweg.nn.containers import Sequential
from thalweg.nn.dropout import Dropout
from thalweg.nn.layer import Layer
from thalweg.nn.linear import Linear
from thalweg.optim.optimizers import Optimizer, as_optimizer
from thalweg.optim.schedules import Schedule
from thalweg.training.stopping import EarlyStopping

MAX_UNITS = 2**20
"""Units of one hidden layer at most; more are a slip of the finger."""

_ALIASES = {"sigmoid": "logistic"}
_UNSUITED = frozenset({"step", "sign", "maxout"})
"""Activations without a derivative to learn by, or that change the number of units."""


def activation_names() -> tuple[str, ...]:
    """The activations that may follow a hidden layer.

    >>> "relu" in activation_names(), "dropout" in activation_names()
    (True, False)
    """
    layers = members("layer")
    found = [name for name, cls in layers.items() if issubclass(cls, Activation)]
    return tuple(name for name in found if name not in _UNSUITED)


@dataclass(frozen=True)
class TableSettings:
    """How a network is trained on a table.

    Attributes:
        hidden: units of each hidden layer; empty for a linear model.
        activation: name or layer that follows each hidden layer.
        dropout: share of hidden units left out while training, in [0, 1).
        epochs: passes over the training rows at most.
        batch_size: rows of a batch; None chooses by the number of training rows.
        learning_rate: number or schedule; None takes the optimiser's default.
        optimizer: name or optimiser.
        early_stopping: patience in epochs, a rule, or None.
        clip: bound of the gradient's norm, or a clipping.
        seed: of weights, shuffling, dropout.
    """

    hidden: tuple[int, ...] = (64, 64)
    activation: str | Layer = "relu"
    dropout: float = 0.0
    epochs: int = 100
    batch_size: int | None = None
    learning_rate: float | Schedule | None = None
    optimizer: str | Optimizer = "adam"
    early_stopping: int | bool | EarlyStopping | None = 10
    clip: Any = None
    seed: int = 0

    def network(self, outputs: int) -> Sequential:
        """Linear, activation and (where asked for) dropout for each hidden layer, then Linear.

        Raises:
            SettingError: a size or name that cannot be.

        >>> len(TableSettings(hidden=(8,), dropout=0.1).network(3))
        4
        """
        layers: list[Layer] = []
        for place, units in enumerate(self.hidden, 1):
            layers += [Linear(_units(units, place)), self._activation()]
            layers += [Dropout(self.dropout)] if self.dropout else []
        return Sequential(*layers, Linear(outputs))

    def _activation(self) -> Layer:
        if isinstance(self.activation, Layer):
            return self.activation
        name = _ALIASES.get(self.activation, self.activation)
        known = activation_names()
        if name not in known:
            near = nearest(name, known)
            hint = f"; did you mean {near!r}?" if near else "."
            raise SettingError(f"unknown activation {name!r}{hint} Known: {', '.join(known)}")
        return make("layer", name)

    def rule(self) -> Optimizer:
        """The optimiser with its learning rate."""
        chosen = as_optimizer(self.optimizer)
        if self.learning_rate is None:
            return chosen
        return dataclasses.replace(chosen, learning_rate=self.learning_rate)

    def check(self) -> None:
        """Refuse what can be refused before any data is read.

        Raises:
            SettingError: a setting outside its range.
        """
        self.network(2)
        self.rule()
        for name, value in (("epochs", self.epochs), ("batch_size", self.batch_size)):
            if value is not None and value < 1:
                raise SettingError(f"{name} = {value} is outside its range: at least 1")

    def batch(self, rows: int) -> int:
        """Rows of a batch for this many training rows.

        >>> TableSettings().batch(100), TableSettings(batch_size=7).batch(100)
        (16, 7)
        """
        if self.batch_size is not None:
            return self.batch_size
        wanted = next((size for size in (16, 32, 64) if rows < 100 * size), 128)
        return min(wanted, rows)


def _units(units: Any, place: int) -> int:
    if isinstance(units, bool) or not isinstance(units, (int, np.integer)):
        raise SettingError(f"hidden layer {place} needs a whole number of units, got {units!r}")
    if not 1 <= units <= MAX_UNITS:
        raise SettingError(
            f"hidden layer {place} is to have {units:,} units; choose 1 to {MAX_UNITS:,}, for "
            "example 64"
        )
    return int(units)
