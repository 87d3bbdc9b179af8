"""Elementwise functions of two inputs of one type and shape, comparisons, and selection.

Conventions: where ``max(a, b)`` or ``min(a, b)`` has a = b, the derivative goes to b (so that
max(x, 0) has derivative 0 at 0); of two zeros of different signs either may be the result. ``pow``
is defined for a > 0, and for a ≤ 0 where NumPy defines it. The derivative of aᵇ in a at a = b = 0
is 0; in b it is 0 at a = 0 (b ≥ 0), and NaN for a < 0. Whole numbers wrap around when they
overflow. Bits are shifted by less than the width of their type.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import DTYPES, Array, Primitive, Sample, Tensor, TensorType, register
from thalweg.ops.declare import (
    Cotangents,
    Linear,
    Tangents,
    inputs_of,
    real_samples,
    require_kind,
    same_type,
)
from thalweg.ops.repetition import full_like, zeros_like
from thalweg.ops.unary import log, neg


def plus(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """The sum of two tangents, of which each may be zero (None)."""
    if first is None or second is None:
        return second if first is None else first
    return add(first, second)


def _pairs(low: float = -3.0, high: float = 3.0) -> list[Sample]:
    return [
        Sample((first, np.flip(first).copy() if first.ndim else first + 0.25))
        for first in real_samples(low, high)
    ]


def _ordered_pairs() -> list[Sample]:
    """Pairs of which some are equal, among them zeros of both signs."""
    few = np.array([0.0, -0.0, 1.0, -2.0, np.inf])
    return [*_pairs(), Sample((np.repeat(few, 5), np.tile(few, 5)))]


def _failures(kinds: str) -> Callable[[], list[Sample]]:
    """Inputs of different shapes, of different types, and of a type that is not taken, if any."""
    first = {"f": "float64", "b": "bool"}.get(kinds[0], "uint32")
    wrong = {"f": "bool", "b": "float64"}.get(kinds[0], "bool")
    mismatched = [
        Sample((np.zeros(2, first), np.zeros(3, first))),
        Sample((np.zeros(2, first), np.zeros(2, "int32"))),
    ]
    refused = [Sample((np.zeros(2, wrong), np.zeros(2, wrong)))]
    return lambda: mismatched if {"f", "b"} <= set(kinds) else mismatched + refused


def _binary(
    name: str,
    evaluate: Callable[[Array, Array], Array],
    tangent: Callable[[Tensor, Tangents], Tensor | None] | None = None,
    transpose: Callable[[Tensor, Tensor, Linear], Cotangents] | None = None,
    *,
    kinds: str = "fiu",
    samples: Callable[[], list[Sample]] = _pairs,
    ulp: float = 0.5,
) -> Primitive:
    return register(
        Primitive(
            name,
            "elementwise",
            same_type(name, kinds, 2),
            evaluate,
            tangent,
            transpose,
            flops=1,
            ulp=ulp,
            samples=samples,
            failures=_failures(kinds),
        )
    )


# ------------------------------------------------------------------ arithmetic


def _add_tangent(_: Tensor, tangents: Tangents) -> Tensor | None:
    return plus(*tangents)


def _add_transpose(_: Tensor, cotangent: Tensor, linear: Linear) -> Cotangents:
    return [cotangent if is_linear else None for is_linear in linear]


def _sub_tangent(_: Tensor, tangents: Tangents) -> Tensor | None:
    first, second = tangents
    if first is not None and second is not None:
        return sub(first, second)
    return first if second is None else neg(second)


def _sub_transpose(_: Tensor, cotangent: Tensor, linear: Linear) -> Cotangents:
    return [cotangent if linear[0] else None, neg(cotangent) if linear[1] else None]


def _mul_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    (a, b), (da, db) = inputs_of(node), tangents
    return plus(None if da is None else mul(da, b), None if db is None else mul(a, db))


def _mul_transpose(node: Tensor, cotangent: Tensor, linear: Linear) -> Cotangents:
    a, b = inputs_of(node)
    return [mul(cotangent, b) if linear[0] else None, mul(a, cotangent) if linear[1] else None]


def _div_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    (_, b), (da, db) = inputs_of(node), tangents
    return plus(
        None if da is None else div(da, b), None if db is None else neg(mul(db, div(node, b)))
    )


def _div_transpose(node: Tensor, cotangent: Tensor, _: Linear) -> Cotangents:
    return [div(cotangent, inputs_of(node)[1]), None]


def _pow_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    (a, b), (da, db) = inputs_of(node), tangents
    zero, one = zeros_like(a), full_like(a, 1)
    at_zero = eq(a, zero)
    by_base = by_exponent = None
    if da is not None:
        flat = and_(at_zero, eq(b, zero))
        by_base = mul(da, mul(b, pow_(a, select(flat, zero, sub(b, one)))))
    if db is not None:
        by_exponent = mul(db, mul(node, log(select(at_zero, one, a))))
    return plus(by_base, by_exponent)


add = _binary("add", np.add, _add_tangent, _add_transpose)
sub = _binary("sub", np.subtract, _sub_tangent, _sub_transpose)
mul = _binary("mul", np.multiply, _mul_tangent, _mul_transpose)
div = _binary(
    "div", np.divide, _div_tangent, _div_transpose, kinds="f", samples=lambda: _pairs(0.5, 3.0)
)


def _pow_value(a: Array, b: Array) -> Array:
    """NumPy's power; a repeated exponent is written out, as NumPy treats it as another function."""
    return np.power(a, np.asarray(b, order="C"))


pow_ = _binary(
    "pow", _pow_value, _pow_tangent, kinds="f", samples=lambda: _pairs(0.5, 3.0), ulp=1.29
)


def _choose_tangent(first_wins: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor | None]:
    def tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
        (a, b), (da, db) = inputs_of(node), tangents
        if da is None and db is None:
            return None
        zero = zeros_like(node)
        return select(first_wins(a, b), zero if da is None else da, zero if db is None else db)

    return tangent


def _maximum_wins(a: Tensor, b: Tensor) -> Tensor:
    return lt(b, a)


def _minimum_wins(a: Tensor, b: Tensor) -> Tensor:
    return lt(a, b)


max_ = _binary("max", np.maximum, _choose_tangent(_maximum_wins))
min_ = _binary("min", np.minimum, _choose_tangent(_minimum_wins))

# ------------------------------------------------------------------ comparisons


def _compare(name: str, evaluate: Callable[[Array, Array], Array], kinds: str) -> Primitive:
    rule = same_type(name, kinds, 2)

    def infer(*types: TensorType) -> TensorType:
        return TensorType(rule(*types).shape, DTYPES["bool"])

    return register(
        Primitive(
            name,
            "elementwise",
            infer,
            evaluate,
            flops=1,
            samples=_ordered_pairs,
            failures=_failures(kinds),
        )
    )


eq = _compare("eq", np.equal, "fiub")
ne = _compare("ne", np.not_equal, "fiub")
lt = _compare("lt", np.less, "fiu")
le = _compare("le", np.less_equal, "fiu")

# ------------------------------------------------------------------ bits


def _bit_samples() -> list[Sample]:
    """Whole numbers of every type and layout; the second are at most 13, for shifts."""
    numbers = np.array([[0, 1, 5], [12, 200, 255]], "uint32")
    small = np.array([[3, 0, 13], [1, 7, 2]], "uint32")
    wide = (numbers.astype("int64") - 100, small.astype("int64"))
    layouts = [(numbers[0, 2], small[0, 1]), (numbers[:0], small[:0]), (numbers.T, small.T)]
    return [Sample((numbers, small)), Sample(wide), *(Sample(pair) for pair in layouts)]


def _logic_samples() -> list[Sample]:
    truth = np.array([True, True, False, False])
    return [*_bit_samples(), Sample((truth, truth[::2].repeat(2)))]


and_ = _binary("and", np.bitwise_and, kinds="biu", samples=_logic_samples)
or_ = _binary("or", np.bitwise_or, kinds="biu", samples=_logic_samples)
xor = _binary("xor", np.bitwise_xor, kinds="biu", samples=_logic_samples)
shift_left = _binary("shift_left", np.left_shift, kinds="iu", samples=_bit_samples)
shift_right = _binary("shift_right", np.right_shift, kinds="iu", samples=_bit_samples)

# ------------------------------------------------------------------ selection


def _select_type(condition: TensorType, yes: TensorType, no: TensorType) -> TensorType:
    require_kind("select", condition, "b")
    if yes.dtype != no.dtype:
        raise DTypeError(f"select takes branches of one type, got {yes} and {no}")
    if not condition.shape == yes.shape == no.shape:
        raise ShapeError(f"select: takes one shape, got {condition}, {yes} and {no}")
    return yes


def _select_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    condition = inputs_of(node)[0]
    _, yes, no = tangents
    given = yes if yes is not None else no
    if given is None:
        return None
    zero = zeros_like(given)
    return select(condition, zero if yes is None else yes, zero if no is None else no)


def _select_transpose(node: Tensor, cotangent: Tensor, linear: Linear) -> Cotangents:
    condition = inputs_of(node)[0]
    zero = zeros_like(cotangent)
    return [
        None,
        select(condition, cotangent, zero) if linear[1] else None,
        select(condition, zero, cotangent) if linear[2] else None,
    ]


def _select_samples() -> list[Sample]:
    return [Sample((first > 0, first, second)) for first, second in (s.inputs for s in _pairs())]


select = register(
    Primitive(
        "select",
        "elementwise",
        _select_type,
        np.where,
        _select_tangent,
        _select_transpose,
        samples=_select_samples,
        failures=lambda: [
            Sample((np.zeros(2), np.zeros(2), np.zeros(2))),
            Sample((np.array([True]), np.zeros(2), np.zeros(2))),
            Sample((np.array([True]), np.zeros(1), np.zeros(1, "float32"))),
        ],
    )
)
