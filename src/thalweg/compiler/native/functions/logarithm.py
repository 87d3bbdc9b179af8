"""``log x`` and ``log (1 + x)``.

With x = 2^e · (1 + t) and √½ <= 1 + t < √2, log x = e·log 2 + t - t²/2 + t³·P(t).
"""

from __future__ import annotations

import struct

from thalweg.compiler.native.functions.arithmetic import INFINITY, NAN, Arithmetic
from thalweg.compiler.native.text import F32, F64, Function, Value

# Minimax for the relative error of the whole logarithm: 3.2e-8 and 9.2e-18.
COEFFICIENTS = {
    F32: (
        0.3333391845226288,
        -0.2500130236148834,
        0.19962827861309052,
        -0.16578549146652222,
        0.14917752146720886,
        -0.142608180642128,
        0.08684172481298447,
    ),
    F64: (
        0.3333333333333314,
        -0.2499999999998795,
        0.2000000000006719,
        -0.16666666669830105,
        0.14285714280013853,
        -0.12499999691121791,
        0.11111111152248393,
        -0.10000015221168099,
        0.0909092377856678,
        -0.08332913088622859,
        0.0769153259146404,
        -0.07149448265148597,
        0.06684561705947327,
        -0.06196575990462866,
        0.056684972840537064,
        -0.05678438346921162,
        0.065035489062421,
        -0.05979960011888203,
        0.026135161426962553,
    ),
}


def bits_of_root_half(m: Arithmetic) -> int:
    """The bits of √½, where one exponent gives way to the next."""
    layout = "<fi" if m.element == F32 else "<dq"
    packed = struct.pack(layout[:2], 0.5**0.5)
    return int(struct.unpack(layout[0] + layout[2], packed)[0])


def lifted(m: Arithmetic, x: Value) -> Value:
    """Bits that hold ``e + bias`` where x = 2^e · y with √½ <= y < √2; fraction bits below."""
    shift = (m.format.bias << m.format.digits) - bits_of_root_half(m)
    return m.integer("add", m.bits(x), shift)


def exponent(m: Arithmetic, stored: Value, lift: Value | float) -> Value:
    """``e`` as a float, from :func:`lifted` bits; ``lift`` is ``2^digits + bias`` and more."""
    digits = m.format.digits
    shifted = m.integer("lshr", stored, digits)
    marked = m.integer("or", shifted, (m.format.bias + digits) << digits)
    return m.subtract(m.from_bits(marked), lift)


def split(m: Arithmetic, x: Value) -> tuple[Value, Value]:
    """``x = 2^e · y``, y between √½ and √2, for every positive finite x.

    Returns:
        y; e as a float.
    """
    digits = m.format.digits
    small = m.compare("olt", x, m.format.smallest_normal)
    x = m.select(small, m.multiply(x, 2.0 ** (digits + 1)), x)
    lift = 2.0**digits + m.format.bias
    return split_normal(m, x, m.select(small, lift + digits + 1, lift))


def split_normal(m: Arithmetic, x: Value, lift: Value | float) -> tuple[Value, Value]:
    """The same for a normal x; what ``lift`` has beyond ``2^digits + bias`` is taken from e."""
    stored = lifted(m, x)
    fraction = m.integer("and", stored, (1 << m.format.digits) - 1)
    y = m.from_bits(m.integer("add", fraction, bits_of_root_half(m)))
    return y, exponent(m, stored, lift)


def logarithm(m: Arithmetic, t: Value, e: Value) -> Value:
    """``log (1 + t) + e·log 2``, t between √½ - 1 and √2 - 1."""
    inner = m.fma(m.polynomial(t, COEFFICIENTS[m.element]), t, -0.5)
    return m.fma(e, m.format.ln2[0], m.fma(m.multiply(t, t), inner, t))


def log(f: Function, x: Value) -> Value:
    """``log x``; -inf at 0, NaN below.

    Off by at most 1.16 ulp in float32 (every number) and 1.31 in float64 (4.5·10⁶ points).
    """
    m = Arithmetic(f, x.type)
    y, e = split(m, x)
    result = logarithm(m, m.subtract(y, 1.0), e)
    result = m.select(m.compare("olt", x, INFINITY), result, x)
    limit = m.select(m.compare("oeq", x, 0.0), -INFINITY, NAN)
    return m.select(m.compare("ugt", x, 0.0), result, limit)


def log1p(f: Function, x: Value) -> Value:
    """``log (1 + x)``, also where x is nearly 0; -inf at -1, NaN below.

    Off by at most 1.80 ulp in float32 (every number) and 1.61 in float64 (4.5·10⁶ points).
    """
    m = Arithmetic(f, x.type)
    digits, bias = m.format.digits, m.format.bias
    stored = lifted(m, m.add(x, 1.0))
    power = m.integer("and", stored, -1 << digits)
    # 4 · 2^-e, a normal number for every e
    inverse = m.from_bits(m.integer("sub", (2 * bias + 2) << digits, power))
    t = m.fma(inverse, m.multiply(x, 0.25), m.fma(inverse, 0.25, -1.0))
    result = logarithm(m, t, exponent(m, stored, 2.0**digits + bias))
    tiny = m.compare("olt", m.absolute(x), 2.0 ** -(digits + 2))
    same = f.binary("or", tiny, m.compare("uge", x, INFINITY))
    limit = m.select(m.compare("oeq", x, -1.0), -INFINITY, NAN)
    result = m.select(m.compare("ugt", x, -1.0), result, limit)
    return m.select(same, x, result)
