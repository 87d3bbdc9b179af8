"""JSON with one meaning only, whose size in memory is bounded before it is parsed.

A document is scanned first: depth and number of values are known, and refused if too large,
before the parser builds anything. Then every ambiguity that parsers settle differently is an error:
duplicate keys, NaN, numbers beyond 64 bits, lone surrogates, NUL, surrounding white space.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn, cast

import numpy as np
import numpy.typing as npt

from thalweg.descriptions import Plain
from thalweg.errors import FileError

MAX_BYTES = 16 * 2**20
MAX_MEMORY = 32 * 2**20
MAX_DEPTH = 64

_BYTES_PER_VALUE = 128  # an upper bound for what CPython takes for one key or value
_BLOCK = 2**16
_WHITE = " \t\r\n"
_FOUR_BYTES = re.compile(b"[\xf0-\xff]")
_BEYOND_16_BITS = re.compile(r"[\U00010000-\U0010ffff]|\\u[dD]")
_SURROGATE = re.compile("[\ud800-\udfff]")

_DEPTH_STEP = np.zeros(256, np.int8)
_DEPTH_STEP[list(b"[{")] = 1
_DEPTH_STEP[list(b"]}")] = -1
_BEFORE_VALUE = np.zeros(256, np.bool_)
_BEFORE_VALUE[list(b"[{,:")] = True


def loads(
    data: bytes | str,
    *,
    max_depth: int = MAX_DEPTH,
    max_bytes: int = MAX_BYTES,
    max_memory: int = MAX_MEMORY,
) -> Plain:
    r"""JSON text as plain data.

    Args:
        data: the text, or its UTF-8 bytes, without white space before or after it.
        max_depth: how many lists and objects may stand inside each other.
        max_bytes: the greatest length of the text.
        max_memory: the greatest estimate in bytes of what the parsed values take.

    Raises:
        FileError: one text for each fault; nothing is repaired or guessed.

    >>> loads(b'{"rate": 0.5, "layers": [64, 2]}')
    {'rate': 0.5, 'layers': [64, 2]}
    >>> loads(b'{"rate": 0.5, "rate": 5}')
    Traceback (most recent call last):
    thalweg.errors.FileError: the key 'rate' appears twice in one JSON object
    """
    if len(data) > max_bytes:
        raise FileError(f"the JSON is {len(data):,} bytes long; at most {max_bytes:,} are allowed")
    text = data if isinstance(data, str) else _decode(data, max_memory)
    _check_outside(text)
    values = _scan(text, max_depth)
    _check_memory(values, len(text), _width(text), max_memory)
    plain = _parse(text)
    _check_strings(plain)
    return plain


def dumps(plain: Plain, *, escape: bool = False) -> bytes:
    r"""Plain data as compact JSON in UTF-8; keys keep their order; :func:`loads` is its inverse.

    Args:
        plain: None, bool, int, float, str, and lists and dicts of them.
        escape: write other characters than ASCII as ``\u`` and four digits.

    Raises:
        FileError: a value that JSON cannot hold exactly (NaN, infinity, an integer beyond 64 bits,
            a lone surrogate, an array, ...), with the place where it stands.

    >>> dumps({"rate": 0.5, "layers": [64, 2]})
    b'{"rate":0.5,"layers":[64,2]}'
    >>> dumps({"loss": [0.5, float("nan")]})
    Traceback (most recent call last):
    thalweg.errors.FileError: JSON cannot hold nan at ['loss'][1]; use None or leave it out
    """
    _check_plain(plain, [])
    text = json.dumps(plain, ensure_ascii=escape, allow_nan=False, separators=(",", ":"))
    return text.encode()


# ---------------------------------------------------------------------------- before parsing


def _decode(data: bytes, max_memory: int) -> str:
    width = 1 if data.isascii() else 4 if _FOUR_BYTES.search(data) else 2
    _check_memory(0, len(data), width, max_memory)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FileError(f"the JSON is not UTF-8 at byte {error.start}") from error


def _check_outside(text: str) -> None:
    if not text:
        raise FileError("the JSON is empty")
    if text[0] == "\ufeff":
        raise FileError("the JSON starts with a byte order mark; it must start with its value")
    if text[0] in _WHITE:
        raise FileError("the JSON starts with white space; it must start with its value")
    if text[-1] in _WHITE:
        raise FileError("the JSON ends with white space; it must end with its value")
    if "\0" in text:
        raise FileError(f"the JSON holds the NUL character at character {text.index(chr(0))}")


def _scan(text: str, max_depth: int) -> int:
    """The number of keys and values, at most; refuses deep nesting without recursion.

    Up to the first syntax error this sees strings exactly as the parser does, and there the
    parser stops, so that it can never go deeper or build more than was counted here.
    """
    inside, depth, values = np.False_, 0, 1
    for block in _without_escapes(text):
        quoted = np.logical_xor.accumulate(block == ord('"')) ^ inside
        depths = depth + np.cumsum(np.where(quoted, 0, _DEPTH_STEP[block]), dtype=np.int64)
        values += int(np.count_nonzero(_BEFORE_VALUE[block] & ~quoted))
        if depths.max() > max_depth:
            raise FileError(f"the JSON is nested deeper than {max_depth} levels")
        inside, depth = quoted[-1], int(depths[-1])
    return values


def _without_escapes(text: str) -> Iterator[npt.NDArray[np.uint8]]:
    """The text's bytes in blocks, without escaped characters: each quote left is a true one."""
    carried = b""
    for start in range(0, len(text), _BLOCK):
        block = carried + text[start : start + _BLOCK].encode(errors="replace")
        odd = (len(block) - len(block.rstrip(b"\\"))) % 2
        carried = b"\\" * odd  # the first half of a pair whose second half is in the next block
        bare = block[: len(block) - odd].replace(b"\\\\", b"").replace(b'\\"', b"")
        if bare:
            yield np.frombuffer(bare, np.uint8)


def _width(text: str) -> int:
    """How many bytes of memory a character can take.

    One character beyond 8 bits widens its whole string, and both widths exist for a moment.
    """
    if text.isascii() and "\\u" not in text:
        return 1
    return 6 if _BEYOND_16_BITS.search(text) else 3


def _check_memory(values: int, length: int, width: int, max_memory: int) -> None:
    memory = values * _BYTES_PER_VALUE + width * length
    if memory > max_memory:
        raise FileError(
            f"the JSON holds {values:,} keys and values in {length:,} characters, which would "
            f"take about {memory / 2**20:.0f} MiB of memory; at most "
            f"{max_memory / 2**20:.0f} MiB are allowed"
        )


# ---------------------------------------------------------------------------- parsing


def _parse(text: str) -> Plain:
    try:
        return cast(
            "Plain",
            json.loads(
                text,
                object_pairs_hook=_unique,
                parse_int=_whole_number,
                parse_float=_finite_number,
                parse_constant=_refuse_constant,
            ),
        )
    except json.JSONDecodeError as error:
        raise FileError(f"not JSON: {error.msg} at character {error.pos}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise FileError(f"the key {key[:80]!r} appears twice in one JSON object")
            seen.add(key)
    return found


def _whole_number(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        shown = digits if len(digits) <= 24 else f"{digits[:20]}… ({len(digits)} characters)"
        raise FileError(f"the whole number {shown} does not fit in 64 bits")
    return int(digits)


def _finite_number(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise FileError(f"the number {digits[:40]} is too large for a float")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise FileError(f"{name} is not a JSON number")


def _check_strings(plain: Plain) -> None:
    waiting: list[Plain] = [plain]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            _check_string(value)
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            for key in value:
                _check_string(key)
            waiting.extend(value.values())


def _check_string(text: str) -> None:
    if "\0" in text:
        raise FileError(f"a JSON string holds the NUL character: {text[:40]!r}")
    if not text.isascii() and _SURROGATE.search(text):
        raise FileError(f"a JSON string holds half of a surrogate pair: {text[:40]!r}")


# ---------------------------------------------------------------------------- writing


def _check_plain(value: Any, path: list[str | int]) -> None:
    if len(path) > MAX_DEPTH:
        raise FileError(f"JSON is nested deeper than {MAX_DEPTH} levels at {_place(path[:3])}…")
    if isinstance(value, dict):
        for key, item in cast("dict[Any, Any]", value).items():
            if not isinstance(key, str):
                raise FileError(f"JSON keys must be strings, got {key!r} at {_place(path)}")
            _check_string(key)
            path.append(key)
            _check_plain(item, path)
            path.pop()
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[Any]", value)):
            path.append(index)
            _check_plain(item, path)
            path.pop()
    else:
        _check_scalar(value, path)


def _check_scalar(value: Any, path: list[str | int]) -> None:
    if isinstance(value, str):
        _check_string(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise FileError(
                f"JSON cannot hold {float(value)!r} at {_place(path)}; use None or leave it out"
            )
    elif isinstance(value, int):
        _whole_number(str(int(value)))
    elif value is not None:
        raise FileError(
            f"JSON cannot hold {type(value).__name__} at {_place(path)}; it holds None, bool, "
            "int, float, str, list and dict"
        )


def _place(path: list[str | int]) -> str:
    return "".join(f"[{step!r}]" for step in path) or "the top"
