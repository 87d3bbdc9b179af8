"""The sine of very large angles: exact reduction after Payne and Hanek.

The angle is M·2^E with a whole M below 2^53. Of M·2^E·(2/π) only the remainder modulo 4 matters, so
the bits of 2/π that give multiples of 4 are left out, and 192 bits from there are enough: no
double is nearer than 2^-62 to a multiple of π/2.

M. Payne, R. Hanek, "Radian reduction for trigonometric functions", SIGNUM Newsletter 18, 1983.
"""

from __future__ import annotations

import functools
import itertools

from thalweg.compiler.native.functions.arithmetic import INFINITY, NAN, Arithmetic
from thalweg.compiler.native.functions.quadrant import sine
from thalweg.compiler.native.text import F64, I1, I64, Function, Module, Value, lanes, number

_I128 = "i128"
_WORDS = 20
_HALF_PI = (float.fromhex("0x1.921fb54442d18p+0"), float.fromhex("0x1.1a62633145c07p-54"))


def add_large_sine(module: Module) -> str:
    """Put ``double (double x, i64 quarter)``, the sine of x + quarter·π/2, into a module.

    Where quarter is odd, x must not be negative. Right for every size from 2^12 on.

    Returns:
        the function's name.
    """
    f = module.function("large_sine", (F64, I64), F64, "nounwind noinline cold")
    x, quarter = f.parameters
    m = Arithmetic(f, F64)
    high, low = _remainder(m, x)
    nearest = m.integer("and", m.integer("lshr", high, 61), 1)
    count = m.integer("add", m.integer("lshr", high, 62), nearest)
    r = _angle(m, high, low)
    result = sine(m, r, m.integer("add", count, quarter), x)
    finite = m.compare("olt", m.absolute(x), INFINITY)
    f.leave(m.select(finite, result, NAN))
    return module.add(f)


def _remainder(m: Arithmetic, x: Value) -> tuple[Value, Value]:
    """``|x|·2/π`` modulo 4: the first 128 bits, two of them before the point, in two words."""
    f, bits = m.function, m.bits(x)
    whole = m.integer("or", m.integer("and", bits, (1 << 52) - 1), 1 << 52)
    stored = m.integer("and", m.integer("lshr", bits, 52), 2047)
    first = f.intrinsic("smax", I64, m.integer("sub", stored, 1013), number(I64, 0))
    word, shift = m.integer("lshr", first, 6), m.integer("and", first, 63)
    table = lanes(f"<{_WORDS} x i64>", two_over_pi())
    places = [m.integer("add", word, place) for place in range(4)]
    words = [f.emit(I64, f"extractelement {table}, {place}") for place in places]
    top, middle, last = (
        f.intrinsic("fshl", I64, left, right, shift) for left, right in itertools.pairwise(words)
    )
    wide = f.convert("zext", whole, _I128)
    products = [f.binary("mul", wide, f.convert("zext", item, _I128)) for item in (middle, last)]
    carried = f.binary("add", products[0], _half(f, products[1]))
    high = m.integer("mul", whole, top)
    high = m.integer("add", high, f.convert("trunc", _half(f, carried), I64))
    return high, f.convert("trunc", carried, I64)


def _half(f: Function, value: Value) -> Value:
    return f.binary("lshr", value, number(_I128, 64))


def _angle(m: Arithmetic, high: Value, low: Value) -> Value:
    """π/2 times what lies after the point, as a number from -1/2 to 1/2."""
    f = m.function
    upper = f.binary("shl", f.convert("zext", high, _I128), number(_I128, 64))
    both = f.binary("or", upper, f.convert("zext", low, _I128))
    fraction = f.binary("shl", both, number(_I128, 2))
    size = f.intrinsic("abs", _I128, fraction, number(I1, 0))
    zeros = f.intrinsic("ctlz", _I128, size, number(I1, 0))
    size = f.binary("shl", size, zeros)
    parts = [_part(f, size, 75), _part(f, size, 22)]
    first = m.multiply(parts[0], _HALF_PI[0])
    rest = m.fma(parts[0], _HALF_PI[0], m.negated(first))
    rest = m.fma(parts[0], _HALF_PI[1], rest)
    rest = m.fma(parts[1], _HALF_PI[0] * 2.0**-53, rest)
    exponent = m.integer("sub", 1023 - 53, f.convert("trunc", zeros, I64))
    scale = m.from_bits(m.integer("shl", exponent, 52))
    angle = m.multiply(m.add(first, rest), scale)
    negative = f.compare("icmp slt", fraction, number(_I128, 0))
    return m.select(negative, m.negated(angle), angle)


def _part(f: Function, value: Value, shift: int) -> Value:
    """53 bits of a number, as a float."""
    bits = f.convert("trunc", f.binary("lshr", value, number(_I128, shift)), I64)
    bits = f.binary("and", bits, number(I64, (1 << 53) - 1))
    return f.convert("sitofp", bits, F64)


@functools.cache
def two_over_pi() -> tuple[int, ...]:
    """64 zero bits, then the bits of 2/π, as whole numbers of 64 bits."""
    guard = 64
    unit = 1 << (64 * _WORDS + guard)
    pi = 4 * (4 * _inverse_tangent(5, unit) - _inverse_tangent(239, unit))
    bits = (2 * unit << 64 * (_WORDS - 1)) // pi
    return tuple(bits >> 64 * place & (1 << 64) - 1 for place in reversed(range(_WORDS)))


def _inverse_tangent(n: int, unit: int) -> int:
    """``unit · arctan(1/n)``."""
    power, total, k = unit // n, 0, 1
    while power:
        total += power // k if k % 4 == 1 else -(power // k)
        power //= n * n
        k += 2
    return total
