"""How a network is trained on images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from thalweg.descriptions import members
from thalweg.descriptions.spec import parse_spec
from thalweg.errors import SettingError
from thalweg.nn.augmentation import Augmentation
from thalweg.nn.containers import Sequential
from thalweg.nn.gaussian_units import GaussianUnits, MaximumAPosteriori
from thalweg.nn.layer import Layer
from thalweg.nn.losses import Loss, as_loss
from thalweg.nn.penalties import L2, Penalty, as_penalty
from thalweg.optim.averaging import Averaging
from thalweg.optim.clipping import Clipping
from thalweg.optim.optimizers import Adam, AdamW, Optimizer
from thalweg.optim.schedules import Cosine, Rate, Schedule
from thalweg.tabular.choices import (
    check_choices,
    choice_text,
    leading_rule,
    read,
    read_class_weight,
    states_rate,
    takes_all_rows,
)
from thalweg.training.stopping import EarlyStopping, Stopping

_READ = {
    "learning_rate": ("schedule", True),
    "clip": ("clipping", True),
    "penalty": ("penalty", True),
    "average": ("averaging", True),
    "augment": ("augmentation", False),
    "stop": ("stopping", False),
    "loss": ("loss", False),
}
"""Choices that may be text: their families, and whether the text may be a number."""

_BATCH = 64
_RATE = 4e-3
_PENALTY = 5e-4
"""What gave the lowest test losses for LeNet-5 on 4,800 handwritten digits."""

_EPOCHS, _MOST_EPOCHS = 20, 100
_MANY = 6400


@dataclass(frozen=True)
class ImageSettings:
    """How a network is trained on images; wherever a description is taken, its text is too.

    Attributes:
        model: the name of a network (``lenet5``, …), its text, or a layer.
        epochs: passes over the training images at most. None: 20, and more where there are fewer
            than 6,400 training images, as many updates' worth, up to 100.
        batch_size: b, the images of a batch. None: 16; 32 and 64 from 1,600 and 3,200 training
            images on; all images for L-BFGS.
        learning_rate: number or schedule. None: a cosine from 0.004 √(b / 64) down to 0 for Adam,
            from the rule's own default for other optimisers.
        optimizer: name or optimiser.
        early_stopping: patience in epochs, a rule, or None.
        clip: bound of the gradient's norm, or a clipping.
        seed: of the split, the weights, shuffling, dropout and augmentation.
        loss: None: cross entropy; maximum a posteriori behind Gaussian units.
        penalty: on the weights, or the factor of an L2 penalty; 0 for none. None: L2 with 0.0005
            for named networks.
        class_weight: None, ``balanced``, or weights by class.
        average: of the weights, or the decay of an exponential moving average.
        augment: a random change of training batches.
        accumulate: batches of one update.
        statistics: what batch normalisation uses afterwards, ``running`` or ``exact``.
        stop: a rule beside early stopping that ends training.
        standardise: give each channel mean 0 and deviation 1 over the training images, in place
            of scaling to 0 … 1.
    """

    model: str | Layer = "lenet5"
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | str | Schedule | None = None
    optimizer: str | Optimizer = "adam"
    early_stopping: int | bool | EarlyStopping | None = 10
    clip: float | str | Clipping | None = None
    seed: int = 0
    loss: str | Loss | None = None
    penalty: float | str | Penalty | None = None
    class_weight: str | Mapping[Any, float] | None = None
    average: float | str | Averaging | None = None
    augment: str | Augmentation | None = None
    accumulate: int = 1
    statistics: str = "running"
    stop: str | Stopping | None = None
    standardise: bool = False

    def __post_init__(self) -> None:
        """Read what is given as text.

        Raises:
            SettingError: naming the choice, what is wrong, and where in the text.
        """
        for name, (family, number) in _READ.items():
            value = read(name, family, getattr(self, name), number=number)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "class_weight", read_class_weight(self.class_weight))

    def network(self, classes: int) -> Layer:
        """The network for so many classes.

        Raises:
            SettingError: no such network.
        """
        if isinstance(self.model, Layer):
            return self.model
        given: Any = self.model
        if not isinstance(given, str):
            raise SettingError(f"model must be a name, a text or a layer, got {given!r:.80}")
        if self._own_network:
            return cast("Layer", parse_spec("layer", given))
        from thalweg.models import model

        return model(given, classes=classes)

    @property
    def update_rule(self) -> Optimizer:
        """The optimiser as it was chosen, before the learning rate is.

        Raises:
            SettingError: neither a name nor an optimiser.
        """
        chosen = read("optimizer", "optimizer", self.optimizer)
        if not isinstance(chosen, Optimizer):
            raise SettingError(f"optimizer must be a name or an optimiser, got {chosen!r}")
        return chosen

    def rule(self, rows: int) -> Optimizer:
        """The optimiser with its learning rate, for this many training images.

        >>> ImageSettings(optimizer="sgd", learning_rate=0.1).rule(100)
        SGD(learning_rate=0.1)
        """
        chosen = self.update_rule
        if self.learning_rate is not None:
            return chosen.with_rate(cast("Rate", self.learning_rate))
        leading = leading_rule(chosen)
        start = leading.chosen_rate
        if isinstance(start, Schedule) or states_rate(self.optimizer) or takes_all_rows(chosen):
            return chosen
        if isinstance(leading, (Adam, AdamW)):
            start = _RATE * math.sqrt(self.batch(rows) / _BATCH)
        return chosen.with_rate(Cosine(start))

    def batch(self, rows: int) -> int:
        """Images of a batch for this many training images.

        >>> ImageSettings().batch(100), ImageSettings().batch(2000), ImageSettings().batch(5000)
        (16, 32, 64)
        """
        if self.batch_size is not None:
            return self.batch_size
        if takes_all_rows(self.update_rule):
            return rows
        return min(next((size for size in (16, 32) if rows < 100 * size), _BATCH), rows)

    def most_epochs(self, rows: int) -> int:
        """Passes over this many training images at most.

        >>> [ImageSettings().most_epochs(rows) for rows in (100, 3200, 60_000)]
        [100, 40, 20]
        """
        if self.epochs is not None:
            return self.epochs
        return min(max(_EPOCHS, round(_EPOCHS * _MANY / rows)), _MOST_EPOCHS)

    def loss_of(self, network: Layer) -> str | Loss:
        """The loss as chosen; by default what the network's outputs were made for.

        >>> ImageSettings().loss_of(ImageSettings("lenet5_1998").network(10))
        MaximumAPosteriori(j=1.0)
        """
        last: Layer = network
        while isinstance(last, Sequential) and last.layers:
            last = last.layers[-1]
        usual = MaximumAPosteriori() if isinstance(last, GaussianUnits) else "cross_entropy"
        return self.loss or usual

    @property
    def weight_penalty(self) -> Penalty | None:
        """The penalty on the weights."""
        if self.penalty is not None or self._own_network:
            return as_penalty(self.penalty)
        return L2(_PENALTY)

    @property
    def _own_network(self) -> bool:
        """Whether the network is spelled out, and not a named one."""
        given = self.model
        return isinstance(given, Layer) or given.partition("(")[0].strip() in members("layer")

    def check(self) -> None:
        """Refuse what can be refused before any image is read.

        Raises:
            SettingError: a setting outside its range.
        """
        check_choices(self, ("epochs", "batch_size", "accumulate"))
        self.network(2)
        self.rule(1)
        if self.loss is not None and as_loss(self.loss).kind == "numbers":
            raise SettingError(f"loss {self.text('loss')} is for numbers; images have classes")

    def text(self, name: str) -> str:
        """A choice as it is written.

        >>> ImageSettings(clip="norm(0.5)").text("clip")
        'norm(bound=0.5)'
        """
        return choice_text(getattr(self, name))


__all__ = ["ImageSettings"]
