"""Initialisers: what parameters start from.

Symbols: M_in inputs and M_out outputs of a unit (:class:`Fans`), σ² the variance of the weights.
A uniform distribution U(-r, r) has variance r²/3, so that one of variance σ² has r = √(3σ²).
"""

from thalweg.nn.initialisers.auto import Auto
from thalweg.nn.initialisers.base import Fans, Initialiser
from thalweg.nn.initialisers.fixed import Constant, Normal, TruncatedNormal, Uniform, Zeros
from thalweg.nn.initialisers.scaled import He, LeCun, VarianceScaling, Xavier
from thalweg.nn.initialisers.structured import IdentityMatrix, Orthogonal, Sparse

__all__ = [
    "Auto",
    "Constant",
    "Fans",
    "He",
    "IdentityMatrix",
    "Initialiser",
    "LeCun",
    "Normal",
    "Orthogonal",
    "Sparse",
    "TruncatedNormal",
    "Uniform",
    "VarianceScaling",
    "Xavier",
    "Zeros",
]
