"""The front of a network: layers that look at rows before training, and how rows reach them.

The front are the first layers of (nested) :class:`Sequential` and of the branches of
:class:`Columns`, up to the first layer that is trained::

    front ::= layer without parameters, front | trained layer
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from thalweg.errors import DataError, SettingError
from thalweg.graph import Array, Shape
from thalweg.nn.layer import Layer, Network, blueprint, evaluate

ValueT = TypeVar("ValueT")

BLOCK = 2**20
"""Elements of the rows that are looked at in one piece."""

_KEPT = 2**26
"""Bytes of computed rows up to which they are kept."""


class RowSource(Protocol):
    """Rows that can be read piece by piece: an array, or what computes them."""

    @property
    def shape(self) -> Shape:
        """The lengths of the axes, (N, …)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Array: ...


class FrontLayer(Layer):
    """A layer that looks at rows before they are learned from or predicted.

    Attributes:
        keeps_columns: whether output j depends on input j alone, so that messages can name it.
        takes_codes: whether inputs name categories, so that a number between two names neither.
    """

    keeps_columns: ClassVar[bool] = False
    takes_codes: ClassVar[bool] = False

    @property
    def takes_missing(self) -> bool:
        """Whether inputs may be NaN."""
        return False

    def check(self, rows: RowSource, states: Mapping[str, Array]) -> None:
        """Refuse rows that the layer does not take; NaN is refused before.

        Args:
            rows: (N, …), as the layer is given them.
            states: what the layer has learned, by name.

        Raises:
            DataError: naming value, row and column.
        """


class Fitted(FrontLayer):
    """A layer whose states are learned from the training rows before training."""

    def learn(self, rows: RowSource) -> dict[str, Array]:
        """The layer's states by name, in float64, from rows (N, …).

        Raises:
            DataError: rows that the layer cannot learn from.
        """
        raise NotImplementedError(f"{type(self).__name__} has no learn method")


@dataclass(frozen=True)
class FrontRows:
    """The rows that a layer at the front is given: computed when read, kept where they are few.

    Attributes:
        shape: (N, …).
        dtype: the network's.
        read: the rows of a slice.
        names: the columns of x that the columns stand for, or None where they are mixtures.
        path: the layer that gives them.
        may_miss: whether NaN may be among them.
        computed: whether reading computes them, so that they are worth keeping.
    """

    shape: Shape
    dtype: np.dtype[Any]
    read: Callable[[slice], Array]
    names: Array | None = None
    path: str = ""
    may_miss: bool = False
    computed: bool = False

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice) -> Array:
        start, stop, step = index.indices(len(self))
        if self.computed and math.prod(self.shape) * self.dtype.itemsize <= _KEPT:
            return self._all[start:stop:step]
        return self.read(slice(start, stop, step))

    @cached_property
    def _all(self) -> Array:
        pieces = [self.read(piece) for piece in slices(self)]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def column(self, place: tuple[int, ...]) -> str:
        """What messages call an element of a row."""
        if self.names is not None:
            place = tuple(int(item) for item in np.atleast_1d(self.names[place]))
        words = "column " + ", ".join(map(str, place)) if place else "the number"
        return words if self.names is not None else f"{words} of the output of layer {self.path}"

    def through(self, layer: Layer, path: str, states: Mapping[str, Array]) -> FrontRows:
        """The rows that a layer without parameters gives for these."""
        plan = blueprint(layer, self.shape[1:], self.dtype)

        def read(index: slice) -> Array:
            return evaluate(layer, {}, self[index], states=states).output.numpy()

        front = isinstance(layer, FrontLayer)
        keeps = front and layer.keeps_columns and plan.output_shape == self.shape[1:]
        return FrontRows(
            (len(self), *plan.output_shape),
            self.dtype,
            read,
            self.names if keeps else None,
            path,
            self.may_miss and not front,
            computed=True,
        )

    def columns(self, places: tuple[int, ...]) -> FrontRows:
        """Some columns of rows (N, columns)."""
        chosen = np.asarray(places)
        names = None if self.names is None else self.names[chosen]
        shape = (len(self), len(places))
        return FrontRows(
            shape, self.dtype, lambda i: self[i][:, chosen], names, self.path, self.may_miss
        )


def front_rows(rows: RowSource, dtype: np.dtype[Any], may_miss: bool = False) -> FrontRows:
    """The rows of x as the network's first layer is given them, in the network's type."""
    shape = tuple(rows.shape)
    names = np.moveaxis(np.indices(shape[1:]), 0, -1)

    def read(index: slice) -> Array:
        return np.asarray(rows[index]).astype(dtype, copy=False)

    return FrontRows(shape, dtype, read, names, may_miss=may_miss)


def slices(rows: RowSource) -> Iterator[slice]:
    """Pieces of rows, of at most :data:`BLOCK` elements where a row is shorter than that."""
    step = max(1, BLOCK // max(1, math.prod(rows.shape[1:])))
    for start in range(0, max(len(rows), 1), step):
        yield slice(start, min(start + step, len(rows)))


def column_name(rows: RowSource, place: tuple[int, ...]) -> str:
    """What messages call an element of a row."""
    if isinstance(rows, FrontRows):
        return rows.column(place)
    return "column " + ", ".join(map(str, place)) if place else "the number"


def refuse_missing(rows: RowSource, who: str) -> None:
    """Refuse rows that hold NaN.

    Raises:
        DataError: naming the first row and its column.
    """
    for piece in slices(rows):
        missing = np.isnan(rows[piece])
        if missing.any():
            row, *rest = (int(item) for item in np.argwhere(missing)[0])
            raise DataError(
                f"{column_name(rows, tuple(rest))} is missing (NaN) in row {piece.start + row} "
                f"(counted from 0), and {who} takes no missing values; put Impute() in front"
            )


Visit = Callable[[FrontLayer, str, FrontRows], Mapping[str, Array]]
"""What is done with each front layer at its path and the rows it is given; gives its states."""


def visit_front(network: Network, rows: FrontRows, visit: Visit) -> None:
    """Visit the front layers of a network in the order in which rows reach them.

    Raises:
        DataError: rows hold NaN where no layer takes it.
    """
    _walk(network, "", rows, visit)


def _walk(layer: Network, path: str, rows: FrontRows, visit: Visit) -> FrontRows | None:
    """The rows that a layer gives, or None where it is trained."""
    if isinstance(layer, FrontContainer):
        return layer.walk(path, rows, visit)
    if isinstance(layer, Fitted):
        return rows.through(layer, path, visit(layer, path, rows))
    if isinstance(layer, FrontLayer):
        visit(layer, path, rows)
        return None
    inner = _sequence(layer)
    if inner is None:
        return _passed(layer, path, rows)
    for place, item in enumerate(inner):
        found = _walk(item, join(path, str(place)), rows, visit)
        if found is None:
            return None
        rows = found
    return rows


class FrontContainer(Layer):
    """A layer of layers that stands at the front, and leads rows to its parts."""

    @property
    def takes_missing(self) -> bool:
        """Whether some of the parts take NaN."""
        return False

    def walk(self, path: str, rows: FrontRows, visit: Visit) -> FrontRows | None:
        """The rows that the layer gives, or None where a part of it is trained."""
        raise NotImplementedError(f"{type(self).__name__} has no walk method")


walk = _walk


def _sequence(layer: Network) -> tuple[Layer, ...] | None:
    from thalweg.nn.containers import Sequential

    return layer.layers if isinstance(layer, Sequential) else None


def _passed(layer: Network, path: str, rows: FrontRows) -> FrontRows | None:
    if rows.may_miss:
        refuse_missing(rows, f"the layer {type(layer).__name__} at {path or 'the front'}")
    if not isinstance(layer, Layer):
        return None
    plan = blueprint(layer, rows.shape[1:], rows.dtype)
    return None if plan.parameters or plan.states else rows.through(layer, path, {})


def join(path: str, name: str) -> str:
    """The path of a part."""
    return f"{path}.{name}" if path else name


def under(path: str, values: Mapping[str, ValueT]) -> dict[str, ValueT]:
    """What a layer has among values by path, by name.

    >>> under("0", {"0.mean": 1, "1.mean": 2})
    {'mean': 1}
    """
    start = join(path, "")
    return {name[len(start) :]: value for name, value in values.items() if name.startswith(start)}


def takes_missing(network: Network) -> bool:
    """Whether the first layer of a network takes NaN: :class:`Impute`, or a branch with it.

    >>> import thalweg as tw
    >>> takes_missing(tw.Sequential(tw.Linear(1)))
    False
    """
    if isinstance(network, (FrontLayer, FrontContainer)):
        return network.takes_missing
    inner = _sequence(network)
    return inner is not None and len(inner) > 0 and takes_missing(inner[0])


def has_front(network: Network) -> bool:
    """Whether the first layer of a network looks at rows."""
    if isinstance(network, (FrontLayer, FrontContainer)):
        return True
    inner = _sequence(network)
    return inner is not None and len(inner) > 0 and has_front(inner[0])


def check_rows(
    network: Network, states: Mapping[str, Array], rows: RowSource, dtype: Any = "float32"
) -> None:
    """Refuse rows that a trained network's front does not take.

    Args:
        network: whose states these are.
        states: by path.
        rows: (N, …).
        dtype: the network's.

    Raises:
        DataError: a missing value, or a category that training did not have, where no layer takes
            it; naming value, row and column.
    """
    if not has_front(network):
        return

    def visit(layer: FrontLayer, path: str, given: FrontRows) -> Mapping[str, Array]:
        own = under(path, states)
        examine(layer, given, own)
        return own

    visit_front(network, front_rows(rows, np.dtype(dtype), takes_missing(network)), visit)


def examine(layer: FrontLayer, rows: FrontRows, states: Mapping[str, Array]) -> None:
    """Refuse rows that a front layer does not take, NaN among them."""
    if rows.may_miss and not layer.takes_missing:
        refuse_missing(rows, type(layer).__name__)
    layer.check(rows, states)


def misplaced(path: str, layer: Layer) -> SettingError:
    """The error for a layer that stands where no training rows reach it."""
    return SettingError(
        f"layer {path or 'top'} ({type(layer).__name__}) is fitted to the training rows, so it "
        "must stand at the front of the network: among the first layers of Sequential, or in a "
        "branch of Columns there, with no trained layer before it"
    )
