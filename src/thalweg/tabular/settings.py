"""How a network for a table is built and trained, with defaults that were measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from thalweg.descriptions import make
from thalweg.descriptions.spec import spec_of
from thalweg.errors import SettingError
from thalweg.nn.augmentation import Augmentation
from thalweg.nn.containers import Sequential
from thalweg.nn.dropout import Dropout
from thalweg.nn.initialisers import Initialiser
from thalweg.nn.layer import Layer
from thalweg.nn.linear import Linear
from thalweg.nn.losses import Loss
from thalweg.nn.penalties import L2, Penalty, as_penalty
from thalweg.optim.averaging import Averaging
from thalweg.optim.clipping import Clipping
from thalweg.optim.optimizers import Adam, AdamW, Nadam, Optimizer, RAdam
from thalweg.optim.schedules import Cosine, Rate, Schedule
from thalweg.tabular.choices import (
    activation_names,
    check_choices,
    choice_text,
    hidden_layer,
    leading_rule,
    read,
    read_activation,
    read_class_weight,
    states_rate,
    takes_all_rows,
)
from thalweg.training.stopping import EarlyStopping, Stopping

_PENALTIES = {"classification": 2e-3, "regression": 5e-4}
"""Factors that gave the lowest validation losses on tables of 500 to 16,000 rows."""

MAX_UNITS = 2**20
"""Units of one hidden layer at most; more are a slip of the finger."""

_MANY_ROWS = 6400
_ADAMS = (Adam, AdamW, Nadam, RAdam)
"""Rules that the measured learning rate suits."""

_READ = {
    "learning_rate": ("schedule", True),
    "clip": ("clipping", True),
    "penalty": ("penalty", True),
    "average": ("averaging", True),
    "augment": ("augmentation", False),
    "stop": ("stopping", False),
    "initialiser": ("initialiser", False),
    "loss": ("loss", False),
    "structure": ("layer", False),
}
"""Choices that may be text: their families, and whether the text may be a number."""
ENSEMBLES = ("mean", "vote", "bagging", "snapshots")
"""Ways to train several networks and combine them."""

_MEMBERS = 5
_BUILDING = ("hidden", "activation", "initialiser", "normalise", "dropout")
"""Choices that a whole network takes the place of."""


@dataclass(frozen=True)
class TableSettings:
    """How a network is trained on a table; None leaves a choice to a rule that was measured.

    n is the number of training rows, b the rows of a batch. Wherever a description is taken, its
    text is too, as in ``"adam(0.01, beta2=0.99)"``.

    Attributes:
        hidden: units of each hidden layer; empty for a linear model.
        activation: name or layer that follows each hidden layer.
        dropout: share of hidden units left out while training, in [0, 1). None: 0.2, and 0.1 from
            6,400 training rows on; 0 for L-BFGS.
        epochs: passes over the training rows at most.
        batch_size: b. None: 16; 32, 64, 128 from 1,600, 3,200, 6,400 training rows on; all rows
            for L-BFGS.
        learning_rate: number or schedule. None: a cosine from 0.005 √(b / 128) down to 0 for Adam,
            from the rule's own default for other optimisers.
        optimizer: name or optimiser.
        early_stopping: patience in epochs, a rule, or None.
        clip: bound of the gradient's norm, or a clipping.
        seed: of weights, shuffling, dropout.
        initialiser: of the hidden layers' weights. None: what the activation prefers.
        normalise: the text of a normalisation, which stands behind each hidden Linear, or around
            it (``weight_norm``, ``spectral_norm``); or a layer, which stands behind.
        loss: None: cross entropy for classes, squared error for numbers.
        penalty: on the weights, or the factor of an L2 penalty; 0 for none. None: L2 with 0.002 for
            classes and 0.0005 for numbers, unless the structure is given.
        class_weight: None, ``balanced``, or weights by class.
        average: of the weights, or the decay of an exponential moving average.
        augment: a random change of training batches.
        accumulate: batches of one update.
        statistics: what batch normalisation uses afterwards, ``running`` or ``exact``.
        stop: a rule beside early stopping that ends training.
        structure: a whole network, output layer and all, in place of what is built from hidden,
            activation, initialiser, normalise and dropout.
        members: networks to train and combine. None: 5 where an ensemble is chosen, else one.
        ensemble: how they differ and are combined: ``mean`` of networks with seeds of their own,
            their ``vote`` on classes, ``bagging`` on samples of the rows, or ``snapshots`` of one
            run, which has no early stopping. None: the mean, where members are asked for.
    """

    hidden: tuple[int, ...] = (64, 64)
    activation: str | Layer = "relu"
    dropout: float | None = None
    epochs: int = 100
    batch_size: int | None = None
    learning_rate: float | str | Schedule | None = None
    optimizer: str | Optimizer = "adam"
    early_stopping: int | bool | EarlyStopping | None = 20
    clip: float | str | Clipping | None = None
    seed: int = 0
    initialiser: str | Initialiser | None = None
    normalise: str | Layer | None = None
    loss: str | Loss | None = None
    penalty: float | str | Penalty | None = None
    class_weight: str | Mapping[Any, float] | None = None
    average: float | str | Averaging | None = None
    augment: str | Augmentation | None = None
    accumulate: int = 1
    statistics: str = "running"
    stop: str | Stopping | None = None
    structure: str | Layer | None = None
    members: int | None = None
    ensemble: str | None = None

    def __post_init__(self) -> None:
        """Read what is given as text.

        Raises:
            SettingError: naming the choice, what is wrong, and where in the text.
        """
        for name, (family, number) in _READ.items():
            called = "network" if name == "structure" else name
            value = read(called, family, getattr(self, name), number=number)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "class_weight", read_class_weight(self.class_weight))

    def network(self, outputs: int, rows: int) -> Layer:
        """Linear, normalisation, activation and dropout for each hidden layer, then Linear.

        Raises:
            SettingError: a size or name that cannot be.

        >>> len(TableSettings(hidden=(8,), dropout=0.0).network(outputs=3, rows=100))
        3
        """
        if isinstance(self.structure, Layer):
            return self.structure
        layers: list[Layer] = []
        rate = self.dropout_rate(rows)
        for place, units in enumerate(self.hidden, 1):
            layers += hidden_layer(_units(units, place), self.initialiser, self.normalise)
            layers += [read_activation(self.activation)]
            layers += [Dropout(rate)] if rate else []
        return Sequential(*layers, Linear(outputs))

    @property
    def has_hidden_layers(self) -> bool:
        """Whether layers are built that activation, normalisation and dropout follow."""
        return self.structure is None and bool(self.hidden)

    def dropout_rate(self, rows: int) -> float:
        """The share of units left out, for this many training rows."""
        if self.dropout is not None:
            return self.dropout
        if takes_all_rows(self.update_rule):
            return 0.0
        return 0.1 if rows >= _MANY_ROWS else 0.2

    @property
    def update_rule(self) -> Optimizer:
        """The optimiser as it was chosen, before the learning rate is."""
        chosen = read("optimizer", "optimizer", self.optimizer)
        if not isinstance(chosen, Optimizer):
            raise SettingError(f"optimizer must be a name or an optimiser, got {chosen!r}")
        return chosen

    def rule(self, rows: int) -> Optimizer:
        """The optimiser with its learning rate.

        Raises:
            SettingError: the learning rate is given twice.

        >>> TableSettings(optimizer="sgd", learning_rate=0.1).rule(rows=100)
        SGD(learning_rate=0.1)
        """
        chosen = self.update_rule
        if self.learning_rate is not None:
            self._check_one_rate(chosen)
            return chosen.with_rate(cast("Rate", self.learning_rate))
        leading = leading_rule(chosen)
        start = leading.chosen_rate
        if isinstance(start, Schedule) or states_rate(self.optimizer) or takes_all_rows(chosen):
            return chosen
        if isinstance(leading, _ADAMS):
            start = 5e-3 * math.sqrt(self.batch(rows) / 128)
        return chosen.with_rate(Cosine(start))

    def _check_one_rate(self, chosen: Optimizer) -> None:
        """Refuse a learning rate beside one that the optimiser was given, as far as that shows."""
        within = leading_rule(chosen).chosen_rate
        is_text = isinstance(self.optimizer, str)
        if states_rate(self.optimizer) if is_text else isinstance(within, Schedule):
            raise SettingError(
                f"learning_rate {self.text('learning_rate')} is given beside the one in optimizer "
                f"{self.text('optimizer')}; leave one of them out"
            )

    def objective(self, task: str) -> Loss:
        """The loss for a task.

        Raises:
            SettingError: a loss for targets of another kind.

        >>> TableSettings().objective("regression")
        SquaredError(form='mean')
        """
        classes = task == "classification"
        if self.loss is None:
            return make("loss", "cross_entropy" if classes else "squared_error")
        if not isinstance(self.loss, Loss):
            raise SettingError(f"loss must be a name or a loss, got {self.loss!r}")
        if (self.loss.kind == "numbers") == classes:
            kind = "numbers" if classes else "classes"
            wanted = "cross_entropy" if classes else "squared_error or huber"
            raise SettingError(
                f"loss {spec_of(self.loss)} is for {kind}, but this is a {task}; choose a loss "
                f"such as {wanted}"
            )
        return self.loss

    def outputs(self, task: str, classes: int) -> int:
        """How many outputs the network needs.

        Args:
            task: ``classification`` or ``regression``.
            classes: how many there are, 1 for numbers.

        Raises:
            SettingError: a loss of two classes for more of them.
        """
        loss = self.objective(task)
        if loss.kind == "numbers":
            return loss.outputs_per_number
        if loss.kind == "classes":
            return classes
        if classes != 2:
            raise SettingError(
                f"loss {spec_of(loss)} tells two classes apart, the target has {classes}; choose "
                "cross_entropy"
            )
        return 1

    @property
    def size_of_ensemble(self) -> int:
        """How many networks are combined; 0 where there is one alone."""
        if self.members is None:
            return 0 if self.ensemble is None else _MEMBERS
        return 0 if self.members == 1 and self.ensemble is None else self.members

    def weight_penalty(self, task: str) -> Penalty | None:
        """The penalty on the weights.

        Args:
            task: ``classification`` or ``regression``.

        >>> TableSettings().weight_penalty("regression")
        L2(factor=0.0005, biases=False)
        """
        if self.penalty is not None or self.structure is not None:
            return as_penalty(self.penalty)
        return L2(_PENALTIES[task])

    def batch(self, rows: int) -> int:
        """Rows of a batch for this many training rows.

        >>> TableSettings().batch(100), TableSettings(batch_size=7).batch(100)
        (16, 7)
        """
        if self.batch_size is not None:
            return self.batch_size
        if takes_all_rows(self.update_rule):
            return rows
        wanted = next((size for size in (16, 32, 64) if rows < 100 * size), 128)
        return min(wanted, rows)

    def check(self) -> None:
        """Refuse what can be refused before any data is read.

        Raises:
            SettingError: a setting outside its range.
        """
        check_choices(self, ("epochs", "batch_size", "accumulate", "members"))
        if self.ensemble is not None and self.ensemble not in ENSEMBLES:
            raise SettingError(f"ensemble = {self.ensemble!r} is not one of {', '.join(ENSEMBLES)}")
        if self.structure is not None:
            self._check_structure()
        self.network(2, 1)
        self.rule(1)

    def _check_structure(self) -> None:
        if not isinstance(self.structure, Layer):
            raise SettingError(f"network must be a layer or its text, got {self.structure!r}")
        fresh = TableSettings()
        given = [name for name in _BUILDING if getattr(self, name) != getattr(fresh, name)]
        if given:
            raise SettingError(f"network is the whole network; leave out {', '.join(given)}")

    def text(self, name: str) -> str:
        """A choice as it is written.

        >>> TableSettings(clip="norm(0.5)").text("clip")
        'norm(bound=0.5)'
        """
        return choice_text(getattr(self, name))


def _units(units: Any, place: int) -> int:
    if isinstance(units, bool) or not isinstance(units, (int, np.integer)):
        raise SettingError(f"hidden layer {place} needs a whole number of units, got {units!r}")
    if not 1 <= units <= MAX_UNITS:
        raise SettingError(
            f"hidden layer {place} is to have {units:,} units; choose 1 to {MAX_UNITS:,}, for "
            "example 64"
        )
    return int(units)


__all__ = ["ENSEMBLES", "MAX_UNITS", "TableSettings", "activation_names"]
