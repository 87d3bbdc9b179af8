"""Choosing parameters and layers by their paths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from thalweg.errors import SettingError


def selects(pattern: str, path: str) -> bool:
    """Whether a pattern means a path: the path itself, what lies under it, or a glob that fits.

    >>> selects("0", "0.weight"), selects("0", "01.weight"), selects("*.bias", "2.bias")
    (True, False, True)
    """
    return path == pattern or path.startswith(f"{pattern}.") or fnmatchcase(path, pattern)


def any_selects(patterns: Iterable[str], path: str) -> bool:
    """Whether one of several patterns means a path.

    >>> any_selects(("0", "3.bias"), "3.bias")
    True
    """
    return any(selects(pattern, path) for pattern in patterns)


def is_frozen(patterns: Iterable[str], path: str, parameters: Iterable[str]) -> bool:
    """Whether a layer is kept as it is: a pattern means it, or all of its parameters are meant.

    A layer without parameters is kept with the one around it.

    >>> is_frozen(("1.*",), "1", ("0.weight", "1.weight", "1.bias"))
    True
    >>> is_frozen(("*.bias",), "1", ("0.weight", "1.weight", "1.bias"))
    False
    """
    chosen = tuple(patterns)
    if not chosen or any_selects(chosen, path):
        return bool(chosen)
    known, layer = tuple(parameters), path
    while layer:
        own = [item for item in known if item.startswith(f"{layer}.")]
        if own:
            return all(any_selects(chosen, item) for item in own)
        layer = layer.rpartition(".")[0]
    return False


def check_patterns(name: str, patterns: Sequence[str], paths: Iterable[str]) -> None:
    """Refuse a pattern that means nothing.

    Raises:
        SettingError: naming the pattern and what there is.
    """
    known = list(paths)
    for pattern in patterns:
        if not any(selects(pattern, path) for path in known):
            shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
            raise SettingError(f"{name}: {pattern!r} fits none of the parameters {shown}")
