"""Names in object files that LLVM writes for several systems, whole and damaged."""

import struct

import pytest

from thalweg.compiler.native.engine import _machine, _parsed
from thalweg.compiler.native.symbols import symbols
from thalweg.compiler.native.target import Target, host_target
from thalweg.errors import CompileError

TEXT = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare float @expf(float)

define void @first(ptr %to, ptr %from, i64 %size) nounwind {
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %size, i1 false)
  ret void
}

define internal float @hidden(float %x) noinline nounwind {
  %y = call float @expf(float %x)
  ret float %y
}

define float @second(float %x) nounwind {
  %y = call float @hidden(float %x)
  %z = fadd float %y, 0x3FB99999A0000000
  ret float %z
}
"""
TRIPLES = {
    "x86_64-unknown-linux-gnu": "x86_64",
    "aarch64-unknown-linux-gnu": "aarch64",
    "x86_64-apple-macosx": "x86_64",
    "arm64-apple-macosx": "aarch64",
    "s390x-unknown-linux-gnu": "22",
}


def object_code(triple: str) -> bytes:
    target = Target(triple, "", "", 16, 16, has_fma=False, has_estimates=False)
    return _machine(target).emit_object(_parsed(TEXT))


@pytest.mark.parametrize("triple", TRIPLES)
def test_names_are_found_in_every_format(triple):
    found = symbols(object_code(triple))
    assert found.processor == TRIPLES[triple]
    assert found.functions == {"first", "second"}
    inline = {"memcpy"} if triple.startswith("s390x") else set()
    assert found.needed == {"memcpy", "expf"} - inline


@pytest.mark.parametrize("triple", [*TRIPLES][:4])
def test_damaged_files_give_names_or_an_error_and_never_another_one(triple):
    code = object_code(triple)
    refused = 0
    for place in range(len(code)):
        other = bytes([code[place] ^ 0xFF])
        for wrong in (code[:place], code[:place] + other + code[place + 1 :]):
            try:
                symbols(wrong)
            except CompileError:
                refused += 1
    assert refused > len(code) // 2


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF\x01\x01" + bytes(99), b"MZ" * 99])
def test_other_files_are_refused(content):
    with pytest.raises(CompileError, match=r"expected 64-bit ELF or Mach-O|damaged"):
        symbols(content)


@pytest.mark.parametrize("place", [16, 36])
def test_counts_and_lengths_of_nonsense_end_soon(place):
    code = bytearray(object_code("arm64-apple-macosx"))
    struct.pack_into("<I", code, place, 0xFFFFFFFF if place == 16 else 0)
    with pytest.raises(CompileError, match="damaged"):
        symbols(bytes(code))


def test_counts_beyond_the_file_take_no_memory():
    code = bytearray(object_code(host_target().triple))
    struct.pack_into("<H", code, 60, 0xFFFF)
    with pytest.raises(CompileError, match="damaged"):
        symbols(bytes(code))
