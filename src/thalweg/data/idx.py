"""IDX files: arrays as the MNIST data sets are kept, packed with gzip or not.

::

    file  ::= 0 0 type axes length … element …
    type  ::= 8 uint8 | 9 int8 | 11 int16 | 12 int32 | 13 float32 | 14 float64

Lengths are 32 bits each, lengths and elements have their highest byte first, the last axis runs
fastest.

Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import FileError

MOST_BYTES = 2**34
"""Bytes of elements at most, 16 GiB."""

_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_GZIP = b"\x1f\x8b"
_MOST_AXES = 8
_MOST_PACKED = 1100
"""Bytes that one byte of gzip can hold at most, a little more than 1032."""

_CHUNK = 2**20


class _Header(NamedTuple):
    """What the first bytes of an IDX file say."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def start(self) -> int:
        """Where the elements begin."""
        return 4 + 4 * len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_idx(path: str | os.PathLike[str], *, most: int = MOST_BYTES) -> NDArray[Any]:
    """The array in an IDX file (MNIST's format), packed with gzip or not.

    The lengths in the header are compared with the file's size before memory is taken; what gzip
    holds is unpacked piece by piece, and never more than the header says.

    Args:
        path: such as ``train-images-idx3-ubyte.gz``.
        most: bytes of elements at most.

    Returns:
        An array of the file's shape; images are uint8 (N, H, W), labels uint8 (N,).

    Raises:
        FileError: no such file, another format, cut off, too long, or too large.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/labels-idx1-ubyte"
    >>> count = Path(path).write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    >>> read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    file = Path(path)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "is not there"
        raise FileError(f"the IDX file {str(file)!r} {what}")
    try:
        with file.open("rb") as stream:
            packed = stream.read(2) == _GZIP
            stream.seek(0)
            size = os.fstat(stream.fileno()).st_size
            if not packed:
                return _array(file.name, stream, size, most)
            with gzip.GzipFile(fileobj=stream) as unpacked:
                return _array(file.name, unpacked, size * _MOST_PACKED, most, packed=True)
    except FileError:
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(f"{file.name} is a damaged gzip file: {error}") from error
    except OSError as error:
        raise FileError(f"cannot read {str(file)!r}: {error.strerror or error}") from error


def is_idx(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as an IDX file does, packed with gzip or not.

    >>> is_idx(__file__)
    False
    """
    try:
        with Path(path).open("rb") as stream:
            head = stream.read(4)
            if head[:2] == _GZIP:
                stream.seek(0)
                with gzip.GzipFile(fileobj=stream) as unpacked:
                    head = unpacked.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in _TYPES and head[3] > 0


def labels_beside(path: str | os.PathLike[str]) -> Path | None:
    """The file of labels that lies beside a file of images, by its name; None where none does.

    ``train-images-idx3-ubyte.gz`` goes with ``train-labels-idx1-ubyte.gz``, packed or not.
    """
    file = Path(path)
    name = file.name.removesuffix(".gz")
    renamed = name.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    if renamed == name:
        return None
    other = (
        renamed.replace(".idx1", "-idx1")
        if ".idx1" in renamed
        else renamed.replace("-idx1", ".idx1")
    )
    for candidate in dict.fromkeys((renamed, other)):
        for end in ("", ".gz"):
            found = file.with_name(candidate + end)
            if found.is_file():
                return found
    return None


def _array(
    name: str, stream: IO[bytes] | gzip.GzipFile, size: int, most: int, *, packed: bool = False
) -> NDArray[Any]:
    """The array in a stream of at most ``size`` bytes."""
    header = _header(name, stream)
    if header.nbytes > most:
        raise FileError(
            f"{name} says that it holds {_times(header.shape)} elements, {header.nbytes:,} bytes; "
            f"at most {most:,} are read"
        )
    held = size - header.start
    if header.nbytes > held or (not packed and header.nbytes < held):
        kind = "is cut off" if header.nbytes > held else "has bytes after its end"
        rest = f"{held:,} bytes are there" if not packed else "the packed file is far too small"
        raise FileError(
            f"{name} {kind}: {_times(header.shape)} elements take {header.nbytes:,} bytes, "
            f"{rest}; get the file again"
        )
    data = _elements(name, stream, header)
    array = np.frombuffer(data, header.dtype).reshape(header.shape)
    return array.astype(header.dtype.newbyteorder("="), copy=False)


def _header(name: str, stream: IO[bytes] | gzip.GzipFile) -> _Header:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES:
        raise FileError(
            f"{name} is no IDX file: it begins with the bytes {magic.hex(' ') or '(none)'}, where "
            "00 00 08 03 is due for images and 00 00 08 01 for labels"
        )
    axes = magic[3]
    if not 1 <= axes <= _MOST_AXES:
        raise FileError(f"{name} says that it has {axes} axes; IDX files have 1 to {_MOST_AXES}")
    lengths = stream.read(4 * axes)
    if len(lengths) < 4 * axes:
        raise FileError(f"{name} is cut off within its header; get the file again")
    shape = tuple(int(length) for length in np.frombuffer(lengths, ">u4"))
    if not all(shape):
        raise FileError(f"{name} says that it holds {_times(shape)} elements, which is nothing")
    return _Header(np.dtype(_TYPES[magic[2]]), shape)


def _elements(name: str, stream: IO[bytes] | gzip.GzipFile, header: _Header) -> bytearray:
    """All elements' bytes, read piece by piece, so that memory grows with what is there."""
    data = bytearray()
    while len(data) < header.nbytes:
        piece = stream.read(min(_CHUNK, header.nbytes - len(data)))
        if not piece:
            raise FileError(
                f"{name} is cut off: {_times(header.shape)} elements take {header.nbytes:,} bytes, "
                f"{len(data):,} are there; get the file again"
            )
        data += piece
    if stream.read(1):
        raise FileError(
            f"{name} has bytes after its end: {_times(header.shape)} elements take "
            f"{header.nbytes:,} bytes; get the file again"
        )
    return data


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{length:,}" for length in shape)


__all__ = ["MOST_BYTES", "is_idx", "labels_beside", "read_idx"]
