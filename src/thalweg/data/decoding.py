"""Bytes of a text file to UTF-8, whatever encoding they came in; binary files are refused."""

from __future__ import annotations

import codecs
import gzip
import zlib

from thalweg.data.table import Note
from thalweg.errors import FileError

_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "an Excel workbook or ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG picture"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"ARROW1", "an Arrow (Feather) file"),
)


def unpack(data: bytes, origin: str, limit: int = 16 * 2**30) -> bytes:
    """The content of a gzip file; other data comes back as it is.

    Raises:
        FileError: The gzip stream is damaged, or its content is larger than ``limit`` bytes.
    """
    if not data.startswith(b"\x1f\x8b"):
        return data
    import io

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            content = stream.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f"{origin} is a damaged gzip file: {error}") from error
    if len(content) > limit:
        raise FileError(f"{origin} holds more than {limit:,} bytes once unpacked; unpack it first")
    return content


def to_utf8(data: bytes, origin: str) -> tuple[bytes, tuple[Note, ...]]:
    """The text as UTF-8 bytes without byte-order mark, and notes where that was not plain.

    UTF-8 is tried first, then UTF-16 (by its mark, or by its pattern of NUL bytes), then
    Windows-1252 and latin-1, with a warning that names the first line that needed it.

    Raises:
        FileError: The file is binary: another known format, or text with NUL bytes.
    """
    for magic, what in _FOREIGN:
        if data.startswith(magic):
            raise FileError(f"{origin} is {what}, not a table; save it as CSV or Parquet")
    if data.startswith(codecs.BOM_UTF8):
        data = data[len(codecs.BOM_UTF8) :]
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _from_utf16(data, "utf-16", origin), ()
    guess = _utf16_without_mark(data)
    if guess:
        note = Note("info", f"{origin} was read as {guess.upper()} (no byte-order mark)")
        return _from_utf16(data, guess, origin), (note,)
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise FileError(
            f"{origin}, line {line}: a NUL byte, so this is a binary or damaged file, not a text "
            "table; export it again as CSV or Parquet"
        )
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _from_latin(data, error.start, origin)
    return data, ()


def _from_utf16(data: bytes, encoding: str, origin: str) -> bytes:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise FileError(f"{origin} is damaged UTF-16 text: {error}; save it as UTF-8") from error
    if "\0" in text:
        raise FileError(f"{origin} is a binary or damaged file, not a text table")
    return text.encode("utf-8")


def _utf16_without_mark(data: bytes) -> str:
    head = data[:4096]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if half >= 4 and odd > 0.6 * half and even == 0:
        return "utf-16-le"
    if half >= 4 and even > 0.6 * half and odd == 0:
        return "utf-16-be"
    return ""


def _from_latin(data: bytes, start: int, origin: str) -> tuple[bytes, tuple[Note, ...]]:
    line = data.count(b"\n", 0, start) + 1
    name = "Windows-1252"
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        name, text = "latin-1", data.decode("latin-1")
    message = (
        f"{origin}, line {line}: not UTF-8 (byte 0x{data[start]:02x}); read as {name}. "
        "Check the accented letters, or save the file as UTF-8"
    )
    return text.encode("utf-8"), (Note("warning", message, None, line),)


__all__ = ["to_utf8", "unpack"]
