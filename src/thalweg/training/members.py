"""What the members of an ensemble learn from: rows, seeds, samples, files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from thalweg.data.splits import split_rows
from thalweg.errors import SettingError, ShapeError
from thalweg.graph import Array
from thalweg.model.ensemble import combined_kind
from thalweg.model.model import numeric_rows
from thalweg.nn.ensemble import Ensemble
from thalweg.nn.layer import Layer, Network, blueprint
from thalweg.ops.functions import random_bits
from thalweg.ops.random import key_from_seed
from thalweg.training.beginning import whole_number
from thalweg.training.ensemble_run import Judged
from thalweg.training.history import Display
from thalweg.training.learning import front_takes_missing
from thalweg.training.problem import float_dtype, row_places
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
    places = options.pop("rows", None)
    whole = whole if places is None else whole.take(row_places(places, len(targets)))
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


def as_display(progress: bool | Display | None) -> Display:
    """What shows progress, as :func:`fit` takes it."""
    if isinstance(progress, Display):
        return progress
    if progress is False:
        return Display()
    from thalweg.training.display import terminal_display

    return terminal_display(always=progress is True)


def checkpoint_of(options: Mapping[str, Any], place: int) -> dict[str, Any]:
    """The checkpoint file of a member, behind the ensemble's name."""
    path = options.get("checkpoint")
    return {} if path is None else {"checkpoint": f"{os.fspath(path)}.{place}"}
