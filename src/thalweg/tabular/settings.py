"""How a network for a table is built and trained, with defaults that were measured."""

from __future__ import annotations

import dataclasses
import math
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
from thalweg.optim.clipping import as_clipping
from thalweg.optim.optimizers import Adam, Optimizer, as_optimizer
from thalweg.optim.schedules import Cosine, Schedule
from thalweg.training.stopping import EarlyStopping, as_stopping

MAX_UNITS = 2**20
"""Units of one hidden layer at most; more are a slip of the finger."""

_ALIASES = {"sigmoid": "logistic"}
_MANY_ROWS = 6400
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
    """How a network is trained on a table; None leaves a choice to a rule that was measured.

    n is the number of training rows, b the rows of a batch.

    Attributes:
        hidden: units of each hidden layer; empty for a linear model.
        activation: name or layer that follows each hidden layer.
        dropout: share of hidden units left out while training, in [0, 1). None: 0.2, and 0.1 from
            6,400 training rows on.
        epochs: passes over the training rows at most.
        batch_size: b. None: 16; 32, 64, 128 from 1,600, 3,200, 6,400 training rows on.
        learning_rate: number or schedule. None: a cosine from 0.005 √(b / 128) down to 0 for Adam,
            from the rule's own default for other optimisers.
        optimizer: name or optimiser.
        early_stopping: patience in epochs, a rule, or None.
        clip: bound of the gradient's norm, or a clipping.
        seed: of weights, shuffling, dropout.
    """

    hidden: tuple[int, ...] = (64, 64)
    activation: str | Layer = "relu"
    dropout: float | None = None
    epochs: int = 100
    batch_size: int | None = None
    learning_rate: float | Schedule | None = None
    optimizer: str | Optimizer = "adam"
    early_stopping: int | bool | EarlyStopping | None = 20
    clip: Any = None
    seed: int = 0

    def network(self, outputs: int, rows: int) -> Sequential:
        """Linear, activation and dropout for each hidden layer, then Linear.

        Raises:
            SettingError: a size or name that cannot be.

        >>> len(TableSettings(hidden=(8,), dropout=0.0).network(outputs=3, rows=100))
        3
        """
        layers: list[Layer] = []
        rate = self.dropout_rate(rows)
        for place, units in enumerate(self.hidden, 1):
            layers += [Linear(_units(units, place)), self._activation()]
            layers += [Dropout(rate)] if rate else []
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

    def dropout_rate(self, rows: int) -> float:
        """The share of units left out, for this many training rows."""
        if self.dropout is not None:
            return self.dropout
        return 0.1 if rows >= _MANY_ROWS else 0.2

    def rule(self, rows: int) -> Optimizer:
        """The optimiser with its learning rate.

        >>> TableSettings(optimizer="sgd", learning_rate=0.1).rule(rows=100)
        SGD(learning_rate=0.1)
        """
        chosen = as_optimizer(self.optimizer)
        if self.learning_rate is not None:
            return dataclasses.replace(chosen, learning_rate=self.learning_rate)
        if isinstance(self.optimizer, Optimizer) or isinstance(chosen.learning_rate, Schedule):
            return chosen
        start = chosen.learning_rate
        if isinstance(chosen, Adam):
            start = 5e-3 * math.sqrt(self.batch(rows) / 128)
        return dataclasses.replace(chosen, learning_rate=Cosine(start))

    def batch(self, rows: int) -> int:
        """Rows of a batch for this many training rows.

        >>> TableSettings().batch(100), TableSettings(batch_size=7).batch(100)
        (16, 7)
        """
        if self.batch_size is not None:
            return self.batch_size
        wanted = next((size for size in (16, 32, 64) if rows < 100 * size), 128)
        return min(wanted, rows)

    def check(self) -> None:
        """Refuse what can be refused before any data is read.

        Raises:
            SettingError: a setting outside its range.
        """
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, (int, np.integer)) or value < 1):
                raise SettingError(f"{name} must be a whole number of at least 1, got {value!r}")
        self.network(2, 1)
        self.rule(1)
        as_stopping(self.early_stopping)
        as_clipping(self.clip)


def _units(units: Any, place: int) -> int:
    if isinstance(units, bool) or not isinstance(units, (int, np.integer)):
        raise SettingError(f"hidden layer {place} needs a whole number of units, got {units!r}")
    if not 1 <= units <= MAX_UNITS:
        raise SettingError(
            f"hidden layer {place} is to have {units:,} units; choose 1 to {MAX_UNITS:,}, for "
            "example 64"
        )
    return int(units)
