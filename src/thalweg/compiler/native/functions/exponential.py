"""``e^x`` and ``e^x - 1``.

With x = n·log 2 + r and a small r, e^x = 2^n · (1 + r + r²·Q(r)). ``NARROW`` is Q for
|r| <= (log 2)/2, ``WIDE`` for |r| <= log 2, where n is even. 2^n is then put together as a square,
so that no factor leaves the range of the type, and a subnormal result is rounded once.
"""

from __future__ import annotations

from thalweg.compiler.native.functions.arithmetic import LOG2_E, Arithmetic
from thalweg.compiler.native.text import F32, F64, Function, Value

# Minimax for the error of r + r²·Q(r) relative to e^r - 1: 1.4e-8 and 3.0e-19.
NARROW = {
    F32: (
        0.5,
        0.1666666567325592,
        0.04166647791862488,
        0.00833356473594904,
        0.0013933696318417788,
        0.00019745015015359968,
    ),
    F64: (
        0.5,
        0.16666666666666677,
        0.04166666666666661,
        0.008333333333321456,
        0.0013888888888923968,
        0.00019841269886515867,
        2.4801587237026098e-05,
        2.7557243851287697e-06,
        2.7557353426594964e-07,
        2.5109153720053963e-08,
        2.088930910717255e-09,
    ),
}

# The same on the wide interval: 3.4e-8 and 2.6e-17.
WIDE = {
    F32: (
        0.5000002384185791,
        0.1666664332151413,
        0.0416620634496212,
        0.008334512822329998,
        0.00140920071862638,
        0.00019818729197140783,
    ),
    F64: (
        0.4999999999999996,
        0.1666666666666674,
        0.04166666666669088,
        0.008333333333312973,
        0.001388888888472755,
        0.00019841269859234147,
        2.4801590328167963e-05,
        2.755731265254144e-06,
        2.75562560085935e-07,
        2.50530191272745e-08,
        2.1055274219928588e-09,
        1.606424739310464e-10,
    ),
}

# Beyond these, e^x rounds to 0 and to infinity.
RANGE = {F32: (-104.0, 89.0), F64: (-746.0, 710.0)}


def reduced(m: Arithmetic, x: Value) -> tuple[Value, Value]:
    """s and r with ``e^x = s² · e^r``, s a power of two and |r| <= log 2; x within ``RANGE``."""
    shifted, count = m.nearest(x, LOG2_E / 2, m.format.bias)
    high, low = m.format.ln2
    return m.power_of_two(shifted), m.minus_multiple(x, count, (2 * high, 2 * low))


def exp(f: Function, x: Value) -> Value:
    """``e^x``.

    Off by at most 1.67 ulp in float32 (every number) and 1.49 in float64 (4.5·10⁶ points).
    """
    m = Arithmetic(f, x.type)
    scale, r = reduced(m, m.within(x, *RANGE[m.element]))
    y = m.fma(m.fma(m.polynomial(r, WIDE[m.element]), r, 1.0), r, 1.0)
    return m.multiply(m.multiply(y, scale), scale)


def expm1(f: Function, x: Value) -> Value:
    """``e^x - 1``, also where x is nearly 0.

    The largest term of r + r²·Q(r), which is exact, is added first.

    Off by at most 1.16 ulp in float32 (every number) and 1.27 in float64 (4.5·10⁶ points).
    """
    m = Arithmetic(f, x.type)
    lowest = -18.0 if m.element == F32 else -38.0
    bounded = m.within(x, lowest, RANGE[m.element][1])
    shifted, count = m.nearest(bounded, LOG2_E, m.format.bias - 1)
    high, low = m.format.ln2
    first, left = m.fma(count, -high, bounded), m.multiply(count, -low)
    r = m.add(first, left)
    rest = m.fma(m.multiply(r, r), m.polynomial(r, NARROW[m.element]), left)
    half = m.power_of_two(shifted)
    y = m.fma(half, rest, m.fma(half, first, m.subtract(half, 0.5)))
    tiny = m.compare("olt", m.absolute(x), 2.0 ** -(m.format.digits + 2))
    return m.select(tiny, x, m.multiply(y, 2.0))
