"""What the training of one network is given."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from thalweg.model.model import Model
from thalweg.nn.layer import Network
from thalweg.nn.losses import Loss
from thalweg.optim.optimizers import Adam, Optimizer
from thalweg.training.history import Callback, Display
from thalweg.training.stopping import EarlyStopping, Stopping


@dataclass(frozen=True, eq=False)
class Arguments:
    """The arguments of :func:`fit` for one network, with its defaults; see there."""

    network: Network
    x: Any
    y: Any
    loss: str | Loss | Callable[..., Any] | None = None
    optimizer: str | Optimizer = Adam()
    batch_size: int | None = None
    epochs: int = 20
    validation: float | tuple[Any, ...] | None = None
    early_stopping: int | bool | EarlyStopping | None = None
    stop: Stopping | Sequence[Stopping] | str | None = None
    clip: Any = None
    penalty: Any = None
    average: Any = None
    augment: Any = None
    accumulate: int = 1
    frozen: str | Sequence[str] = ()
    start: Model | Mapping[str, Any] | None = None
    statistics: str = "running"
    scale_targets: bool = False
    sample_weight: Any = None
    class_weight: str | Mapping[Any, float] | None = None
    classes: Sequence[Any] | None = None
    rows: Any = None
    shuffle: bool = True
    seed: int = 0
    dtype: str = "float32"
    callbacks: Sequence[Callback] = ()
    checkpoint: str | os.PathLike[str] | None = None
    checkpoint_every: int = 1
    checkpoint_every_updates: int = 0
    resume: bool = False
    backend: str = "native"
    threads: int | None = None

    def but(self, **changes: Any) -> Arguments:
        """The same arguments but for some."""
        return Arguments(**{**vars(self), **changes})


class Options(TypedDict, total=False):
    """The options of :func:`fit`, for type checkers; see there."""

    loss: Any
    optimizer: Any
    batch_size: Any
    epochs: Any
    validation: Any
    early_stopping: Any
    stop: Any
    clip: Any
    penalty: Any
    average: Any
    augment: Any
    accumulate: Any
    frozen: str | Sequence[str]
    start: Any
    statistics: str
    scale_targets: bool
    sample_weight: Any
    class_weight: Any
    classes: Sequence[Any] | None
    rows: Any
    shuffle: bool
    seed: Any
    dtype: str
    callbacks: Sequence[Callback]
    progress: bool | Display | None
    checkpoint: str | os.PathLike[str] | None
    checkpoint_every: int
    checkpoint_every_updates: int
    resume: bool
    backend: str
    threads: int | None
