"""Short ways to declare elementwise primitives: type rules, tangents, samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import Array, Primitive, Sample, Tensor, TensorType, register, source_of

Linear = tuple[bool, ...]
Tangents = tuple["Tensor | None", ...]
Cotangents = Sequence["Tensor | None"]
Derivative = Callable[[Tensor, Tensor], Tensor]
"""``(input, result) -> derivative of the result`` elementwise."""


def inputs_of(node: Tensor) -> tuple[Tensor, ...]:
    """The inputs of a node."""
    return source_of(node).inputs


def parameters_of(node: Tensor) -> dict[str, Any]:
    """The parameters of a node."""
    return source_of(node).parameters


def moved(node: Tensor, tangents: tuple[Tensor | None, ...]) -> Tensor | None:
    """The tangent of a linear function of one input: the same function of the tangent."""
    (change,) = tangents
    primitive, _, parameters = source_of(node)
    return None if change is None else primitive(change, **parameters)


def require_kind(name: str, type_: TensorType, kinds: str) -> None:
    """Raise a DTypeError unless the type's kind is one of ``kinds`` (NumPy's letters)."""
    if type_.dtype.kind not in kinds:
        words = {"f": "floating-point", "i": "integer", "u": "unsigned", "b": "boolean"}
        wanted = " or ".join(words[kind] for kind in kinds)
        raise DTypeError(f"{name} takes {wanted} tensors, got {type_}")


def same_type(name: str, kinds: str, count: int = 1) -> Callable[..., TensorType]:
    """The type rule of elementwise operations: so many equal types in, the same out."""

    def infer(*types: TensorType) -> TensorType:
        if len(types) != count:
            raise ShapeError(f"{name} takes {count} tensors, got {len(types)}")
        first = types[0]
        require_kind(name, first, kinds)
        for type_ in types[1:]:
            if type_.dtype != first.dtype:
                raise DTypeError(f"{name} takes tensors of one type, got {first} and {type_}")
            if type_.shape != first.shape:
                raise ShapeError(f"{name} takes tensors of one shape, got {first} and {type_}")
        return first

    return infer


def multiply_tangent(derivative: Derivative) -> Callable[..., Tensor | None]:
    """The tangent rule of a unary function: the input's tangent times the derivative."""

    def tangent(node: Tensor, tangents: tuple[Tensor | None, ...]) -> Tensor | None:
        (change,) = tangents
        return None if change is None else change * derivative(inputs_of(node)[0], node)

    return tangent


def real_samples(low: float, high: float) -> list[Array]:
    """Float64 arrays over a range: a vector, a matrix, 0-d, empty, and a non-contiguous view."""
    rng = np.random.default_rng(1)
    draw = rng.uniform(low, high, (4, 6))
    return [draw[0], draw[:3, :2].copy(), np.asarray(draw[3, 3]), draw[:0], draw.T[::2]]


def unary(
    name: str,
    evaluate: Callable[[Array], Array],
    derivative: Derivative | None = None,
    *,
    kinds: str = "f",
    domain: tuple[float, float] = (-3.0, 3.0),
    flops: int = 1,
    ulp: float = 0.5,
) -> Primitive:
    """Declare and register an elementwise function of one input."""
    return register(
        Primitive(
            name,
            "elementwise",
            same_type(name, kinds),
            evaluate,
            multiply_tangent(derivative) if derivative else None,
            flops=flops,
            ulp=ulp,
            samples=lambda: [Sample((array,)) for array in real_samples(*domain)],
            failures=lambda: [Sample((np.array([True]),))],
        )
    )
