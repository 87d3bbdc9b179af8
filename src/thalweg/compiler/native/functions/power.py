"""``x^y`` and the square root."""

from __future__ import annotations

from thalweg.compiler.native.functions.arithmetic import INFINITY, LOG2_E, NAN, Arithmetic
from thalweg.compiler.native.functions.exponential import RANGE, WIDE
from thalweg.compiler.native.functions.logarithm import split, split_normal
from thalweg.compiler.native.text import F32, F64, Function, Value

# log2(1 + t)/t for √½ - 1 <= t <= √2 - 1: relative error 1.0e-10.
_LOG2 = (
    1.4426950409398307,
    -0.7213475252022401,
    0.4808983204723708,
    -0.36067280210911645,
    0.2885406659299175,
    -0.2405041232387491,
    0.20609555847286104,
    -0.17904725031398766,
    0.15901054621481298,
    -0.1569883739337211,
    0.15481592934516916,
    -0.08628823791576722,
)

# 2^t for |t| <= 1/2: relative error 1.9e-9.
_EXP2 = (
    1.0000000005581133,
    0.6931472057593319,
    0.2402264685320381,
    0.05550328729261721,
    0.009618493619569322,
    0.0013399951190889874,
    0.0001534447352587713,
)

# log((1 + s)/(1 - s)) = 2s + (2/3)s³ + s⁵·Q(s²) for |s| <= 0.1716: relative error 8.0e-23.
_TAIL = (
    0.3999999999999998,
    0.2857142857144378,
    0.22222222217809642,
    0.18181818841396644,
    0.15384558603561407,
    0.13336258028281978,
    0.11675905618247158,
    0.11980767116017313,
)

# log 2 with a first part so short that its multiples by exponents are exact, and 2/3.
_LN2 = (float.fromhex("0x1.62e42fefa3800p-1"), float.fromhex("0x1.ef35793c76730p-45"))
_TWO_THIRDS = (2 / 3, float.fromhex("0x1.5555555555555p-55"))


def sqrt(f: Function, x: Value) -> Value:
    """``√x``, rounded rightly; NaN below 0."""
    return f.intrinsic("sqrt", x.type, x)


def power(f: Function, x: Value, y: Value) -> Value:
    """``x^y``; NaN where x is negative and y is no whole number, 1 where y is 0 or x is 1.

    Off by at most 0.65 ulp in float32 (9·10⁶ points) and 1.29 in float64 (4.5·10⁶ points).
    """
    m = Arithmetic(f, x.type)
    size = m.absolute(x)
    magnitude = _single(m, size, y) if m.element == F32 else _double(m, size, y)
    magnitude = m.select(m.compare("oeq", size, 1.0), 1.0, magnitude)
    return _with_cases(m, x, y, magnitude)


def _with_cases(m: Arithmetic, x: Value, y: Value, magnitude: Value) -> Value:
    """``|x|^y`` with its sign, NaN and 1 where they belong."""
    f, limit = m.function, 2.0**m.format.digits
    size = m.absolute(y)
    large = m.compare("oge", size, limit)
    moved = m.add(size, limit)
    same = m.compare("oeq", m.subtract(moved, limit), size)
    whole = f.binary("or", large, same)
    last = m.integer("and", m.bits(m.select(large, size, moved)), 1)
    odd = f.compare("icmp ne", last, m.whole(0))
    odd = f.binary("and", odd, f.binary("and", whole, m.compare("olt", size, 2 * limit)))
    sign = f.select(odd, m.integer("and", m.bits(x), m.format.sign), m.whole(0))
    result = m.from_bits(m.integer("or", m.bits(magnitude), sign))
    negative = f.binary("and", m.compare("olt", x, 0.0), m.compare("ogt", x, -INFINITY))
    result = m.select(negative, m.select(whole, result, NAN), result)
    return m.select(m.compare("oeq", y, 0.0), 1.0, result)


def _single(m: Arithmetic, x: Value, y: Value) -> Value:
    """``2^(y·log2 x)`` in float64, rounded to float32; x is not negative."""
    f = m.function
    x, y = f.convert("fpext", x, F64), f.convert("fpext", y, F64)
    d = Arithmetic(f, x.type)
    mantissa, e = split_normal(d, x, 2.0**d.format.digits + d.format.bias)
    t = d.subtract(mantissa, 1.0)
    product = d.multiply(y, _limits(d, x, d.fma(d.polynomial(t, _LOG2), t, e)))
    product = d.within(product, -200.0, 200.0)
    shifted, count = d.nearest(product, 1.0, d.format.bias)
    value = d.polynomial(d.subtract(product, count), _EXP2)
    return f.convert("fptrunc", d.multiply(value, d.power_of_two(shifted)), F32)


def _limits(m: Arithmetic, x: Value, logarithm: Value) -> Value:
    """The logarithm of a number that may also be 0, infinity or NaN."""
    finite = m.select(m.compare("olt", x, INFINITY), logarithm, x)
    return m.select(m.compare("oeq", x, 0.0), -INFINITY, finite)


def _double(m: Arithmetic, x: Value, y: Value) -> Value:
    """``e^(y·log x)`` with the logarithm and the product in two parts; x is not negative."""
    high, low = _logarithm(m, x)
    high = _limits(m, x, high)
    product = m.multiply(y, high)
    rest = m.fma(y, low, m.fma(y, high, m.negated(product)))
    small = m.compare("olt", m.absolute(product), 800.0)
    rest = m.select(small, rest, 0.0)
    product = m.within(product, *RANGE[F64])
    shifted, count = m.nearest(product, LOG2_E / 2, m.format.bias)
    first = m.fma(count, -2 * m.format.ln2[0], product)
    rest = m.fma(count, -2 * m.format.ln2[1], rest)
    r = m.add(first, rest)
    rest = m.add(m.subtract(first, r), rest)
    q = m.polynomial(r, WIDE[F64])
    value = m.add(m.add(m.fma(m.multiply(r, r), q, rest), r), 1.0)
    scale = m.power_of_two(shifted)
    return m.multiply(m.multiply(value, scale), scale)


def _logarithm(m: Arithmetic, x: Value) -> tuple[Value, Value]:
    """``log x`` as a sum of two floats, for a positive finite x: relative error about 2^-65.

    With s = (m - 1)/(m + 1) for the mantissa m, log m = log((1 + s)/(1 - s)).
    """
    mantissa, e = split(m, x)
    s = _quotient(m, mantissa)
    square = _product(m, s, s)
    tail = m.multiply(square[0], m.polynomial(square[0], _TAIL))
    factor = m.add(tail, _TWO_THIRDS[0])
    left = m.add(m.add(m.subtract(_TWO_THIRDS[0], factor), tail), _TWO_THIRDS[1])
    cubic = _product(m, s, _product(m, square, (factor, left)))
    double = m.multiply(s[0], 2.0)
    high, low = _sum(m, double, cubic[0])
    low = m.add(low, m.fma(s[1], 2.0, cubic[1]))
    total, rest = _sum(m, m.multiply(e, _LN2[0]), high)
    return total, m.add(rest, m.fma(e, _LN2[1], low))


def _quotient(m: Arithmetic, mantissa: Value) -> tuple[Value, Value]:
    """``(m - 1)/(m + 1)`` as a sum of two floats."""
    top, bottom = m.subtract(mantissa, 1.0), m.add(mantissa, 1.0)
    lost = m.subtract(mantissa, m.subtract(bottom, 1.0))
    inverse = m.divide(1.0, bottom)
    first = m.multiply(top, inverse)
    back = m.negated(first)
    rest = m.fma(back, lost, m.fma(back, bottom, top))
    return first, m.multiply(rest, inverse)


def _product(
    m: Arithmetic, first: tuple[Value, Value], second: tuple[Value, Value]
) -> tuple[Value, Value]:
    """The product of two sums of two floats."""
    high = m.multiply(first[0], second[0])
    low = m.fma(first[0], second[0], m.negated(high))
    return high, m.fma(first[0], second[1], m.fma(first[1], second[0], low))


def _sum(m: Arithmetic, large: Value, small: Value) -> tuple[Value, Value]:
    """``large + small`` and what rounding left of it; ``large`` is 0 or the larger one."""
    total = m.add(large, small)
    return total, m.add(m.subtract(large, total), small)
