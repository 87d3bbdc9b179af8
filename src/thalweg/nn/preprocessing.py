"""Preprocessing as layers at the front of a network, fitted to the training rows.

``fit`` learns their states from the training rows alone, before training; they are saved with the
model, so that a saved network takes inputs as they came. Behind each other, a layer learns from
what those in front of it give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from thalweg.descriptions import flag, option, register, setting, size
from thalweg.errors import DataError, ShapeError
from thalweg.graph import Array, Tensor
from thalweg.nn.front import Fitted, RowSource, column_name, refuse_missing, slices
from thalweg.nn.layer import Scope
from thalweg.nn.statistics import each_column, extremes, moments
from thalweg.ops import functions as ops

_MOST = 2**24
"""Categories at most: whole numbers up to here are exact in float32."""


@register("layer", "min_max")
@dataclass(frozen=True)
class MinMax(Fitted):
    """Each column moved and scaled to [low, high] by the training rows' extremes.

    y = low + (high - low) (x - min) / (max - min). Values beyond what training had go beyond
    [low, high], or are cut with ``clip``. A column that is constant in training gives low
    (range 1 stands for max - min = 0). States: ``minimum`` and ``range``, the shape of a row.

    Args:
        low: what the minimum becomes; below high.
        high: what the maximum becomes.
        clip: cut outputs to [low, high].

    Shape:
        (N, …) → the same.

    Raises:
        DataError: while learning, for NaN.

    >>> import numpy as np, thalweg as tw
    >>> tw.MinMax().learn(np.array([[1.0], [3.0], [2.0]]))
    {'minimum': array([1.]), 'range': array([2.])}
    """

    keeps_columns: ClassVar[bool] = True

    low: float = setting(0.0, below="high", help="what the minimum becomes")
    high: float = setting(1.0, help="what the maximum becomes")
    clip: bool = flag(False, help="cut outputs to [low, high]")

    def learn(self, rows: RowSource) -> dict[str, Array]:
        """The training rows' minimum and range."""
        low, high = extremes(rows, "MinMax")
        return {"minimum": low, "range": np.where(high > low, high - low, 1.0)}

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """Low + (high - low) (x - min) / range."""
        least = scope.state("minimum", x.shape[1:])
        share = (x - least) / scope.state("range", x.shape[1:], 1.0)
        low, high = (ops.astype(bound, share.dtype) for bound in (self.low, self.high))
        y = low + (high - low) * share
        return ops.clip(y, low, high) if self.clip else y


@register("layer", "standardise")
@dataclass(frozen=True)
class Standardise(Fitted):
    """Each column with mean 0 and standard deviation 1 over the training rows.

    y = (x - mean) / scale, scale² = Σ (x - mean)² / N. A column that is constant in training
    gives 0 there: its scale is 1. States: ``mean`` and ``scale``, the shape of a row.

    Shape:
        (N, …) → the same.

    Raises:
        DataError: while learning, for NaN.

    >>> import numpy as np, thalweg as tw
    >>> tw.Standardise().learn(np.array([[1.0], [3.0]]))
    {'mean': array([2.]), 'scale': array([1.])}
    """

    keeps_columns: ClassVar[bool] = True

    def learn(self, rows: RowSource) -> dict[str, Array]:
        """The training rows' mean and standard deviation."""
        mean, scale = moments(rows, "Standardise")
        return {"mean": mean, "scale": scale}

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """(x - mean) / scale."""
        return (x - scope.state("mean", x.shape[1:])) / scope.state("scale", x.shape[1:], 1.0)


@register("layer", "impute")
@dataclass(frozen=True)
class Impute(Fitted):
    """Missing values (NaN) replaced by what is usual in their column.

    State: ``fill``, the shape of a row (none for ``constant``). Ties of ``most_frequent`` go to
    the smallest value.

    Args:
        strategy: ``median``, ``mean``, ``most_frequent`` of the training rows' known values, or
            ``constant``.
        value: what stands in for ``constant``.
        indicator: append as many columns again, 1 where the value was missing, else 0. (Scikit-
            learn appends only columns that had missing values in training; here all, so that the
            shape does not depend on the rows. A column of zeros changes nothing.)

    Shape:
        (N, …, C) → the same, or (N, …, 2C) with the indicator.

    Raises:
        DataError: while learning, for a column without any known value.

    >>> import numpy as np, thalweg as tw
    >>> tw.Impute("mean").learn(np.array([[1.0], [np.nan], [3.0]]))
    {'fill': array([2.])}
    """

    keeps_columns: ClassVar[bool] = True

    strategy: str = option(
        "median", options=("median", "mean", "most_frequent", "constant"), help="what stands in"
    )
    value: float = setting(0.0, help="what stands in for constant")
    indicator: bool = flag(False, help="append columns that say what was missing")

    @property
    def takes_missing(self) -> bool:
        """Whether inputs may be NaN: yes."""
        return True

    def learn(self, rows: RowSource) -> dict[str, Array]:
        """The usual value of each column."""
        if self.strategy == "constant":
            return {}
        fill = np.empty(rows.shape[1:], np.float64)
        for place, values in each_column(rows):
            known = values[~np.isnan(values)]
            if not known.size:
                raise DataError(
                    f"{column_name(rows, place)} has no value in the {len(rows)} training rows, "
                    "so that Impute has none to fill in; leave the column out, or use "
                    "strategy='constant'"
                )
            fill[place] = _USUAL[self.strategy](known)
        return {"fill": fill}

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X with NaN replaced, and where it was."""
        if self.strategy == "constant":
            fill: Any = ops.astype(self.value, x.dtype)
        else:
            fill = scope.state("fill", x.shape[1:])
        missing = ops.not_equal(x, x)
        filled = ops.where(missing, fill, x)
        if not self.indicator:
            return filled
        if x.ndim < 2:
            raise ShapeError(f"Impute's indicator needs columns (N, …, C), got {x.type}")
        return ops.concatenate([filled, ops.astype(missing, x.dtype)], axis=-1)


def _most_frequent(values: Array) -> float:
    found, counts = np.unique(values, return_counts=True)
    return float(found[np.argmax(counts)])


def _mean(values: Array) -> float:
    centre = values[0]
    return float(centre + np.mean(values - centre))


_USUAL = {"median": np.median, "mean": _mean, "most_frequent": _most_frequent}


@register("layer", "one_hot")
@dataclass(frozen=True)
class OneHot(Fitted):
    """Numbers that stand for categories, as one input for each category: 1 where a row has it.

    Column by column, output k is 1 where x is the k-th smallest value of the column in training.
    A column with fewer values than ``categories`` leaves the rest of its outputs 0. States:
    ``values`` and ``known`` (1 where there is a value), (C, categories). Values are compared in
    the network's type.

    Args:
        categories: K, the most values that a column has, 1 … 2²⁴.
        unseen: what a value becomes that training did not have: ``zero``, all outputs 0; or
            ``error`` (where values are not at hand, inside a traced function, NaN).

    Shape:
        (N, C) → (N, C·K), K outputs for each column.

    Raises:
        DataError: while learning, for a column of more than K values or NaN; with
            ``unseen="error"`` for an unseen value, with its row and column.

    >>> import numpy as np, thalweg as tw
    >>> states = tw.OneHot(2).learn(np.array([[7.0], [5.0], [7.0]]))
    >>> tw.evaluate(tw.OneHot(2), {}, np.array([[5.0], [7.0], [6.0]]), states=states).output
    Tensor([[1. 0.]
            [0. 1.]
            [0. 0.]], float64)
    """

    takes_codes: ClassVar[bool] = True

    categories: int = size(high=_MOST, help="the most values of a column")
    unseen: str = option("zero", options=("zero", "error"), help="what an unseen value becomes")

    def learn(self, rows: RowSource) -> dict[str, Array]:
        """The values of each column, in ascending order."""
        refuse_missing(rows, "OneHot")
        count = rows.shape[-1] if len(rows.shape) > 1 else 1
        values = np.zeros((count, self.categories))
        known = np.zeros((count, self.categories))
        for place, column in each_column(rows):
            found = np.unique(column)
            if len(found) > self.categories:
                raise DataError(
                    f"{column_name(rows, place)} holds {len(found)} different values, more than "
                    f"OneHot.categories = {self.categories}; set categories={len(found)}, or use "
                    "Standardise for numbers that measure"
                )
            values[place][: len(found)] = found
            known[place][: len(found)] = 1
        return {"values": values, "known": known}

    def check(self, rows: RowSource, states: Mapping[str, Array]) -> None:
        """Refuse a value that training did not have, with ``unseen="error"``."""
        if self.unseen == "zero":
            return
        known = [row[mask > 0] for row, mask in zip(states["values"], states["known"], strict=True)]
        for piece in slices(rows):
            for place, column in enumerate(rows[piece].T):
                strange = ~np.isin(column, known[place])
                if strange.any():
                    row = int(np.argmax(strange))
                    shown = ", ".join(f"{item:.9g}" for item in known[place][:10])
                    raise DataError(
                        f"{column_name(rows, (place,))} holds {column[row]:.9g} in row "
                        f"{piece.start + row} (counted from 0), which training did not have "
                        f"(known: {shown}{', …' if len(known[place]) > 10 else ''}); correct it, "
                        "or use OneHot(unseen='zero')"
                    )

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """1 where x is the k-th value of its column, else 0."""
        if x.ndim != 2:
            raise ShapeError(f"OneHot takes columns (N, C), got {x.type}")
        count = x.shape[1]
        values = scope.state("values", (count, self.categories))
        known = scope.state("known", (count, self.categories))
        hits = ops.where(ops.equal(x.reshape(*x.shape, 1), values), known, 0.0)
        if self.unseen == "error":
            seen = ops.max_(hits, axis=-1, keepdims=True) > 0
            hits = ops.where(seen, hits, float("nan"))
        return hits.reshape(x.shape[0], count * self.categories)
