"""The members of an ensemble, trained one after the other: rows, seeds, progress, Ctrl-C."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from thalweg.data.splits import split_rows
from thalweg.errors import NonFiniteError, SettingError, ShapeError
from thalweg.graph import Array
from thalweg.model.ensemble import combined_kind
from thalweg.model.model import numeric_rows
from thalweg.nn.ensemble import Ensemble
from thalweg.nn.layer import Layer, Network, blueprint
from thalweg.ops.functions import random_bits
from thalweg.ops.random import key_from_seed
from thalweg.training.beginning import whole_number
from thalweg.training.ensemble_run import Judged
from thalweg.training.history import Display, Progress
from thalweg.training.learning import front_takes_missing
from thalweg.training.problem import float_dtype
from thalweg.training.result import TrainedRun
from thalweg.training.targets import TargetCode, fit_targets
from thalweg.training.validation import balanced

_MEMBER, _BAG = 3, 4
"""Sites of the random numbers of an ensemble, beside those of a run."""

_DRAWS = 1000
"""Samples that are drawn until one holds two classes."""


class Material(NamedTuple):
    """What all members learn from.

    Attributes:
        x: training rows.
        y: their targets, as they were given.
        weights: of the rows, if any.
        validation: as :func:`fit` takes it: rows that no member is trained on.
        code: what targets mean.
    """

    x: Array
    y: Array
    weights: Array | None
    validation: tuple[Any, ...] | None
    code: TargetCode

    def take(self, places: Array) -> Material:
        """Some of the training rows."""
        weights = None if self.weights is None else self.weights[places]
        return self._replace(x=self.x[places], y=self.y[places], weights=weights)

    @property
    def judged(self) -> Judged:
        """The rows by which members are compared."""
        if self.validation is None:
            return Judged(self.x, self.y, "training rows")
        return Judged(np.asarray(self.validation[0]), np.asarray(self.validation[1]), _HELD)

    def arguments(self) -> dict[str, Any]:
        """What :func:`fit` is given beside network, rows and targets."""
        return {
            "loss": self.code.loss,
            "classes": self.code.classes,
            "sample_weight": self.weights,
            "validation": self.validation,
        }

    def class_weight(self, given: Any) -> Any:
        """Weights of classes as :func:`fit` takes them; balanced ones are those of all rows."""
        labels = self.code.classes
        if not isinstance(given, str) or given != "balanced" or labels is None:
            return given
        codes = self.code.encode(self.y)
        if codes.size != len(codes):
            return given
        factors = balanced(codes.reshape(-1).astype(np.int64), labels)
        return dict(zip(labels, factors.tolist(), strict=True))


_HELD = "validation rows"


def material(
    network: Network, x: Any, y: Any, seed: int, combine: str, options: dict[str, Any]
) -> Material:
    """Rows and targets, checked; a share of them set apart for validation, once for all members.

    Args:
        network: what is trained.
        x: inputs, (N, …).
        y: targets.
        seed: of the split.
        combine: how members are to be combined.
        options: of :func:`fit`; what is used up here is taken out.

    Raises:
        SettingError: a network that is no layer, or predictions that cannot be combined so.
        DataError, ShapeError: data that does not fit.
    """
    if not isinstance(network, Layer):
        raise SettingError(f"an ensemble needs a network that is a Layer, got {network!r:.80}")
    whole_number("seed", seed, 0)
    inputs = numeric_rows(x, missing=front_takes_missing(network))
    targets = np.asarray(y)
    if not targets.ndim or len(inputs) != len(targets):
        raise ShapeError(
            f"x has {len(inputs)} rows, y has {targets.shape[0] if targets.ndim else 0}"
        )
    dtype = float_dtype(options.get("dtype", "float32"))
    outputs = blueprint(network, inputs.shape[1:], dtype).output_shape
    code = fit_targets(
        targets, options.pop("loss", None), outputs, dtype, options.pop("classes", None)
    )
    Ensemble((network,), combine, combined_kind(code.loss, combine))
    weights = options.pop("sample_weight", None)
    held = options.pop("validation", None)
    if weights is not None:
        weights = np.asarray(weights)
        if weights.shape != targets.shape[:1]:
            raise ShapeError(
                f"sample_weight has shape {weights.shape}, expected {targets.shape[:1]}"
            )
    whole = Material(inputs, targets, weights, None, code)
    return _apart(whole, held, seed) if _is_share(held) else whole._replace(validation=held)


def _is_share(held: Any) -> bool:
    return isinstance(held, (int, float, np.floating)) and not isinstance(held, bool)


def _apart(whole: Material, share: float, seed: int) -> Material:
    """A share of the rows set apart, as :func:`fit` does it: by class where there are classes."""
    if not 0 < share < 1:
        raise SettingError(f"validation = {share!r} is outside (0, 1)")
    labels = whole.code.encode(whole.y) if whole.code.classes and whole.y.ndim == 1 else None
    labels = None if labels is None else labels.reshape(len(whole.y))
    shares = (1 - float(share), float(share), 0.0)
    split = split_rows(len(whole.y), shares, labels=labels, seed=seed % 2**32)
    held = whole.take(split.validation)
    pair = (held.x, held.y) if held.weights is None else (held.x, held.y, held.weights)
    return whole.take(split.train)._replace(validation=pair)


def member_seeds(seed: int, count: int) -> tuple[int, ...]:
    """A seed for each member, a function of the ensemble's and its place.

    >>> member_seeds(0, 3)[:2] == member_seeds(0, 2)
    True
    """
    return tuple(int(key_from_seed(seed, _MEMBER, place)[0]) for place in range(count))


def bag(seed: int, rows: Material) -> Array:
    """As many places as there are rows, drawn with replacement; sorted.

    Samples without weight, and where targets are labels those of one class, are drawn again.
    """
    count = len(rows.y)
    for attempt in range(_DRAWS):
        words = random_bits(key_from_seed(seed, _BAG, attempt), (2, count)).numpy()
        shares = words[0].astype(np.float64) * 2.0**-32 + (words[1] >> 12) * 2.0**-52
        places = np.sort(np.minimum((shares * count).astype(np.int64), count - 1))
        one = rows.code.classes is not None and rows.y.ndim == 1
        has_weight = rows.weights is None or rows.weights[places].any()
        if has_weight and (not one or len(np.unique(rows.y[places])) > 1):
            return places
    raise SettingError(
        f"{_DRAWS} bootstrap samples of the {count} rows held one class only, or rows of weight 0; "
        "use fit_ensemble, whose members see every row"
    )


# ------------------------------------------------------------------ one after the other


class MembersDisplay(Display):
    """One display for the runs of all members, as if they were one run.

    Args:
        inner: what shows it.
        members: how many there will be.

    Attributes:
        place: of the member that is trained now.
    """

    def __init__(self, inner: Display, members: int) -> None:
        self.place = 0
        self._inner = inner
        self._members = members
        self._before = (0, 0.0)
        self._latest: Progress | None = None

    def start(self, epochs: int, title: str) -> None:
        """A member begins."""
        if self.place == 0:
            self._inner.start(epochs * self._members, title)

    def update(self, progress: Progress) -> None:
        """A few times a second."""
        self._inner.update(self._whole(progress))

    def epoch(self, progress: Progress) -> None:
        """At the end of each epoch."""
        self._inner.epoch(self._whole(progress))

    def finish(self, progress: Progress, reason: str) -> None:
        """A member has ended."""
        epochs, seconds = self._before
        self._before = (epochs + progress.epoch, seconds + progress.seconds)
        self._latest = self._whole(progress)

    def done(self, reason: str) -> None:
        """All members have ended."""
        if self._latest is not None:
            epochs, seconds = self._before
            self._inner.finish(replace(self._latest, epoch=epochs, seconds=seconds), reason)

    def end(self) -> None:
        """The last call."""
        self._inner.close()

    def _whole(self, progress: Progress) -> Progress:
        seconds = self._before[1] + progress.seconds
        total = progress.total_steps * self._members
        step = progress.total_steps * self.place + progress.step
        return replace(
            progress,
            epoch=progress.epochs * self.place + progress.epoch,
            epochs=progress.epochs * self._members,
            step=step,
            total_steps=total,
            latest={**progress.latest, "member": self.place},
            best_epoch=0,
            seconds=seconds,
            seconds_left=seconds / step * (total - step) if step else np.nan,
        )


def as_display(progress: bool | Display | None) -> Display:
    """What shows progress, as :func:`fit` takes it."""
    if isinstance(progress, Display):
        return progress
    if progress is False:
        return Display()
    from thalweg.training.display import terminal_display

    return terminal_display(always=progress is True)


class Trained(NamedTuple):
    """The runs of the members that were trained, and why no more were."""

    runs: tuple[TrainedRun, ...]
    reason: str


def train_members(
    count: int,
    train: Callable[[int, Display], TrainedRun],
    progress: bool | Display | None,
    whole: Callable[[Trained], Any],
) -> Trained:
    """Train members until all are, or until Ctrl-C; then the finished ones are kept.

    Args:
        count: how many.
        train: trains the member at a place.
        progress: as :func:`fit` takes it.
        whole: makes an ensemble of those that there are, for an error to hold.

    Raises:
        NonFiniteError: naming the member; its ``run`` is the ensemble of the members before it, or
            the member's own run where it is the first.
    """
    display = MembersDisplay(as_display(progress), count)
    runs: list[TrainedRun] = []
    try:
        while len(runs) < count:
            display.place = len(runs)
            run = _member(train, display, runs, whole, count)
            if run is None or run.stop_reason == "interrupted":
                runs = runs or ([] if run is None else [run])
                display.done("interrupted")
                return Trained(tuple(runs), "interrupted")
            runs.append(run)
        display.done("epochs")
    finally:
        display.end()
    return Trained(tuple(runs), "epochs")


def _member(
    train: Callable[[int, Display], TrainedRun],
    display: MembersDisplay,
    runs: list[TrainedRun],
    whole: Callable[[Trained], Any],
    count: int,
) -> TrainedRun | None:
    """The next member's run, None where Ctrl-C came before it was under way."""
    try:
        return train(len(runs), display)
    except KeyboardInterrupt:
        if not runs:
            raise
        return None
    except NonFiniteError as error:
        told = NonFiniteError(f"member {len(runs)} of {count}: {error}")
        told.run = whole(Trained(tuple(runs), "non-finite")) if runs else error.run
        raise told from error


def checkpoint_of(options: Mapping[str, Any], place: int) -> dict[str, Any]:
    """The checkpoint file of a member, behind the ensemble's name."""
    path = options.get("checkpoint")
    return {} if path is None else {"checkpoint": f"{os.fspath(path)}.{place}"}
