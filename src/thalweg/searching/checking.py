"""The values of a space over a table's settings, tried before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thalweg.errors import SettingError
from thalweg.searching.spaces.choices import Choice, Fixed
from thalweg.searching.spaces.entries import unknown_name
from thalweg.searching.spaces.space import Space
from thalweg.searching.spaces.values import value_text
from thalweg.tabular.searching import check_searched, searched_names, with_searched
from thalweg.tabular.settings import TableSettings


def check_table_space(space: Space, settings: TableSettings) -> None:
    """Refuse what no trial could be: unknown names, values out of range, paths that lead nowhere.

    Every value of a choice and both ends of a range are tried, each beside the constants.

    Args:
        space: names of :func:`searched_names` and paths.
        settings: what all trials share.

    Raises:
        SettingError: naming the name and the value.

    >>> check_table_space(Space({"dropout": {"low": 0.0, "high": 1.5}}), TableSettings())
    Traceback (most recent call last):
        ...
    thalweg.errors.SettingError: the space's dropout = 1.5: Dropout.rate = 1.5 is outside [0, 1)
    """
    for name in space.names:
        if name.partition(".")[0] not in (*searched_names(), "members", "ensemble"):
            said = ", which is no setting of a table's network"
            raise SettingError(unknown_name(name, searched_names(), "the space names", said))
    check_searched(space.names, space.varying)
    fixed = {
        name: domain.value
        for name, domain in space.domains.items()
        if isinstance(domain, Fixed) and not domain.when and "." not in name
    }
    for name, domain in space.domains.items():
        for value in domain.grid(2):
            for others in _beside(space, name):
                _check({**fixed, **others, name: value}, settings, name, value)


def _beside(space: Space, name: str) -> Iterator[Mapping[str, Any]]:
    """The choices that a name is tried beside: those on which it depends, and its description."""
    conditions: dict[str, Sequence[Any]] = dict(space[name].when)
    head = name.partition(".")[0]
    if head != name and head in space and head not in conditions:
        described = space[head]
        conditions[head] = described.grid(2) if isinstance(described, (Choice, Fixed)) else ()
    known = {key: values for key, values in conditions.items() if "." not in key and values}
    if not known:
        yield {}
    for key, values in known.items():
        for value in values:
            yield {key: value}


def _check(values: Mapping[str, Any], settings: TableSettings, name: str, value: Any) -> None:
    try:
        with_searched(settings, values).check()
    except SettingError as error:
        hint = ""
        head = name.partition(".")[0]
        if head != name and head in values:
            hint = (
                f"; {head} is {value_text(values[head])} here: give {name} a condition, as in "
                f'when = {{{head} = ["…"]}}'
            )
        raise SettingError(f"the space's {name} = {value_text(value)}: {error}{hint}") from error


__all__ = ["check_table_space"]
