"""Subnormal numbers counted as zero while a training run is inside its program.

Averages of gradients that have become zero decay into the subnormal range and stay there, and a
processor needs a hundred cycles for each such number. The mode of the calling thread is set on
entry and put back on the way out.
"""

from __future__ import annotations

from thalweg.compiler.native.text import I32, I64, Function, Value, number

_X86_BITS = 0x8040
"""Flush results to zero, and take subnormal operands as zero."""

_ARM_BIT = 1 << 24


def begin_flush(f: Function, triple: str) -> Value | None:
    """Count subnormal numbers as zero; gives the former mode, or None where there is no such."""
    if triple.startswith("x86_64"):
        place = f.emit("ptr", "alloca i32, align 4")
        f.run("llvm.x86.sse.stmxcsr", place)
        former = f.load(place, I32, 4)
        _set_x86(f, f.binary("or", former, number(I32, _X86_BITS)))
        return former
    if triple.startswith(("aarch64", "arm64")):
        former = f.call("llvm.aarch64.get.fpcr", I64)
        f.run("llvm.aarch64.set.fpcr", f.binary("or", former, number(I64, _ARM_BIT)))
        return former
    return None


def end_flush(f: Function, triple: str, former: Value | None) -> None:
    """Put the former mode back."""
    if former is None:
        return
    if triple.startswith("x86_64"):
        _set_x86(f, former)
    else:
        f.run("llvm.aarch64.set.fpcr", former)


def _set_x86(f: Function, mode: Value) -> None:
    place = f.emit("ptr", "alloca i32, align 4")
    f.store(mode, place, 4)
    f.run("llvm.x86.sse.ldmxcsr", place)
