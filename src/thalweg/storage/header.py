"""The header of a container: what it may say, and every way in which it can lie.

    file     ::= length (8 bytes, little-endian) header data
    header   ::= {"__metadata__": {"digest", "format", "version", "document"}, name: tensor, ...}
                 in ASCII, padded with less than 8 spaces to a multiple of 8
    tensor   ::= {"dtype": ..., "shape": [...], "data_offsets": [start, stop]}
    digest   ::= SHA-256 of the file with 64 zeros in the digest's own place

This is the safetensors format with fixed metadata. The data section is filled by the tensors with
neither hole nor overlap. Nothing here reads a file: :mod:`thalweg.storage.container` does.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from thalweg.descriptions import Plain
from thalweg.errors import FileError
from thalweg.storage import strict_json

MAX_HEADER = 16 * 2**20
MAX_TENSORS = 10_000
MAX_NAME = 255
MAX_DIMENSIONS = 32

DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
"""The types that a tensor in a file may have, by the name that safetensors gives them."""

_CODES = {dtype: code for code, dtype in DTYPES.items()}

_METADATA = ("digest", "format", "version", "document")
_DIGEST_BEFORE = '{"__metadata__":{"digest":"'
DIGEST = slice(len(_DIGEST_BEFORE), len(_DIGEST_BEFORE) + 64)
"""Where the digest stands in the header, so that it can be left out of itself."""

_NO_DIGEST = "0" * 64
_FORMAT = re.compile(r"thalweg(-[a-z]+)+")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_DIGITS = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Tensor:
    """One array of the file: bytes ``start`` to ``stop`` of the data section."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Header:
    """A header that has been checked against the size of its file."""

    format: str
    version: int
    digest: str
    document: str
    tensors: tuple[Tensor, ...]


# ---------------------------------------------------------------------------- writing


def build(tensors: Sequence[Tensor], document: bytes, kind: str, version: int) -> bytearray:
    """The header's bytes, padded, with zeros where the digest will stand."""
    if not _FORMAT.fullmatch(kind):
        raise FileError(f"a format is named like 'thalweg-model', got {kind!r}")
    if not _VERSION.fullmatch(str(version)):
        raise FileError(f"a version is a number from 1 to 999999999, got {version!r}")
    metadata: dict[str, Plain] = {
        "digest": _NO_DIGEST,
        "format": kind,
        "version": str(version),
        "document": document.decode(),
    }
    header: dict[str, Plain] = {"__metadata__": metadata}
    _check_count(len(tensors))
    for tensor in tensors:
        check_name(tensor.name)
        header[tensor.name] = {
            "dtype": _CODES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [tensor.start, tensor.stop],
        }
    raw = bytearray(strict_json.dumps(header, escape=True))
    raw += b" " * (-len(raw) % 8)
    check_length(len(raw))
    return raw


def code_of(dtype: np.dtype[Any]) -> str | None:
    """The file's name for a little-endian data type; None where a file cannot hold it.

    >>> code_of(np.dtype("float32")), code_of(np.dtype("complex64"))
    ('F32', None)
    """
    return _CODES.get(dtype)


# ---------------------------------------------------------------------------- reading


def check_length(length: int) -> None:
    """Refuse a header larger than any that thalweg writes."""
    if length > MAX_HEADER:
        raise FileError(
            f"the header is {length:,} bytes long; at most {MAX_HEADER:,} are allowed "
            "(put large contents into arrays, not into the document)"
        )


def unpad(raw: bytes) -> str:
    """The header's text, without the spaces that fill it up to a multiple of 8 bytes."""
    if not raw.isascii():
        raise FileError("the header holds other characters than ASCII")
    padding = 8 - len(raw[-8:].rstrip(b" "))
    if len(raw) % 8 or padding == 8:
        raise FileError("the header is not padded with spaces to a multiple of 8 bytes")
    return str(memoryview(raw)[: len(raw) - padding], "ascii")


def parse(text: str, data_bytes: int) -> Header:
    """The checked header of a file that holds ``data_bytes`` bytes after it.

    Raises:
        FileError: the first fault that is found; nothing has been taken from the data section.
    """
    _check_count(text.count('"data_offsets"'))
    try:
        top = strict_json.loads(text, max_depth=3, max_bytes=MAX_HEADER)
    except FileError as error:
        raise FileError(f"the header cannot be read: {error}") from error
    if not isinstance(top, dict):
        raise FileError("the header is not a JSON object")
    metadata = _metadata(top.pop("__metadata__", None))
    if not text.startswith(_DIGEST_BEFORE) or text[DIGEST] != metadata["digest"]:
        raise FileError("the digest does not stand where thalweg writes it")
    tensors = tuple(_tensor(name, entry) for name, entry in top.items())
    _check_layout(tensors, data_bytes)
    return Header(version=int(metadata.pop("version")), tensors=tensors, **cast("Any", metadata))


def _check_count(count: int) -> None:
    if count > MAX_TENSORS:
        raise FileError(f"the header lists {count:,} tensors; at most {MAX_TENSORS:,} are allowed")


def _metadata(found: Plain) -> dict[str, str]:
    if not isinstance(found, dict) or not {"digest", "document"} <= found.keys():
        raise FileError("a safetensors file that thalweg did not write")
    if unknown := found.keys() - set(_METADATA):
        raise FileError(f"the metadata has unknown fields: {_listing(unknown)}")
    if missing := set(_METADATA) - found.keys():
        raise FileError(f"the metadata lacks {_listing(missing)}")
    if wrong := [key for key, value in found.items() if not isinstance(value, str)]:
        raise FileError(f"the metadata's {_listing(wrong)} must be text")
    texts = cast("dict[str, str]", found)
    for key, rule in (("digest", _DIGITS), ("format", _FORMAT), ("version", _VERSION)):
        if not rule.fullmatch(texts[key]):
            raise FileError(f"the metadata's {key} is {texts[key][:80]!r}, which it cannot be")
    return texts


def check_name(name: str) -> None:
    """Refuse a tensor name that no path in a model can be.

    >>> check_name("layers.0.weight")
    >>> check_name("../weight")
    Traceback (most recent call last):
    thalweg.errors.FileError: the tensor name '../weight' holds '..'
    """
    length = len(name.encode(errors="replace"))
    if not name or length > MAX_NAME:
        shown = f"{name[:40]!r}… " if name else ""
        raise FileError(
            f"the tensor name {shown}is {length:,} bytes long; 1 to {MAX_NAME} are allowed"
        )
    if ".." in name:
        raise FileError(f"the tensor name {name!r} holds '..'")
    if not name.isprintable() or "\\" in name or name.startswith("/") or name == "__metadata__":
        raise FileError(
            f"the tensor name {name!r} is not allowed: printable characters, no backslash, "
            "no '/' at its start"
        )


def _tensor(name: str, entry: Plain) -> Tensor:
    check_name(name)
    if not isinstance(entry, dict):
        raise FileError(f"tensor {name!r}: expected a JSON object, got {reprlib.repr(entry)}")
    fields = {"dtype", "shape", "data_offsets"}
    if unknown := entry.keys() - fields:
        raise FileError(f"tensor {name!r} has unknown fields: {_listing(unknown)}")
    if missing := fields - entry.keys():
        raise FileError(f"tensor {name!r} lacks {_listing(missing)}")
    code = entry["dtype"]
    if not isinstance(code, str) or code not in DTYPES:
        raise FileError(
            f"tensor {name!r} has data type {reprlib.repr(code)}; allowed are {', '.join(DTYPES)}"
        )
    shape = _counts(name, "shape", entry["shape"])
    if len(shape) > MAX_DIMENSIONS:
        raise FileError(f"tensor {name!r} has {len(shape)} axes; at most {MAX_DIMENSIONS}")
    offsets = _counts(name, "data_offsets", entry["data_offsets"])
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        shown = reprlib.repr(list(offsets))
        raise FileError(f"tensor {name!r}: data_offsets must be [start, stop], got {shown}")
    tensor = Tensor(name, DTYPES[code], shape, offsets[0], offsets[1])
    _check_size(tensor)
    return tensor


def _counts(name: str, field: str, values: Plain) -> tuple[int, ...]:
    if not isinstance(values, list):
        raise FileError(f"tensor {name!r}: {field} must be a list, got {reprlib.repr(values)}")
    for value in values:
        if type(value) is not int or value < 0:  # True is an int, too
            raise FileError(f"tensor {name!r}: {field} must hold counts, got {reprlib.repr(value)}")
    return tuple(cast("list[int]", values))


def _check_size(tensor: Tensor) -> None:
    itemsize = tensor.dtype.itemsize
    if math.prod(max(length, 1) for length in tensor.shape) * itemsize >= 2**63:
        raise FileError(f"tensor {tensor.name!r}: shape {tensor.shape} overflows 63 bits")
    needed, given = math.prod(tensor.shape) * itemsize, tensor.stop - tensor.start
    if needed != given:
        raise FileError(
            f"tensor {tensor.name!r}: shape {tensor.shape} needs {needed:,} bytes, but its "
            f"data_offsets give {given:,}"
        )


def _check_layout(tensors: Sequence[Tensor], data_bytes: int) -> None:
    end, before = 0, "the header"
    for tensor in sorted(tensors, key=lambda one: (one.start, one.stop)):
        if tensor.start < end:
            raise FileError(f"tensor {tensor.name!r} overlaps {before}")
        if tensor.start > end:
            raise FileError(
                f"{tensor.start - end:,} bytes between {before} and tensor {tensor.name!r} "
                "belong to no tensor"
            )
        end, before = tensor.stop, f"tensor {tensor.name!r}"
    if end > data_bytes:
        raise FileError(f"the tensors take {end:,} bytes, but {data_bytes:,} are there: truncated")
    if end < data_bytes:
        raise FileError(f"{data_bytes - end:,} bytes after the last tensor belong to no tensor")


def _listing(names: Iterable[str]) -> str:
    return ", ".join(repr(name[:80]) for name in sorted(names)[:5])
