"""Sine and cosine of a reduced angle.

An angle is n·π/2 + r with |r| <= π/4; from n only its last two bits matter.
"""

from __future__ import annotations

from thalweg.compiler.native.functions.arithmetic import Arithmetic
from thalweg.compiler.native.text import F32, F64, Value

# sin r = r + r³·S(r²): relative error 5.1e-9 and 3.8e-18 for |r| <= 1.03·π/4 and 1.0001·π/4.
_SINE = {
    F32: (-0.16666652262210846, 0.008332015946507454, -0.00019495956075843424),
    F64: (
        -0.1666666666666663,
        0.008333333333321917,
        -0.00019841269829456442,
        2.755731358147741e-06,
        -2.5050742203074423e-08,
        1.5895937721079629e-10,
    ),
}

# cos r = 1 - r²/2 + r⁴·C(r²): relative error 1.8e-10 and 5.8e-20.
_COSINE = {
    F32: (0.04166664183139801, -0.0013887131353840232, 2.4412247512373142e-05),
    F64: (
        0.041666666666666595,
        -0.001388888888887336,
        2.4801587289018895e-05,
        -2.755731422283603e-07,
        2.0875706251784177e-09,
        -1.1358795281351628e-11,
    ),
}


def sine(m: Arithmetic, r: Value, quadrant: Value, sign: Value | None = None) -> Value:
    """``sin (n·π/2 + r)``, where the last two bits of ``quadrant`` are those of n.

    Args:
        m: of the type of ``r``.
        r: at most π/4 in size.
        quadrant: whole numbers.
        sign: a float whose sign is multiplied in.
    """
    square = m.multiply(r, r)
    sines = m.fma(m.multiply(r, square), m.polynomial(square, _SINE[m.element]), r)
    inner = m.fma(m.polynomial(square, _COSINE[m.element]), square, -0.5)
    cosines = m.fma(inner, square, 1.0)
    odd = m.function.compare("icmp ne", m.integer("and", quadrant, 1), m.whole(0))
    turned = m.integer("shl", quadrant, m.format.digits + (7 if m.element == F32 else 10))
    if sign is not None:
        turned = m.integer("xor", turned, m.bits(sign))
    flip = m.integer("and", turned, m.format.sign)
    return m.from_bits(m.integer("xor", m.bits(m.select(odd, cosines, sines)), flip))
