"""The matrix product: batched, with the transposes of its operands as flags."""

from __future__ import annotations

import numpy as np

from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import Array, Primitive, Sample, Tensor, TensorType, register
from thalweg.ops.binary import plus
from thalweg.ops.declare import (
    Cotangents,
    Linear,
    Tangents,
    inputs_of,
    parameters_of,
    require_kind,
)


def _swapped(shape: tuple[int, ...], swap: bool) -> tuple[int, int]:
    rows, columns = shape[-2:]
    return (columns, rows) if swap else (rows, columns)


def _matmul_type(a: TensorType, b: TensorType, transpose_a: bool, transpose_b: bool) -> TensorType:
    require_kind("matmul", a, "fi")
    if a.dtype != b.dtype:
        raise DTypeError(f"matmul takes tensors of one type, got {a} and {b}")
    matched = len(a.shape) == len(b.shape) >= 2 and a.shape[:-2] == b.shape[:-2]
    if not matched:
        raise ShapeError(f"matmul: takes matrices with equal batch axes, got {a} and {b}")
    rows, inner = _swapped(a.shape, transpose_a)
    inner_b, columns = _swapped(b.shape, transpose_b)
    if inner != inner_b:
        left, right = f"{a}{'ᵀ' if transpose_a else ''}", f"{b}{'ᵀ' if transpose_b else ''}"
        raise ShapeError(
            f"matmul: inner lengths differ: {left} has {inner} columns, {right} {inner_b} rows"
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


def _matmul_transpose(node: Tensor, cotangent: Tensor, linear: Linear) -> Cotangents:
    """C = A B gives dA = dC Bᵀ and dB = Aᵀ dC; flags absorb every transpose."""
    (a, b), flags = inputs_of(node), parameters_of(node)
    ta, tb = flags["transpose_a"], flags["transpose_b"]
    da = db = None
    if linear[0] and ta:
        da = matmul(b, cotangent, transpose_a=tb, transpose_b=True)
    elif linear[0]:
        da = matmul(cotangent, b, transpose_a=False, transpose_b=not tb)
    if linear[1] and tb:
        db = matmul(cotangent, a, transpose_a=True, transpose_b=ta)
    elif linear[1]:
        db = matmul(a, cotangent, transpose_a=not ta, transpose_b=False)
    return da, db


def _matmul_flops(node: Tensor) -> int:
    a = inputs_of(node)[0]
    inner = _swapped(a.shape, parameters_of(node)["transpose_a"])[1]
    return 2 * inner * node.size


_PLAIN = {"transpose_a": False, "transpose_b": False}


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
    batched = Sample((rng.normal(size=(5, 2, 3)), rng.normal(size=(5, 3, 1))), _PLAIN)
    empty = Sample((np.zeros((2, 0)), np.zeros((0, 3))), _PLAIN)
    strided = Sample((rng.normal(size=(4, 6))[::2, ::2], rng.normal(size=(3, 2))), _PLAIN)
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
            Sample((np.zeros((2, 3)), np.zeros((2, 3))), _PLAIN),
            Sample((np.zeros(3), np.zeros((3, 2))), _PLAIN),
            Sample((np.zeros((4, 2, 3)), np.zeros((5, 3, 2))), _PLAIN),
            Sample((np.zeros((2, 3)), np.zeros((3, 2), "float32")), _PLAIN),
            Sample((np.zeros((2, 2), bool), np.zeros((2, 2), bool)), _PLAIN),
        ],
    )
)
