"""Groups of columns, each with a layer of its own."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from thalweg.descriptions import Description, family, part, parts, register
from thalweg.errors import SettingError, ShapeError
from thalweg.graph import Tensor
from thalweg.nn.activations import Identity
from thalweg.nn.front import FrontContainer, FrontRows, Visit, join, takes_missing, walk
from thalweg.nn.layer import Layer, Scope
from thalweg.ops import functions as ops


@family("branch")
@dataclass(frozen=True)
class Branch(Description):
    """Some columns, and the layer that takes them: a part of :class:`Columns`.

    Args:
        columns: places of columns, counted from 0, in the order in which the layer takes them.
        layer: by default the columns stay as they are.

    Raises:
        SettingError: no column, one that is no whole number ≥ 0, or one twice.

    >>> import thalweg as tw
    >>> tw.Branch([0, 2], tw.Standardise()).columns
    (0, 2)
    """

    columns: tuple[int, ...]
    layer: Layer = part(Identity(), family="layer", help="takes the columns")

    def __post_init__(self) -> None:
        """Take any sequence of whole numbers as columns."""
        object.__setattr__(self, "columns", _places(self.columns))
        super().__post_init__()


register("branch", "branch")(Branch)


def _places(given: Any) -> tuple[int, ...]:
    message = f"Branch.columns takes different whole numbers ≥ 0, such as (0, 2), got {given!r:.80}"
    try:
        places = tuple(operator.index(item) for item in cast("Iterable[Any]", given))
    except TypeError as error:
        raise SettingError(message) from error
    if not places or min(places) < 0 or len(set(places)) != len(places):
        raise SettingError(message)
    return places


@register("layer", "columns")
@dataclass(frozen=True, init=False)
class Columns(FrontContainer):
    """Groups of columns, each through a layer of its own; the outputs side by side.

    Numbers are standardised and categories embedded in one network::

        tw.Columns(
            tw.Branch((0, 1, 2), tw.Standardise()),
            tw.Branch((3,), tw.Embedding(10, 4)),
        )

    Columns that no branch names are left out; a column may stand in several. Parameters and states
    are named by the branch's place: ``1.weight``.

    Args:
        branches: any number of them, at least one.

    Shape:
        (N, C) → (N, sum of the branches' features); outputs of more axes are flattened.

    Raises:
        ShapeError: inputs that are no columns, or lack one.

    >>> import thalweg as tw
    >>> net = tw.Columns(tw.Branch((0, 1)), tw.Branch((2,), tw.Embedding(10, 4)))
    >>> net.summary(3).parameters
    40
    """

    branches: tuple[Branch, ...] = parts(family="branch", help="columns and their layers")

    def __init__(self, *given: Branch, branches: Iterable[Branch] = ()) -> None:
        object.__setattr__(self, "branches", (*given, *branches) if given else branches)
        self.__post_init__()
        if not self.branches:
            raise SettingError("Columns needs at least one Branch(columns, layer)")

    @property
    def takes_missing(self) -> bool:
        """Whether some branch takes NaN."""
        return any(takes_missing(branch.layer) for branch in self.branches)

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The outputs of all branches, side by side."""
        self._check(x.shape)
        outputs = [
            _flat(scope.apply(str(place), branch.layer, _chosen(x, branch.columns)))
            for place, branch in enumerate(self.branches)
        ]
        return outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, axis=1)

    def _check(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 2:
            raise ShapeError(f"Columns takes rows (N, C), got {shape}")
        for place, branch in enumerate(self.branches):
            if max(branch.columns) >= shape[1]:
                raise ShapeError(
                    f"branch {place} of Columns takes column {max(branch.columns)}, but there are "
                    f"{shape[1]} columns, counted from 0"
                )

    def walk(self, path: str, rows: FrontRows, visit: Visit) -> FrontRows | None:
        """The rows that the branches give, or None where one of them is trained."""
        self._check(rows.shape)
        found = [
            walk(branch.layer, join(path, str(place)), rows.columns(branch.columns), visit)
            for place, branch in enumerate(self.branches)
        ]
        given = [item for item in found if item is not None]
        return _side_by_side(given, path) if len(given) == len(found) else None


def _side_by_side(parts_: list[FrontRows], path: str) -> FrontRows:
    wide = sum(math.prod(rows.shape[1:]) for rows in parts_)
    return FrontRows(
        (len(parts_[0]), wide),
        parts_[0].dtype,
        lambda i: np.concatenate([_rows_flat(rows[i]) for rows in parts_], axis=1),
        path=path,
        may_miss=any(rows.may_miss for rows in parts_),
        computed=True,
    )


def _rows_flat(block: Any) -> Any:
    return block.reshape(len(block), -1)


def _flat(x: Tensor) -> Tensor:
    return x if x.ndim == 2 else x.reshape(x.shape[0], math.prod(x.shape[1:]))


def _chosen(x: Tensor, columns: tuple[int, ...]) -> Tensor:
    """Columns of x, in order: a slice where they follow each other."""
    if columns == tuple(range(columns[0], columns[0] + len(columns))):
        return x[:, columns[0] : columns[0] + len(columns)]
    return ops.take(x, np.asarray(columns), axis=1)
