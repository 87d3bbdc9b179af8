"""Arguments that vary by member: arrays of settings, and values of any kind."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from thalweg.descriptions import Description, replace_settings, settings_of
from thalweg.errors import SettingError
from thalweg.graph import Array
from thalweg.training.arguments import Arguments
from thalweg.training.beginning import whole_number

Values = Sequence[Any] | Array
"""A value for each member."""

_NUMBERS = (
    "seed", "batch_size", "epochs", "validation", "early_stopping", "clip", "penalty", "average",
    "accumulate",
)  # fmt: skip
"""Arguments that are numbers, so that an array of them is a number for each member."""

_SHARED = {
    "dtype": "members share their data",
    "backend": "members share the cores",
    "threads": "members share the cores",
    "callbacks": "a callback is told which member an epoch belongs to",
    "checkpoint": "each member has a file of its own behind this name",
    "checkpoint_every": "all checkpoints are written alike",
    "checkpoint_every_updates": "all checkpoints are written alike",
    "resume": "members are resumed together",
}
"""Arguments that are one for all members, and why."""

_SINGLE = (
    "network", "loss", "optimizer", "augment", "start", "statistics", "scale_targets",
    "class_weight", "shuffle",
)  # fmt: skip
"""Arguments of which no network takes a list."""


@dataclass(frozen=True, eq=False)
class PerMember:
    """A value for each member of a population, for arguments that an array would not show.

    Numeric settings need none: an array of K numbers is one for each of K members. Networks of
    another structure, optimisers of another kind, labels, and rows of another number do.

    Args:
        values: one for each member.

    >>> PerMember(["adam", "sgd"]).values
    ('adam', 'sgd')
    """

    values: Sequence[Any]

    def __post_init__(self) -> None:
        """Take in the values.

        Raises:
            SettingError: no list of values.
        """
        given: Any = self.values
        if isinstance(given, (str, Mapping)) or not isinstance(given, Iterable):
            raise SettingError(
                f"PerMember takes a list with a value for each member, got {given!r:.80}"
            )
        values = tuple(cast("Iterable[Any]", given))
        if not values:
            raise SettingError("PerMember has no value; give one for each member")
        object.__setattr__(self, "values", values)

    def __len__(self) -> int:
        return len(self.values)


class Varying:
    """The arguments of each member of a population.

    Args:
        arguments: as they were given, with arrays.
        members: K.

    Attributes:
        values: K values of each argument or setting that varies, by its name.

    Raises:
        SettingError: K < 1, arrays of another length, or an argument that cannot vary.

    >>> import numpy as np, thalweg as tw
    >>> given = Arguments(tw.Linear(1), None, None, optimizer=tw.SGD(np.array([0.1, 0.2])))
    >>> Varying(given, 2).of(1).optimizer, list(Varying(given, 2).values)
    (SGD(learning_rate=0.2), ['optimizer.learning_rate'])
    """

    def __init__(self, arguments: Arguments, members: Any) -> None:
        self.members = whole_number("members", members, 1)
        self.values: dict[str, Values] = {}
        self._whole: dict[str, Values] = {}
        self._inner: dict[str, list[str]] = {}
        self._given = arguments
        for name, value in vars(arguments).items():
            self._look(name, value)
        self._check_lengths()
        if not self.values and self.members > 1:
            seed = whole_number("seed", arguments.seed, 0)
            self._whole["seed"] = self.values["seed"] = range(seed, seed + self.members)

    def _look(self, name: str, value: Any) -> None:
        """Find what varies in one argument."""
        if isinstance(value, PerMember):
            if name in _SHARED:
                raise SettingError(f"{name} cannot vary by member: {_SHARED[name]}")
            self._whole[name] = self.values[name] = value.values
        elif arrays := arrays_in(name, value):
            for path, array in arrays.items():
                self.values[path] = _vector(path, array)
            self._inner[name] = list(arrays)
        elif (found := _values_of(name, value)) is not None:
            self._whole[name] = self.values[name] = found

    def _check_lengths(self) -> None:
        wrong = {name: len(v) for name, v in self.values.items() if len(v) != self.members}
        if wrong:
            told = ", ".join(f"{name} has {count} values" for name, count in wrong.items())
            raise SettingError(
                f"members = {self.members}, but {told}; give one value for all members, or "
                f"{self.members} values"
            )

    def of(self, member: int) -> Arguments:
        """The arguments of one member, as :func:`fit` takes them for it alone."""
        changes: dict[str, Any] = {
            name: single(values[member]) for name, values in self._whole.items()
        }
        for name, paths in self._inner.items():
            numbers = {path: single(self.values[path][member]) for path in paths}
            changes[name] = _replaced(name, getattr(self._given, name), numbers)
        if self._given.checkpoint is not None:
            changes["checkpoint"] = f"{os.fspath(self._given.checkpoint)}.{member}"
        return self._given.but(**changes)


def arrays_in(name: str, value: Any) -> dict[str, Array]:
    """The arrays among the numeric settings of an argument, by path."""
    return {
        f"{prefix}{path}": cast("Array", number)
        for prefix, part in _descriptions(name, value)
        for path, number in settings_of(part).items()
        if isinstance(number, np.ndarray) and np.ndim(cast("Any", number))
    }


def _descriptions(name: str, value: Any) -> list[tuple[str, Description]]:
    """An argument's descriptions: itself, or those of a list; with what their paths begin with."""
    if isinstance(value, Description):
        return [(f"{name}.", value)]
    if not isinstance(value, (list, tuple)):
        return []
    items = enumerate(cast("Sequence[Any]", value))
    return [(f"{name}.{place}.", item) for place, item in items if isinstance(item, Description)]


def _replaced(name: str, value: Any, numbers: Mapping[str, Any]) -> Any:
    if isinstance(value, Description):
        return replace_settings(value, numbers, f"{name}.")
    parts = dict(_descriptions(name, value))
    found = [
        replace_settings(parts[prefix], numbers, prefix) if prefix in parts else item
        for place, item in enumerate(value)
        for prefix in (f"{name}.{place}.",)
    ]
    return type(value)(found)


def refuse_several(arguments: Arguments) -> None:
    """Refuse values of several members where one network is trained.

    Raises:
        SettingError: naming the argument.
    """
    for name, value in vars(arguments).items():
        if value is None or isinstance(value, (str, int, float)):
            continue
        if isinstance(value, PerMember):
            raise SettingError(
                f"{name} has a value for each of {len(value)} members; say members={len(value)}"
            )
        arrays = arrays_in(name, value)
        if name in _NUMBERS and isinstance(value, np.ndarray) and value.ndim:
            arrays[name] = value
        for path, array in arrays.items():
            raise SettingError(
                f"{path} is an array of shape {array.shape}; one network takes one number, "
                "an array is for several: members=K"
            )


def _values_of(name: str, value: Any) -> Values | None:
    """The values by member of an argument that is no description, None where it is shared."""
    if name in _NUMBERS:
        return _numbers_of(name, value)
    if name == "sample_weight" and np.ndim(value) == 2:
        return np.asarray(value)
    if name == "rows" and value is not None:
        return _rows_of(value)
    if isinstance(value, (np.ndarray, list)) and name in _SHARED and name != "callbacks":
        raise SettingError(f"{name} cannot vary by member: {_SHARED[name]}")
    if isinstance(value, list) and name in _SINGLE:
        raise SettingError(f"{name} is a list; a value for each member is given as PerMember([…])")
    return None


def _numbers_of(name: str, value: Any) -> Values | None:
    is_numbers = isinstance(value, (np.ndarray, range)) or (
        isinstance(value, (list, tuple))
        and len(value)
        and all(isinstance(item, (int, float, np.number)) for item in cast("list[Any]", value))
    )
    if not is_numbers or (isinstance(value, np.ndarray) and value.ndim == 0):
        return None
    return _vector(name, value) if isinstance(value, np.ndarray) else value


def _rows_of(value: Any) -> Values | None:
    """Rows of each member: a matrix, or a sequence of arrays."""
    if isinstance(value, np.ndarray):
        return value if value.ndim == 2 else None
    items = cast("Sequence[Any]", value)
    return items if len(items) and np.ndim(items[0]) == 1 else None


def _vector(name: str, array: Any) -> Array:
    found = np.asarray(array)
    if found.ndim != 1:
        raise SettingError(
            f"{name} is an array of shape {found.shape}; a population takes one number for each "
            "member, (K,)"
        )
    return found


def single(value: Any) -> Any:
    """A number of NumPy's as Python's own."""
    return value.item() if isinstance(value, np.generic) else value
