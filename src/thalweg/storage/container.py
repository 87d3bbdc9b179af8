"""Arrays and a JSON document in one file: the container of models and checkpoints.

The file is safetensors, which many programs read. Reading it back here is strict: the header is
checked against the file's size before memory is taken, one flipped bit anywhere is found by the
digest, and nothing in the file is ever executed or decides what is imported or opened.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import io
import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from thalweg.descriptions import Plain
from thalweg.errors import DTypeError, FileError
from thalweg.storage import strict_json
from thalweg.storage.atomic import write_atomically
from thalweg.storage.header import (
    DIGEST,
    DTYPES,
    Header,
    Tensor,
    build,
    check_length,
    code_of,
    parse,
    unpad,
)
from thalweg.storage.opening import explain, open_regular

Array = npt.NDArray[Any]

_BLOCK = 2**20
_OTHER_FORMATS = (
    (b"PK\x03\x04", "a zip archive (such as .npz, .pt or .keras)"),
    (b"\x80\x02", "a Python pickle, which thalweg never reads"),
    (b"\x80\x03", "a Python pickle, which thalweg never reads"),
    (b"\x80\x04", "a Python pickle, which thalweg never reads"),
    (b"\x80\x05", "a Python pickle, which thalweg never reads"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"GGUF", "a GGUF model"),
    (b"PAR1", "a Parquet table"),
    (b"%PDF", "a PDF document"),
    (b"{", "a JSON text"),
)


@dataclass(frozen=True)
class Container:
    """What a file held: arrays by name, a document, the format's name and version."""

    arrays: dict[str, Array]
    document: dict[str, Plain]
    format: str
    version: int


# ---------------------------------------------------------------------------- writing


def write_container(
    path: str | os.PathLike[str],
    arrays: Mapping[str, Array],
    document: Mapping[str, Plain],
    *,
    format: str,
    version: int,
) -> None:
    """Write arrays and a document to one file, atomically, and read it back before it counts.

    Args:
        path: the file; a former one is replaced, or stays as it was when anything fails.
        arrays: any shape; float32, float64, int32, int64, uint8, uint32, uint64 or bool.
        document: JSON data.
        format: what the file is, such as ``"thalweg-model"``.
        version: the version of that format, from 1.

    Raises:
        FileError: the file cannot be written, or the document is not JSON data.
        DTypeError: an array of another data type.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "m.safetensors"
    >>> weights = {"layers.0.weight": np.ones((2, 3), np.float32)}
    >>> write_container(path, weights, {"epochs": 5}, format="thalweg-model", version=1)
    >>> found = read_container(path, format="thalweg-model")
    >>> found.arrays["layers.0.weight"].shape, found.document, found.version
    ((2, 3), {'epochs': 5}, 1)
    """
    with _naming(path):
        ready = {name: _little_endian(name, array) for name, array in arrays.items()}
        order = sorted(ready, key=lambda name: -ready[name].itemsize)  # so that all are aligned
        header = build(_lay_out(ready, order), strict_json.dumps(dict(document)), format, version)
    length = len(header).to_bytes(8, "little")
    digest = hashlib.sha256(length + header)
    for name in order:
        digest.update(_bytes_of(ready[name]))
    header[DIGEST] = digest.hexdigest().encode()
    write_atomically(path, [length, bytes(header), *(_bytes_of(ready[n]) for n in order)], _verify)


def _little_endian(name: str, array: Array) -> Array:
    """The array as contiguous little-endian memory; itself where it already is."""
    if not isinstance(cast("object", array), (np.ndarray, np.generic)):
        raise DTypeError(f"array {name!r} must be a NumPy array, got {type(array).__name__}")
    dtype = array.dtype.newbyteorder("<")
    if code_of(dtype) is None:
        allowed = ", ".join(one.name for one in DTYPES.values())
        raise DTypeError(
            f"array {name!r} has data type {array.dtype}, which a file cannot hold; convert it "
            f"to one of {allowed}"
        )
    return np.asarray(array, dtype=dtype, order="C")


def _lay_out(arrays: Mapping[str, Array], order: Iterable[str]) -> list[Tensor]:
    """The place of each array in the data section; listed in the order they were given."""
    start, spans = 0, dict[str, tuple[int, int]]()
    for name in order:
        spans[name] = (start, start + arrays[name].nbytes)
        start += arrays[name].nbytes
    return [Tensor(name, one.dtype, one.shape, *spans[name]) for name, one in arrays.items()]


def _bytes_of(array: Array) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _verify(path: Path) -> None:
    """Read the whole file as :func:`read_container` does, but keep nothing."""
    with open_regular(path) as file:
        header, digest = _read_header(file)
        scratch = memoryview(bytearray(_BLOCK))
        for tensor in header.tensors:
            for start in range(tensor.start, tensor.stop, _BLOCK):
                _read_into(file, scratch[: tensor.stop - start], digest)
        _finish(file, header, digest.hexdigest())


# ---------------------------------------------------------------------------- reading


def read_container(
    path: str | os.PathLike[str],
    *,
    format: str | AbstractSet[str],
) -> Container:
    """Read a file that :func:`write_container` wrote; the arrays are fresh, writable memory.

    An honest file takes its own size of memory and little more. Whatever a file says, it takes no
    more than twice its size plus what its JSON may unpack to (about 32 MiB, estimated before).

    Args:
        path: a regular file; links, pipes and devices are refused.
        format: the format's name, or the set of names that will do.

    Raises:
        FileError: the file is missing, damaged, hostile, or of another format; names the fault.
    """
    with open_regular(path) as file, _naming(path):
        header, digest = _read_header(file)
        _check_format(header, {format} if isinstance(format, str) else format)
        arrays = {tensor.name: _empty(tensor) for tensor in header.tensors}
        for tensor in sorted(header.tensors, key=lambda one: (one.start, one.stop)):
            view = _bytes_of(arrays[tensor.name])
            for start in range(0, len(view), _BLOCK):
                _read_into(file, view[start : start + _BLOCK], digest)
        document = _finish(file, header, digest.hexdigest())
        for name, array in arrays.items():
            arrays[name] = _native(name, array)
    return Container(arrays, document, header.format, header.version)


@contextlib.contextmanager
def _naming(path: str | os.PathLike[str]) -> Generator[None]:
    start = f"{os.fspath(path)}: "
    try:
        yield
    except FileError as error:
        raise FileError(f"{start}{error}") from error
    except OSError as error:
        raise explain(error, path, "read") from error
    except MemoryError as error:
        raise FileError(f"{start}there is not enough memory for its arrays") from error


def _read_header(file: io.FileIO) -> tuple[Header, Any]:
    """The checked header, and a SHA-256 that has taken in all bytes up to the data."""
    size = os.fstat(file.fileno()).st_size
    first = file.read(16)
    length = int.from_bytes(first[:8], "little")
    if size < 16 or length > size - 8 or length < 2 or first[8:9] != b"{":
        _refuse_start(first, size, length)
    check_length(length)
    file.seek(8)
    raw = file.read(length)
    if len(raw) < length:
        raise FileError("ended while it was read: truncated")
    digest = hashlib.sha256(first[:8] + raw[: DIGEST.start] + b"0" * 64)
    digest.update(memoryview(raw)[DIGEST.stop :])
    text = unpad(raw)
    del raw
    return parse(text, size - 8 - length), digest


def _refuse_start(first: bytes, size: int, length: int) -> None:
    for magic, kind in _OTHER_FORMATS:
        if first.startswith(magic):
            raise FileError(f"is {kind}, not a thalweg file")
    if size < 16:
        raise FileError(f"is {size} bytes long, too short for a thalweg file: truncated?")
    if _is_text(first):
        raise FileError("is a text (such as a CSV table), not a thalweg file")
    if first[8:9] in b" \t\r\n":
        raise FileError("the header starts with white space")
    if length > size - 8:
        raise FileError(
            f"the header should be {length:,} bytes long, but only {size - 8:,} follow: the file "
            "is truncated or not a thalweg file"
        )
    raise FileError("is not a thalweg file: no header at its start")


def _is_text(first: bytes) -> bool:
    """Whether the first bytes are text; those of a thalweg file hold zeros."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(first)
    except UnicodeDecodeError:
        return False
    return all(mark.isprintable() or mark in "\t\r\n\ufeff" for mark in text)


def _check_format(header: Header, allowed: AbstractSet[str]) -> None:
    if header.format not in allowed:
        raise FileError(f"is a {header.format}, expected a {' or a '.join(sorted(allowed))}")


def _empty(tensor: Tensor) -> Array:
    return np.empty(tensor.shape, tensor.dtype)


def _read_into(file: io.FileIO, view: memoryview, digest: Any) -> None:
    at = 0
    while at < len(view):
        count = file.readinto(view[at:])
        if not count:
            raise FileError("ended while it was read: truncated")
        at += count
    digest.update(view)


def _finish(file: io.FileIO, header: Header, digest: str) -> dict[str, Plain]:
    """The document, once the end of the file and the digest are as they must be."""
    if digest != header.digest:
        raise FileError(
            "is damaged: its SHA-256 digest does not match its contents; use a backup or an "
            "earlier checkpoint"
        )
    size = os.fstat(file.fileno()).st_size
    if file.read(1):
        raise FileError("grew while it was read")
    memory = max(strict_json.MAX_MEMORY, size)
    try:
        document = strict_json.loads(header.document, max_memory=memory)
    except FileError as error:
        raise FileError(f"the document cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise FileError("the document is not a JSON object")
    return document


def _native(name: str, array: Array) -> Array:
    """The array in this machine's byte order; a boolean must be 0 or 1."""
    if array.dtype == np.bool_ and array.size and _bytes_max(array) > 1:
        raise FileError(f"tensor {name!r} is boolean but holds bytes other than 0 and 1")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _bytes_max(array: Array) -> int:
    return int(array.view(np.uint8).max())


# ---------------------------------------------------------------------------- comparing


def check_arrays(
    arrays: Mapping[str, Array],
    expected: Mapping[str, tuple[npt.DTypeLike, Sequence[int]]],
    *,
    path: str | os.PathLike[str] | None = None,
) -> None:
    """Refuse arrays that are not exactly the expected ones, by name, data type and shape.

    Args:
        arrays: what a file held.
        expected: for each name its data type and shape.
        path: the file, to be named in the error.

    Raises:
        FileError: lists the missing, the extra and the misshapen arrays.

    >>> check_arrays({"bias": np.ones(3)}, {"bias": ("float64", (2,))})
    Traceback (most recent call last):
    thalweg.errors.FileError: the arrays do not fit: 'bias' is float64 (3,), expected float64 (2,)
    """
    faults: list[str] = []
    if missing := sorted(expected.keys() - arrays.keys()):
        faults.append(f"missing {_some(missing)}")
    if extra := sorted(arrays.keys() - expected.keys()):
        faults.append(f"unexpected {_some(extra)}")
    for name in sorted(expected.keys() & arrays.keys()):
        dtype, shape = np.dtype(expected[name][0]), tuple(expected[name][1])
        if arrays[name].dtype != dtype or arrays[name].shape != shape:
            given = f"{arrays[name].dtype} {arrays[name].shape}"
            faults.append(f"{name!r} is {given}, expected {dtype} {shape}")
    if faults:
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        start = "" if path is None else f"{os.fspath(path)}: "
        raise FileError(f"{start}the arrays do not fit: {'; '.join(faults[:5])}{more}")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(repr(name) for name in names[:5]) + more
