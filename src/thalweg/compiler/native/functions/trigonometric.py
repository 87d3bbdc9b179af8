"""Sine and cosine of any angle.

While |x| < 2^20, three parts of π/2 are taken off (Cody and Waite). Larger angles are rare: where a
vector has one, a function apart reduces it exactly, lane by lane.
"""

from __future__ import annotations

import math

from thalweg.compiler.native.functions.arithmetic import Arithmetic
from thalweg.compiler.native.functions.large_angle import add_large_sine
from thalweg.compiler.native.functions.quadrant import sine
from thalweg.compiler.native.text import (
    F32,
    F64,
    I1,
    I64,
    Function,
    Module,
    Value,
    element_of,
    number,
    suffix,
    width_of,
)

# π/2 as a sum of three floats.
_HALF_PI = {
    F32: ("0x1.921fb6p+0", "-0x1.777a5cp-25", "-0x1.ee59dap-50"),
    F64: ("0x1.921fb54442d18p+0", "0x1.1a62633145c07p-54", "-0x1.f1976b7ed8fbcp-110"),
}

_LARGE = 2.0**20


def sin(f: Function, x: Value) -> Value:
    """``sin x``; NaN at infinity.

    Off by at most 1.67 ulp in float32 (every number from 1/4 to 2^12 and about 2^20) and 1.44 in
    float64 (3·10⁶ points of any size).
    """
    m = Arithmetic(f, x.type)
    size = m.absolute(x)
    return _with_large(m, x, size, _moderate(m, size, 0, x), 0)


def cos(f: Function, x: Value) -> Value:
    """``cos x``; NaN at infinity.

    Off by at most 1.81 ulp in float32 (every number from 1/4 to 2^12 and about 2^20) and 1.45 in
    float64 (3·10⁶ points of any size).
    """
    m = Arithmetic(f, x.type)
    size = m.absolute(x)
    return _with_large(m, size, size, _moderate(m, size, 1, None), 1)


def _moderate(m: Arithmetic, size: Value, quarter: int, sign: Value | None) -> Value:
    """The sine of ``size + quarter·π/2``, with the sign of another value."""
    shifted, count = m.nearest(size, 2 / math.pi, quarter)
    parts = [float.fromhex(part) for part in _HALF_PI[m.element]]
    return sine(m, m.minus_multiple(size, count, parts), m.bits(shifted), sign)


def _with_large(m: Arithmetic, x: Value, size: Value, result: Value, quarter: int) -> Value:
    """``result``, but the sine of ``x + quarter·π/2`` in lanes with a large x."""
    f = m.function
    large = m.compare("oge", size, _LARGE)
    some = large
    if width_of(x.type) > 1:
        some = f.intrinsic("vector.reduce.or", I1, large, overloads=suffix(large.type))
    name = _add_lanes(f.module, x.type, quarter)
    before = f.block
    with f.when(some):
        mixed = m.select(large, f.call(name, x.type, x), result)
        inside = f.block
    return f.emit(x.type, f"phi {x.type} [ {result.text}, %{before} ], [ {mixed.text}, %{inside} ]")


def _add_lanes(module: Module, type_: str, quarter: int) -> str:
    """Put a function into a module that computes every lane's sine apart; gives its name."""
    one, width = add_large_sine(module), width_of(type_)
    name = f"large_{'cosine' if quarter else 'sine'}_{suffix(type_)}"
    f = module.function(name, (type_,), type_, "nounwind noinline cold")
    (x,) = f.parameters
    if width == 1:
        f.leave(_one_lane(f, one, x, quarter))
        return module.add(f)
    with f.loop(number(I64, 0), number(I64, width), carried=(x,)) as loop:
        lane = f.emit(element_of(type_), f"extractelement {x}, {loop.index}")
        lane = _one_lane(f, one, lane, quarter)
        loop.next([f.emit(type_, f"insertelement {loop.values[0]}, {lane}, {loop.index}")])
    f.leave(loop.results[0])
    return module.add(f)


def _one_lane(f: Function, name: str, x: Value, quarter: int) -> Value:
    wide = x if x.type == F64 else f.convert("fpext", x, F64)
    result = f.call(name, F64, wide, number(I64, quarter))
    return result if x.type == F64 else f.convert("fptrunc", result, F32)
