"""``tanh``, the logistic function and the error function."""

from __future__ import annotations

from thalweg.compiler.native.functions.arithmetic import LOG2_E, Arithmetic
from thalweg.compiler.native.functions.exponential import NARROW, RANGE
from thalweg.compiler.native.text import F32, F64, Function, Value

# (e^(2r) - 1)/2 = r + r²·T(r) for -0.13 <= r <= 0.31: relative error 2.2e-9 and 4.3e-18.
_TANH = {
    F32: (
        1.0000001192092896,
        0.6666737198829651,
        0.33328312635421753,
        0.13257154822349548,
        0.05120919644832611,
    ),
    F64: (
        1.0,
        0.6666666666666673,
        0.33333333333332815,
        0.1333333333329707,
        0.0444444444482398,
        0.012698412748637386,
        0.0031746023884783726,
        0.0007054677939932264,
        0.00014113658555281114,
        2.53683477783276e-05,
        5.009735865526129e-06,
    ),
}

# From here on tanh x rounds to 1.
_TANH_END = {F32: 9.25, F64: 20.0}


def tanh(f: Function, x: Value) -> Value:
    """``tanh x = h / (1 + h)`` with ``h = (e^(2|x|) - 1) / 2``, and the sign of x.

    What the rounding of 1 + h and of the quotient has lost is put back where h is small.

    Off by at most 1.72 ulp in float32 (every number from 2^-8 to 10) and 1.52 in float64
    (4.5·10⁶ points).
    """
    m = Arithmetic(f, x.type)
    size = m.at_most(m.absolute(x), _TANH_END[m.element])
    shifted, count = m.nearest(m.subtract(size, 0.0866), 2 * LOG2_E, m.format.bias)
    high, low = m.format.ln2
    r = m.minus_multiple(size, count, (high / 2, low / 2))
    p = m.fma(m.multiply(r, r), m.polynomial(r, _TANH[m.element]), r)
    scale = m.power_of_two(shifted)
    h = m.fma(scale, p, m.fma(scale, 0.5, -0.5))
    quotient = m.divide(h, m.add(h, 1.0))
    lost = m.fma(m.negated(quotient), h, m.subtract(h, quotient))
    share = m.subtract(1.0, quotient)
    share = m.multiply(share, share)
    return m.with_sign(m.fma(lost, share, quotient), x)


def logistic(f: Function, x: Value) -> Value:
    """``1 / (1 + e^-x)``.

    With e^-x = 2^n·(1 + p) it is v / (v + v·2^n·(1 + p)), where v is so small that nothing
    overflows, and a subnormal result is rounded once. v has the fraction 1.5: where the quotient
    is just below a power of two, its digits are finest, and those of the divisor then are too.

    Off by at most 2.00 ulp in float32 (every number from 2^-6 to 110) and 1.88 in float64
    (8·10⁶ points).
    """
    m = Arithmetic(f, x.type)
    power = -m.format.digits - (1 if m.element == F32 else 2)
    bounded = m.within(x, RANGE[m.element][0], -power)
    shifted, count = m.nearest(bounded, -LOG2_E, m.format.bias + power)
    high, low = m.format.ln2
    r = m.minus_multiple(bounded, count, (-high, -low))  # -r is what is left of -x
    signs = [-1.5 if k % 2 else 1.5 for k in range(len(NARROW[m.element]))]
    q = [sign * c for sign, c in zip(signs, NARROW[m.element], strict=True)]
    p = m.multiply(r, m.fma(r, m.polynomial(r, q), -1.5))
    scale, v = m.power_of_two(shifted), 1.5 * 2.0**power
    return m.divide(v, m.fma(scale, p, m.fma(scale, 1.5, v)))


# erf x = x + x·A(x²) for |x| < 0.7: relative error 4.0e-8 and 1.1e-17.
_ERF_NEAR = {
    F32: (
        0.12837912142276764,
        -0.3761220872402191,
        0.1127690002322197,
        -0.02647174894809723,
        0.004279315005987883,
    ),
    F64: (
        0.1283791670955126,
        -0.37612638903183937,
        0.1128379167096298,
        -0.026866170646634303,
        0.005223977640874328,
        -0.0008548327939336467,
        0.00012055364540944992,
        -1.492621351282377e-05,
        1.6463825341104563e-06,
        -1.624380166538102e-07,
        1.2662331806377635e-08,
    ),
}

# erf x = 1 - 2^B(x) for 0.7 <= x <= 4 and 6: relative error of erf 3.7e-9 and 1.2e-17.
_ERF_FAR = {
    F32: (
        5.194565801502904e-06,
        -1.6281565427780151,
        -0.9169978499412537,
        -0.15204466879367828,
        0.033137522637844086,
        -0.004673291463404894,
        0.0003129375400021672,
    ),
    F64: (
        -3.613718719742956e-10,
        -1.6279070447714632,
        -0.9184479395418833,
        -0.1482711410974983,
        0.027602876624338257,
        0.0002845315513260973,
        -0.0024125703541572215,
        0.0007985344025851413,
        2.596686692111743e-05,
        -0.00015323582754776295,
        8.852876256532645e-05,
        -3.236373179550676e-05,
        8.688406080878248e-06,
        -1.7730039696028428e-06,
        2.7419954851519737e-07,
        -3.127032223197229e-08,
        2.485174203314314e-09,
        -1.2298265719781603e-10,
        2.8525889863685105e-12,
    ),
}

_ERF_END = {F32: 4.0, F64: 6.0}


def erf(f: Function, x: Value) -> Value:
    """``erf x = (2/√π) ∫_0^x e^(-t²) dt``.

    Off by at most 1.29 ulp in float32 (every number from 2^-10 to 4) and 1.09 in float64
    (3·10⁶ points).
    """
    m = Arithmetic(f, x.type)
    near = m.fma(x, m.polynomial(m.multiply(x, x), _ERF_NEAR[m.element]), x)
    absolute = m.absolute(x)
    size = m.at_most(absolute, _ERF_END[m.element])
    power = m.polynomial(size, _ERF_FAR[m.element])
    shifted, count = m.nearest(power, 1.0, m.format.bias)
    r = m.multiply(m.subtract(power, count), m.format.ln2[0])
    p = m.fma(m.multiply(r, r), m.polynomial(r, NARROW[m.element]), r)
    scale = m.negated(m.power_of_two(shifted))
    far = m.with_sign(m.fma(scale, p, m.add(scale, 1.0)), x)
    return m.select(m.compare("olt", absolute, 0.7), near, far)
