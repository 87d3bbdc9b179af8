"""Names in an object file: what it defines, and what it needs from outside.

LLVM ends the process where code that it loads needs a function that is not there. So the names are
read here first, from ELF (Linux, and Windows in memory) or Mach-O (macOS) with 64-bit addresses.

    System V ABI, Object Files; OS X ABI Mach-O File Format Reference
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from thalweg.errors import CompileError

_FUNCTION, _SYMBOL_TABLE, _LC_SYMTAB = 2, 2, 2
_PROCESSORS = {62: "x86_64", 183: "aarch64", 0x01000007: "x86_64", 0x0100000C: "aarch64"}


class Symbols(NamedTuple):
    """Names in an object file.

    Attributes:
        processor: ``x86_64``, ``aarch64``, or the format's number for another.
        functions: what can be called from outside.
        needed: what must come from elsewhere.
    """

    processor: str
    functions: frozenset[str]
    needed: frozenset[str]


def symbols(code: bytes) -> Symbols:
    """Read the names in an object file.

    Raises:
        CompileError: it is none, is cut off, or points outside itself.
    """
    try:
        if code.startswith(b"\x7fELF\x02") and code[5] in {1, 2}:
            return _elf(code, "<" if code[5] == 1 else ">")
        if code.startswith(b"\xcf\xfa\xed\xfe"):
            return _mach(code)
    except (struct.error, LookupError, ValueError, OverflowError) as error:
        raise CompileError(f"the object code is damaged: {error}") from error
    start = bytes(code[:5])
    raise CompileError(f"expected 64-bit ELF or Mach-O object code, but it starts with {start!r}")


def _elf(code: bytes, order: str) -> Symbols:
    processor = struct.unpack_from(f"{order}H", code, 18)[0]
    (table,) = struct.unpack_from(f"{order}Q", code, 40)
    size, count = struct.unpack_from(f"{order}HH", code, 58)
    head = struct.Struct(f"{order}IIQQQQIIQQ")
    sections = [head.unpack_from(code, table + place * size) for place in range(count)]
    functions: set[str] = set()
    needed: set[str] = set()
    for section in sections:
        if section[1] != _SYMBOL_TABLE:
            continue
        names = sections[section[6]][4]
        for name, info, _, place, _, _ in _rows(code, f"{order}IBBHQQ", section[4], section[5]):
            text = _name(code, names + name)
            if place == 0 and text not in {"", "_GLOBAL_OFFSET_TABLE_"}:
                needed.add(text)
            elif info >> 4 and info & 15 == _FUNCTION:
                functions.add(text)
    return Symbols(
        _PROCESSORS.get(processor, str(processor)), frozenset(functions), frozenset(needed)
    )


def _mach(code: bytes) -> Symbols:
    _, processor, _, _, commands, _, _, _ = struct.unpack_from("<8I", code, 0)
    functions: set[str] = set()
    needed: set[str] = set()
    place = 32
    for _ in range(commands):
        command, size = struct.unpack_from("<II", code, place)
        if size < 8:
            raise ValueError("a load command has no length")
        if command == _LC_SYMTAB:
            begin, count, names, _ = struct.unpack_from("<4I", code, place + 8)
            for name, kind, _, _, _ in _rows(code, "<IBBHQ", begin, 16 * count):
                text = _name(code, names + name).removeprefix("_")
                if kind & 1:
                    (needed if kind & 0x0E == 0 else functions).add(text)
        place += size
    return Symbols(
        _PROCESSORS.get(processor, str(processor)), frozenset(functions), frozenset(needed)
    )


def _rows(code: bytes, form: str, begin: int, size: int) -> Iterator[tuple[int, ...]]:
    row = struct.Struct(form)
    if begin + size > len(code) or size % row.size:
        raise ValueError("its table of symbols is cut off")
    return row.iter_unpack(memoryview(code)[begin : begin + size])


def _name(code: bytes, begin: int) -> str:
    end = code.index(b"\0", begin)
    return code[begin:end].decode("utf-8")
