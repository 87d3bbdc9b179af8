"""Algebraic rules: small equalities that hold for every value, NaN and infinity included.

A rule looks at one node whose inputs are already simplified and gives an equal tensor, or ``None``.
Rules that would lose a NaN (x · 0 → 0, x - x → 0) or the sign of a zero (x + 0 → x) are absent on
purpose.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from thalweg.graph import Primitive, Source, Tensor, constant, source_of
from thalweg.ops import binary, layout, product, repetition, unary
from thalweg.ops.declare import inputs_of


class Rule(NamedTuple):
    """A named equality: the primitives it looks at, why it helps, and the rewriting."""

    name: str
    primitives: frozenset[str]
    reason: str
    rewrite: Callable[[Tensor], Tensor | None]


RULES: list[Rule] = []

Rewrite = Callable[[Tensor], Tensor | None]


def collected(table: list[Rule]) -> Callable[[str, str, str], Callable[[Rewrite], Rewrite]]:
    """A decorator that puts a function into a table, with its name, primitives and reason."""

    def rule(name: str, primitives: str, reason: str) -> Callable[[Rewrite], Rewrite]:
        def decorate(rewrite: Rewrite) -> Rewrite:
            table.append(Rule(name, frozenset(primitives.split()), reason, rewrite))
            return rewrite

        return decorate

    return rule


_rule = collected(RULES)


def made_by(tensor: Tensor, primitive: Primitive) -> Source | None:
    """The tensor's source, if this primitive made it."""
    source = tensor.source
    return source if source is not None and source.primitive is primitive else None


def uniform_value(tensor: Tensor) -> float | None:
    """The number that a constant, or a repeated constant, holds everywhere."""
    source = made_by(tensor, repetition.broadcast)
    if source is not None:
        return uniform_value(source.inputs[0])
    return float(tensor.item()) if tensor.value is not None and tensor.size == 1 else None


# ------------------------------------------------------------------ nothing to compute


@_rule("drop-identity", "identity", "a mark for differentiation; nothing to compute")
def _drop_identity(node: Tensor) -> Tensor | None:
    return inputs_of(node)[0]


@_rule("drop-stop-gradient", "stop_gradient", "matters only to differentiation, which is done")
def _drop_stop(node: Tensor) -> Tensor | None:
    return inputs_of(node)[0]


@_rule("same-type", "reshape broadcast cast slice pad reduce_sum reduce_max", "nothing changes")
def _same_type(node: Tensor) -> Tensor | None:
    (x,) = inputs_of(node)
    return x if x.type == node.type else None


@_rule("join-one", "concatenate", "one part joined is the part")
def _join_one(node: Tensor) -> Tensor | None:
    inputs = inputs_of(node)
    return inputs[0] if len(inputs) == 1 else None


@_rule("equal-branches", "select", "both branches are the same tensor")
def _equal_branches(node: Tensor) -> Tensor | None:
    _, yes, no = inputs_of(node)
    return yes if yes is no else None


@_rule("known-condition", "select", "the condition holds everywhere or nowhere")
def _known_condition(node: Tensor) -> Tensor | None:
    condition, yes, no = inputs_of(node)
    value = uniform_value(condition)
    return None if value is None else yes if value else no


@_rule("known-logic", "and or", "x and true = x or false = x; x and false, x or true are known")
def _known_logic(node: Tensor) -> Tensor | None:
    if node.dtype.kind != "b":
        return None
    neutral = 1.0 if source_of(node).primitive is binary.and_ else 0.0
    for known, other in (inputs := inputs_of(node)), inputs[::-1]:
        value = uniform_value(known)
        if value is not None:
            return other if value == neutral else known
    return None


# ------------------------------------------------------------------ repeating and moving


@_rule("merge-reshapes", "reshape", "only the last shape counts")
def _merge_reshapes(node: Tensor) -> Tensor | None:
    inner = made_by(inputs_of(node)[0], layout.reshape)
    return layout.reshape(inner.inputs[0], shape=node.shape) if inner else None


@_rule("merge-broadcasts", "broadcast", "repeating twice is repeating once")
def _merge_broadcasts(node: Tensor) -> Tensor | None:
    inner = made_by(inputs_of(node)[0], repetition.broadcast)
    return repetition.broadcast(inner.inputs[0], shape=node.shape) if inner else None


@_rule("move-uniform", "reshape transpose slice", "one repeated number looks the same moved")
def _move_uniform(node: Tensor) -> Tensor | None:
    inner = made_by(inputs_of(node)[0], repetition.broadcast)
    if inner is None or inner.inputs[0].shape != ():
        return None
    return repetition.broadcast(inner.inputs[0], shape=node.shape)


ELEMENTWISE = (
    "neg exp expm1 log log1p sqrt sin cos tanh logistic erf abs sign floor round not cast "
    "add sub mul div pow max min and or xor eq ne lt le select shift_left shift_right"
)


@_rule("compute-before-repeating", ELEMENTWISE, "work on the small operand")
def _compute_before(node: Tensor) -> Tensor | None:
    primitive, inputs, parameters = source_of(node)
    sources = [made_by(item, repetition.broadcast) for item in inputs]
    small = [source.inputs[0] for source in sources if source is not None]
    if len(small) < len(inputs) or any(item.shape != small[0].shape for item in small):
        return None
    return repetition.broadcast(primitive(*small, **parameters), shape=node.shape)


# ------------------------------------------------------------------ transposes and products


@_rule("merge-transposes", "transpose", "two orders make one; the plain order is none")
def _merge_transposes(node: Tensor) -> Tensor | None:
    _, (x,), parameters = source_of(node)
    axes = parameters["axes"]
    if axes == tuple(range(len(axes))):
        return x
    inner = made_by(x, layout.transpose)
    if inner is None:
        return None
    joined = tuple(inner.parameters["axes"][axis] for axis in axes)
    return layout.transpose(inner.inputs[0], axes=joined)


def _swaps_last(tensor: Tensor) -> Tensor | None:
    """What a tensor is the matrix transpose of."""
    source = made_by(tensor, layout.transpose)
    if source is None or tensor.ndim < 2:
        return None
    plain = tuple(range(tensor.ndim))
    swapped = (*plain[:-2], plain[-1], plain[-2])
    return source.inputs[0] if source.parameters["axes"] == swapped else None


@_rule("fold-transpose-into-product", "matmul", "a product reads transposed operands in place")
def _fold_transposes(node: Tensor) -> Tensor | None:
    _, (a, b), flags = source_of(node)
    inner_a, inner_b = _swaps_last(a), _swaps_last(b)
    if inner_a is None and inner_b is None:
        return None
    return product.matmul(
        a if inner_a is None else inner_a,
        b if inner_b is None else inner_b,
        transpose_a=flags["transpose_a"] ^ (inner_a is not None),
        transpose_b=flags["transpose_b"] ^ (inner_b is not None),
    )


@_rule("transposed-product", "transpose", "(AB)ᵀ = BᵀAᵀ needs no copy")
def _transposed_product(node: Tensor) -> Tensor | None:
    swapped = _swaps_last(node)
    inner = made_by(swapped, product.matmul) if swapped is not None else None
    if inner is None:
        return None
    a, b = inner.inputs
    ta, tb = inner.parameters["transpose_a"], inner.parameters["transpose_b"]
    return product.matmul(b, a, transpose_a=not tb, transpose_b=not ta)


# ------------------------------------------------------------------ arithmetic


@_rule("times-one", "mul div", "x · 1 = x / 1 = x")
def _times_one(node: Tensor) -> Tensor | None:
    primitive, (a, b), _ = source_of(node)
    if uniform_value(b) == 1.0:
        return a
    return b if primitive is binary.mul and uniform_value(a) == 1.0 else None


@_rule("minus-zero", "sub", "x - 0 = x")
def _minus_zero(node: Tensor) -> Tensor | None:
    a, b = inputs_of(node)
    value = uniform_value(b)
    return a if value is not None and value == 0.0 and math.copysign(1.0, value) > 0 else None


@_rule("times-minus-one", "mul", "x · (-1) = -x")
def _times_minus_one(node: Tensor) -> Tensor | None:
    a, b = inputs_of(node)
    if uniform_value(b) == -1.0:
        return unary.neg(a)
    return unary.neg(b) if uniform_value(a) == -1.0 else None


@_rule("double-negation", "neg not", "-(-x) = x")
def _double_negation(node: Tensor) -> Tensor | None:
    primitive, (x,), _ = source_of(node)
    inner = made_by(x, primitive)
    return inner.inputs[0] if inner else None


@_rule("add-negated", "add sub", "x + (-y) = x - y, x - (-y) = x + y")
def _add_negated(node: Tensor) -> Tensor | None:
    primitive, (a, b), _ = source_of(node)
    inner = made_by(b, unary.neg)
    if inner is not None:
        opposite = binary.sub if primitive is binary.add else binary.add
        return opposite(a, inner.inputs[0])
    first = made_by(a, unary.neg)
    if first is not None and primitive is binary.add:
        return binary.sub(b, first.inputs[0])
    return None


@_rule("divide-by-power-of-two", "div", "the reciprocal is exact, and a product is faster")
def _divide_exactly(node: Tensor) -> Tensor | None:
    a, b = inputs_of(node)
    value = uniform_value(b)
    if not value or not math.isfinite(value) or abs(math.frexp(value)[0]) != 0.5:
        return None
    reciprocal = 1.0 / value
    if not np.finfo(node.dtype).tiny <= abs(reciprocal) <= np.finfo(node.dtype).max:
        return None
    return binary.mul(a, repetition.full_like(a, reciprocal))


# ------------------------------------------------------------------ constants


def uniform_constant(tensor: Tensor) -> Tensor | None:
    """A constant that holds one number everywhere, as that number repeated."""
    array = tensor.numpy()
    if not array.shape or not array.size:
        return None
    first = array.flat[0]
    bits = array.reshape(-1).view(f"u{array.dtype.itemsize}") if array.flags.c_contiguous else None
    same = bool((bits == bits[0]).all()) if bits is not None else not any(array.strides)
    if not same:
        return None
    return repetition.broadcast(constant(np.asarray(first, array.dtype)), shape=array.shape)
