"""The matrix product: batched, with the transposes of its operands as flags."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.errors import DTypeError
from thalweg.graph import Array, Primitive, Sample, Tensor, TensorType, register
from thalweg.ops.binary import plus
from thalweg.ops.declare import inputs_of, parameters_of, require, require_kind
from thalweg.ops.layout import Linear, Tangents


def _swapped(shape: tuple[int, ...], swap: bool) -> tuple[int, int]:
    rows, columns = shape[-2:]
    return (columns, rows) if swap else (rows, columns)


def _matmul_type(a: TensorType, b: TensorType, transpose_a: bool, transpose_b: bool) -> TensorType:
    require_kind("matmul", a, "fi")
    if a.dtype != b.dtype:
        raise DTypeError(f"matmul takes tensors of one type, got {a} and {b}")
    matched = len(a.shape) == len(b.shape) >= 2 and a.shape[:-2] == b.shape[:-2]
    require(matched, "matmul", f"takes matrices with equal batch axes, got {a} and {b}")
    (rows, inner), (inner_b, columns) = (
        _swapped(a.shape, transpose_a),
        _swapped(b.shape, transpose_b),
    )
    flags = "ᵀ" if transpose_a else "", "ᵀ" if transpose_b else ""
    require(
        inner == inner_b,
        "matmul",
        f"inner lengths differ: {a}{flags[0]} has {inner} columns, {b}{flags[1]} {inner_b} rows",
    )
    return TensorType((*a.shape[:-2], rows, columns), a.dtype)


def _matmul_value(a: Array, b: Array, transpose_a: bool, transpose_b: bool) -> Array:
    left = a.swapaxes(-1, -2) if transpose_a else a
    right = b.swapaxes(-1, -2) if transpose_b else b
    return np.matmul(left, right)


def _matmul_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    (a, b), (da, db), flags = inputs_of(node), tangents, parameters_of(node)
    return plus(
        None if da is None else matmul(da, b, **flags),
        None if db is None else matmul(a, db, **flags),
    )


def _product(a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool) -> Tensor:
    return matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)


def _matmul_transpose(node: Tensor, cotangent: Tensor, linear: Linear) -> Sequence[Tensor | None]:
    """C = A B gives dA = dC Bᵀ and dB = Aᵀ dC; flags absorb every transpose."""
    (a, b), flags = inputs_of(node), parameters_of(node)
    ta, tb = flags["transpose_a"], flags["transpose_b"]
    da = db = None
    if linear[0]:
        da = _product(b, cotangent, tb, True) if ta else _product(cotangent, b, False, not tb)
    if linear[1]:
        db = _product(cotangent, a, True, ta) if tb else _product(a, cotangent, not ta, False)
    return da, db


def _matmul_flops(node: Tensor) -> int:
    a = inputs_of(node)[0]
    inner = _swapped(a.shape, parameters_of(node)["transpose_a"])[1]
    return 2 * inner * node.size


def _matmul_samples() -> list[Sample]:
    rng = np.random.default_rng(2)
    samples = [
        Sample(
            (
                rng.normal(size=(3, 2) if ta else (2, 3)),
                rng.normal(size=(4, 3) if tb else (3, 4)),
            ),
            {"transpose_a": ta, "transpose_b": tb},
        )
        for ta in (False, True)
        for tb in (False, True)
    ]
    plain = {"transpose_a": False, "transpose_b": False}
    batched = Sample((rng.normal(size=(5, 2, 3)), rng.normal(size=(5, 3, 1))), plain)
    empty = Sample((np.zeros((2, 0)), np.zeros((0, 3))), plain)
    strided = Sample((rng.normal(size=(4, 6))[::2, ::2], rng.normal(size=(3, 2))), plain)
    return [*samples, batched, empty, strided]


matmul = register(
    Primitive(
        "matmul",
        "product",
        _matmul_type,
        _matmul_value,
        _matmul_tangent,
        _matmul_transpose,
        flops=_matmul_flops,
        samples=_matmul_samples,
        failures=lambda: [
            Sample(
                (np.zeros((2, 3)), np.zeros((2, 3))), {"transpose_a": False, "transpose_b": False}
            ),
            Sample((np.zeros(3), np.zeros((3, 2))), {"transpose_a": False, "transpose_b": False}),
        ],
    )
)
