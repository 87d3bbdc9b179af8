"""The entries of a space as they are given: ranges, lists, constants, and mappings of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from thalweg.data.table import nearest
from thalweg.descriptions.constraints import shown
from thalweg.errors import SettingError
from thalweg.searching.spaces.choices import Choice, Fixed
from thalweg.searching.spaces.domain import Domain
from thalweg.searching.spaces.ranges import Range, Whole

_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
_MOST_NAMED = 10
_KEYS = {
    frozenset({"low", "high"}): frozenset({"low", "high", "log", "step", "when"}),
    frozenset({"values"}): frozenset({"values", "when"}),
    frozenset({"value"}): frozenset({"value", "when"}),
}


def flat(prefix: str, entries: Mapping[Any, Any]) -> Iterator[tuple[str, Domain]]:
    """Each name, joined by dots where names are nested, with the range that is given for it.

    Raises:
        SettingError: a name that is none, or a range that is empty or wrong, with its name.
    """
    for key, entry in entries.items():
        name = f"{prefix}{key}"
        if not isinstance(key, str) or not _NAME.fullmatch(name):
            raise SettingError(
                f"{name!r} is no name of a hyperparameter; names are words joined by dots, such "
                "as learning_rate or optimizer.beta1"
            )
        if isinstance(entry, Mapping):
            given = cast("Mapping[Any, Any]", entry)
            if _is_domain(given):
                yield name, _named(name, given)
            else:
                yield from flat(f"{name}.", _not_empty(name, given))
        else:
            yield name, _domain(name, entry)


def _not_empty(name: str, entry: Mapping[Any, Any]) -> Mapping[Any, Any]:
    if not entry:
        raise SettingError(f"{name} is empty; give low and high, or a list of values")
    return entry


def _is_domain(entry: Mapping[Any, Any]) -> bool:
    """Whether a mapping says what values there are, rather than holding nested names."""
    said = [key for key in ("low", "high", "values", "value", "log", "step") if key in entry]
    inner: list[Any] = [entry[key] for key in said]
    return any(
        not isinstance(item, Mapping) or (key == "value" and not _is_domain(cast("Any", item)))
        for key, item in zip(said, inner, strict=True)
    )


def _named(name: str, entry: Mapping[Any, Any]) -> Domain:
    """The range that a mapping describes.

    Raises:
        SettingError: keys that are missing, unknown or do not go together.
    """
    kinds = [(needed, taken) for needed, taken in _KEYS.items() if needed & entry.keys()]
    if len(kinds) != 1 or not kinds[0][0] <= entry.keys():
        raise SettingError(
            f"{name} must have low and high, or values, or a value; it has "
            f"{', '.join(map(str, entry)) or 'nothing'}"
        )
    for key in entry:
        if key not in kinds[0][1]:
            raise SettingError(f"{name}: " + unknown_name(str(key), sorted(kinds[0][1]), "no key"))
    return _prefixed(name, lambda: _made(entry))


def _made(entry: Mapping[Any, Any]) -> Domain:
    fields = dict(entry)
    if "value" in fields:
        return Fixed(**fields)
    if "values" in fields:
        values = fields.pop("values")
        if not isinstance(values, (list, tuple)):
            raise SettingError(f"values must be a list, got {shown(values)}")
        return Choice(*cast("list[Any]", values), **fields)
    ends = (fields["low"], fields["high"], fields.get("step") or 1)
    whole = all(isinstance(end, int) and not isinstance(end, bool) for end in ends)
    return Whole(**fields) if whole else Range(**fields)


def _domain(name: str, entry: Any) -> Domain:
    if isinstance(entry, Domain):
        return entry
    if isinstance(entry, (list, tuple)):
        return _prefixed(name, lambda: Choice(*cast("list[Any]", entry)))
    return _prefixed(name, lambda: Fixed(entry))


def _prefixed(name: str, make: Callable[[], Domain]) -> Domain:
    try:
        return make()
    except SettingError as error:
        raise SettingError(f"{name}: {error}") from error


def unknown_name(name: str, known: Iterable[str], said: str, after: str = "") -> str:
    """What is said of a name that is not among the known ones: the nearest, then ten at most."""
    names = list(known)
    near = nearest(name, names)
    hint = f"did you mean {near!r}? known:" if near else "known:"
    return f"{said} {name!r}{after}; {hint} {_some(name, names)}"


def _some(name: str, names: list[str]) -> str:
    if len(names) <= _MOST_NAMED:
        return ", ".join(names) or "none"
    close = difflib.get_close_matches(name, names, n=_MOST_NAMED, cutoff=0.0)
    return f"{', '.join(close)}, … ({len(names)} in all)"
