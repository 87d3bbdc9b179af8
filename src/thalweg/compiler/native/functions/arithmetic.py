"""Arithmetic on one float type, lane by lane: the steps that the functions share.

Constants may stand where a value is taken. Nothing here branches, and every lane is computed
alike, so a result has the same bits at every width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from thalweg.compiler.native.text import (
    F32,
    F64,
    I32,
    I64,
    Function,
    Value,
    element_of,
    like,
    number,
)


class Format(NamedTuple):
    """How a float is laid out in its bits.

    Attributes:
        integer: the whole-number type of the same size.
        digits: the bits of the stored fraction.
        bias: what is added to an exponent before it is stored.
        ln2: log 2 as a sum of two floats.
    """

    integer: str
    digits: int
    bias: int
    ln2: tuple[float, float]

    @property
    def smallest_normal(self) -> float:
        """Everything nearer to zero is subnormal."""
        return 2.0 ** (1 - self.bias)

    @property
    def magic(self) -> float:
        """A number so large that adding it rounds to whole numbers, of either sign."""
        return 1.5 * 2.0**self.digits

    @property
    def sign(self) -> int:
        """The bit of the sign, as a signed whole number."""
        return -(1 << 31) if self.integer == I32 else -(1 << 63)


FORMATS = {
    F32: Format(I32, 23, 127, (float.fromhex("0x1.62e43p-1"), float.fromhex("-0x1.05c61p-29"))),
    F64: Format(
        I64,
        52,
        1023,
        (float.fromhex("0x1.62e42fefa39efp-1"), float.fromhex("0x1.abc9e3b39803fp-56")),
    ),
}

LOG2_E = float.fromhex("0x1.71547652b82fep+0")
INFINITY = float("inf")
NAN = float("nan")


class Arithmetic:
    """Writes arithmetic on values of one type into a function.

    Args:
        function: what is being written.
        type_: ``float``, ``double`` or a vector of them.
    """

    def __init__(self, function: Function, type_: str) -> None:
        self.function = function
        self.type = type_
        self.element = element_of(type_)
        self.format = FORMATS[self.element]

    def constant(self, value: Value | float) -> Value:
        """A float in every lane; a value stays as it is."""
        return value if isinstance(value, Value) else number(self.type, value)

    def whole(self, value: Value | int) -> Value:
        """A whole number in every lane, wrapped to its size; a value stays as it is."""
        if isinstance(value, Value):
            return value
        top = -self.format.sign
        return number(like(self.type, self.format.integer), (value + top) % (2 * top) - top)

    # ------------------------------------------------------------------ floats

    def add(self, first: Value | float, second: Value | float) -> Value:
        """``first + second``."""
        return self.function.binary("fadd", self.constant(first), self.constant(second))

    def subtract(self, first: Value | float, second: Value | float) -> Value:
        """``first - second``."""
        return self.function.binary("fsub", self.constant(first), self.constant(second))

    def multiply(self, first: Value | float, second: Value | float) -> Value:
        """``first · second``."""
        return self.function.binary("fmul", self.constant(first), self.constant(second))

    def divide(self, first: Value | float, second: Value | float) -> Value:
        """``first / second``."""
        return self.function.binary("fdiv", self.constant(first), self.constant(second))

    def fma(self, first: Value | float, second: Value | float, third: Value | float) -> Value:
        """``first · second + third`` with one rounding."""
        operands = map(self.constant, (first, second, third))
        return self.function.fma(*operands)

    def negated(self, value: Value) -> Value:
        """``-value``."""
        return self.function.negated(value)

    def absolute(self, value: Value) -> Value:
        """``|value|``."""
        return self.function.intrinsic("fabs", self.type, value)

    def with_sign(self, value: Value, sign: Value) -> Value:
        """``|value|`` with the sign of another, zeros and NaN included."""
        return self.function.intrinsic("copysign", self.type, value, sign)

    # ------------------------------------------------------------------ choices

    def compare(self, predicate: str, first: Value, second: Value | float) -> Value:
        """``olt``, ``oeq``, ``ugt``, … in each lane."""
        return self.function.compare(f"fcmp {predicate}", first, self.constant(second))

    def select(self, condition: Value, yes: Value | float, no: Value | float) -> Value:
        """``yes`` where the condition holds, else ``no``."""
        return self.function.select(condition, self.constant(yes), self.constant(no))

    def at_most(self, value: Value, bound: float) -> Value:
        """``min(value, bound)``; NaN stays."""
        over = self.function.compare("fcmp olt", self.constant(bound), value)
        return self.select(over, bound, value)

    def at_least(self, value: Value, bound: float) -> Value:
        """``max(value, bound)``; NaN stays."""
        under = self.function.compare("fcmp ogt", self.constant(bound), value)
        return self.select(under, bound, value)

    def within(self, value: Value, low: float, high: float) -> Value:
        """The nearest number between two bounds; NaN stays."""
        return self.at_least(self.at_most(value, high), low)

    # ------------------------------------------------------------------ bits

    def bits(self, value: Value) -> Value:
        """A float's bits as a whole number."""
        return self.function.convert("bitcast", value, self.format.integer)

    def from_bits(self, value: Value) -> Value:
        """The float that has these bits."""
        return self.function.convert("bitcast", value, self.element)

    def integer(self, operation: str, first: Value | int, second: Value | int) -> Value:
        """``add``, ``sub``, ``and``, ``shl``, … of whole numbers."""
        return self.function.binary(operation, self.whole(first), self.whole(second))

    def power_of_two(self, shifted: Value) -> Value:
        """``2^n`` from the sum that :meth:`nearest` gives, where its offset was the bias."""
        exponent = self.integer("shl", self.bits(shifted), self.format.digits)
        return self.from_bits(exponent)

    # ------------------------------------------------------------------ steps

    def nearest(self, value: Value, factor: float, offset: int = 0) -> tuple[Value, Value]:
        """The whole number n next to ``factor · value``, while it is far below ``2^digits``.

        Returns:
            a sum whose lowest bits hold ``n + offset``; n as a float.
        """
        magic = self.format.magic + offset
        shifted = self.fma(value, factor, magic)
        return shifted, self.subtract(shifted, magic)

    def minus_multiple(self, value: Value, count: Value, parts: Sequence[float]) -> Value:
        """``value - count · (the sum of the parts)``, which must nearly cancel."""
        for part in parts:
            value = self.fma(count, -part, value)
        return value

    def polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """``Σ coefficients[k] · x^k``; long ones in two chains, even and odd powers."""
        if len(coefficients) <= 8:
            return self._horner(x, coefficients)
        square = self.multiply(x, x)
        odd = self._horner(square, coefficients[1::2])
        return self.fma(odd, x, self._horner(square, coefficients[::2]))

    def _horner(self, x: Value, coefficients: Sequence[float]) -> Value:
        total = self.constant(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            total = self.fma(total, x, coefficient)
        return total
