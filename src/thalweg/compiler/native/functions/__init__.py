"""Transcendental functions, written inline as a few vector instructions.

Every function takes the writer and its operands, lanes of float32 or float64, and gives lanes of
the same type. There is neither a branch nor a call, but for sine and cosine of huge angles. Special
values are NumPy's, subnormal numbers are kept, and the bits are the same at every width. Each
docstring states the largest error that was found, in units in the last place (ulp): against
float64 for float32, against long double of 64 bits for float64.

>>> from thalweg.compiler.native.text import Module
>>> f = Module().function("soft_step", ("<8 x float>",), "<8 x float>")
>>> f.leave(FUNCTIONS["logistic"](f, f.parameters[0]))
>>> len(f.lines)
22
"""

from collections.abc import Callable

from thalweg.compiler.native.functions.exponential import exp, expm1
from thalweg.compiler.native.functions.logarithm import log, log1p
from thalweg.compiler.native.functions.power import power, sqrt
from thalweg.compiler.native.functions.sigmoid import erf, logistic, tanh
from thalweg.compiler.native.functions.trigonometric import cos, sin
from thalweg.compiler.native.text import Value

FUNCTIONS: dict[str, Callable[..., Value]] = {
    "exp": exp,
    "expm1": expm1,
    "log": log,
    "log1p": log1p,
    "sin": sin,
    "cos": cos,
    "tanh": tanh,
    "logistic": logistic,
    "erf": erf,
    "sqrt": sqrt,
    "pow": power,
}

__all__ = ["FUNCTIONS"]
