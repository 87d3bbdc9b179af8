"""Learned vectors for categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from thalweg.descriptions import flag, option, part, register, size
from thalweg.errors import DataError, ShapeError
from thalweg.graph import Array, Tensor
from thalweg.nn.front import FrontLayer, RowSource, column_name, slices
from thalweg.nn.initialisers import Initialiser, Normal
from thalweg.nn.layer import Scope
from thalweg.ops import functions as ops

_MOST = 2**24
"""Categories at most: whole numbers up to here are exact in float32."""


@register("layer", "embedding")
@dataclass(frozen=True)
class Embedding(FrontLayer):
    """A learned vector for each category: row x of a matrix.

    y = weight[x], for whole numbers x from 0 to categories - 1 (of any type; in a network they
    are floating-point numbers without a fraction). Parameter: ``weight`` (categories, features).

    Args:
        categories: how many there are, 1 … 2²⁴.
        features: the length of a vector.
        unknown: ``error`` refuses any other number; ``first`` takes row 0 for it and for NaN, so
            that row 0 is best kept for it and categories are counted from 1. A traced function
            cannot refuse: there ``error`` gives NaN, which stops training with a message.
        flatten: join the vectors of a row, where it has several categories.
        weight: initialiser; by default N(0, 1), as PyTorch has it. (Keras: U(-0.05, 0.05).)

    Shape:
        (N,) → (N, features); (N, …, C) → (N, …, C, features), or (N, …·C·features) flattened. All
        columns share the vectors; for vectors of their own, see :class:`Columns`.

    Raises:
        DataError: with ``unknown="error"``, a number that is none of the categories, with its
            value.

    Source: Bengio, Ducharme, Vincent and Jauvin, "A neural probabilistic language model", 2003;
    for tables: Guo and Berkhahn, "Entity embeddings of categorical variables", 2016.

    >>> import numpy as np, thalweg as tw
    >>> weight = np.array([[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]])
    >>> tw.apply_network(tw.Embedding(3, 2), {"weight": weight}, np.array([2, 0]))
    Tensor([[2.  2.5]
            [0.  0.5]], float64)
    """

    takes_codes: ClassVar[bool] = True

    categories: int = size(high=_MOST, help="how many categories there are")
    features: int = size(help="length of a vector")
    unknown: str = option("error", options=("error", "first"), help="what another number becomes")
    flatten: bool = flag(False, help="join the vectors of a row")
    weight: Initialiser = part(Normal(1.0), family="initialiser", help="start of the vectors")

    @property
    def takes_missing(self) -> bool:
        """Whether inputs may be NaN."""
        return self.unknown == "first"

    def check(self, rows: RowSource, states: Mapping[str, Array]) -> None:
        """Refuse a number that is none of the categories, with ``unknown="error"``."""
        if self.unknown == "first":
            return
        for piece in slices(rows):
            block = rows[piece]
            strange = ~self._is_known(block)
            if strange.any():
                row, *rest = (int(item) for item in np.argwhere(strange)[0])
                raise DataError(
                    f"{column_name(rows, tuple(rest))} holds {block[(row, *rest)]:.9g} in row "
                    f"{piece.start + row} (counted from 0); {self._range()}"
                )

    def _is_known(self, values: Array) -> Array:
        return (values >= 0) & (values < self.categories) & (np.floor(values) == values)

    def _range(self) -> str:
        return (
            f"an embedding of {self.categories} categories takes whole numbers from 0 to "
            f"{self.categories - 1}; correct it, or use Embedding(unknown='first') with row 0 kept "
            "for categories that training did not have"
        )

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The vectors of the rows' categories."""
        shape = (self.categories, self.features)
        weight = scope.parameter("weight", shape, self.weight)
        inside = self._inside(x)
        places = ops.astype(ops.where(inside, x, 0), "int32")
        vectors = ops.take(weight, places)
        if self.unknown == "error" and x.type.is_float:
            known = inside.reshape(*x.shape, 1)
            vectors = ops.where(known, vectors, float("nan"))
        if self.flatten:
            vectors = vectors.reshape(x.shape[0], -1)
        return vectors

    def _inside(self, x: Tensor) -> Tensor:
        if not x.ndim:
            raise ShapeError(f"Embedding takes categories (N,) or (N, …, C), got {x.type}")
        if x.value is not None and self.unknown == "error":
            strange = x.value[~self._is_known(x.value)]
            if strange.size:
                raise DataError(f"Embedding got {strange[0]:.9g}; {self._range()}")
        inside = ops.bitwise_and(x >= 0, x < self.categories)
        return ops.bitwise_and(inside, ops.equal(ops.floor(x), x)) if x.type.is_float else inside
