"""Spaces as TOML files, which people write and edit."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from typing import Any, cast

from thalweg.errors import FileError, SettingError
from thalweg.searching.spaces.choices import Choice, Fixed
from thalweg.searching.spaces.domain import Domain
from thalweg.searching.spaces.space import Space
from thalweg.searching.spaces.values import NONE
from thalweg.storage.opening import explain, open_regular

_MOST_BYTES = 2**20
_TABLE = re.compile(r"\s*\[([^\[\]]+)\]\s*(#.*)?")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


_RANGE = re.compile(r"\b(?:Whole|Range)\(([^()]*)\)")
_WORDS = {
    "at least one Range, Whole or Choice, such as "
    "{'learning_rate': Range(1e-4, 1e-1, log=True)}": "at least one range or list, such as "
    "learning_rate = {low = 1e-4, high = 1e-1, log = true}",
    "a Range; only a Choice, Whole or constant": "a range of numbers; only a list, a range of "
    "whole numbers or a constant",
    "must be True or False": "must be true or false",
}
"""What errors say in Python, and in TOML."""


def read_space(path: str | os.PathLike[str]) -> Space:
    r"""The space that a TOML file describes.

    ::

        learning_rate = {low = 1e-4, high = 1e-1, log = true}   # numbers, evenly in the logarithm
        depth = {low = 1, high = 4}                              # whole numbers
        width = [16, 32, 64]                                     # one of these
        seed = 3                                                 # always this
        "optimizer.beta1" = {low = 0.8, high = 0.99}             # a setting inside of another
        [penalty]
        factor = {low = 1e-6, high = 1e-2, log = true}           # the same: penalty.factor
        kind = {values = ["l1", "l2"], when = {depth = [1, 2]}}  # only in shallow networks

    Low and high that are both whole numbers give whole numbers; write 0.0 and 1.0 for others. The
    text "none" stands for no value.

    Raises:
        FileError: the file cannot be read, or is no TOML (with the line).
        SettingError: a range that is empty or wrong, with the file, the key and the line.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "space.toml"
    >>> _ = path.write_text("width = [16, 32]\noptimizer.beta1 = {low = 0.8, high = 0.99}\n")
    >>> read_space(path)
    Space({'width': Choice(16, 32), 'optimizer.beta1': Range(low=0.8, high=0.99)})
    """
    text = _text(path)
    try:
        entries = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"{os.fspath(path)} is no TOML: {error}") from error
    except RecursionError as error:
        raise FileError(f"{os.fspath(path)} is nested too deeply") from error
    try:
        return Space(entries)
    except SettingError as error:
        line = _line(text, str(error))
        place = os.fspath(path) if line is None else f"{os.fspath(path)}, line {line}"
        raise SettingError(f"{place}: {_in_toml(str(error))}") from error


def _in_toml(message: str) -> str:
    """What is said of ranges, as TOML writes them.

    >>> _in_toml("depth: Whole(low=3, high=1) is empty")
    'depth: {low = 3, high = 1} is empty'
    """
    for said, instead in _WORDS.items():
        message = message.replace(said, instead)
    return _RANGE.sub(lambda found: "{" + _written(found[1]) + "}", message)


def _written(fields: str) -> str:
    return re.sub(r"(\w+)=", r"\1 = ", fields).replace("True", "true").replace("False", "false")


def _text(path: str | os.PathLike[str]) -> str:
    try:
        with open_regular(path) as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise explain(error, path, "read") from error
    if len(data) > _MOST_BYTES:
        raise FileError(f"{os.fspath(path)} is larger than 1 MiB; a space takes a few lines")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(f"{os.fspath(path)} is not UTF-8 at byte {error.start}") from error


def _line(text: str, message: str) -> int | None:
    """The line where the name that a message begins with, or quotes, is given."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.fullmatch(line):
            table = _bare(header[1]) + "."
            found.setdefault(_bare(header[1]), number)
        elif key := _KEY.match(line):
            found.setdefault(table + _bare(key[1]), number)
    names = re.findall(r"[\w.]*\w", message)
    return next((found[name] for name in names if name in found), None)


def _bare(key: str) -> str:
    return re.sub(r"""\s|"|'""", "", key)


# ------------------------------------------------------------------ back to text


def space_toml(space: Space) -> str:
    """The TOML text of a space, one line a name, which :func:`read_space` reads.

    >>> print(space_toml(Space({"optimizer.beta1": [0.9, 0.99], "seed": 3})), end="")
    "optimizer.beta1" = [0.9, 0.99]
    seed = 3
    """
    return "".join(f"{_name(name)} = {_domain(domain)}\n" for name, domain in space.domains.items())


def _name(name: str) -> str:
    return json.dumps(name) if "." in name else name


def _domain(domain: Domain) -> str:
    plain = domain.plain()
    if isinstance(domain, Choice) and not domain.when:
        return _value(plain["values"])
    short = isinstance(domain, Fixed) and not domain.when
    if short and not isinstance(plain["value"], Mapping):
        return _value(plain["value"])
    return _value(plain)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, Any]", value).items()
        return "{" + ", ".join(f"{_word(key)} = {_value(item)}" for key, item in pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in cast("list[Any]", value)) + "]"
    return json.dumps(NONE if value is None else value)


def _word(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


__all__ = ["read_space", "space_toml"]
