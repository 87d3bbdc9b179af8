"""Short ways to declare elementwise primitives: type rules, tangents, samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import Array, Primitive, Sample, Tensor, TensorType, register

Derivative = Callable[[Tensor, Tensor], Tensor]
"""``(input, result) -> derivative of the result`` elementwise."""


def inputs_of(node: Tensor) -> tuple[Tensor, ...]:
    """The inputs of a node."""
    assert node.source is not None
    return node.source.inputs


def parameters_of(node: Tensor) -> dict[str, Any]:
    """The parameters of a node."""
    assert node.source is not None
    return node.source.parameters


def require(condition: bool, name: str, message: str) -> None:
    """Raise a ShapeError that names the primitive unless the condition holds."""
    if not condition:
        raise ShapeError(f"{name}: {message}")


def require_kind(name: str, type_: TensorType, kinds: str) -> None:
    """Raise a DTypeError unless the type's kind is one of ``kinds`` (NumPy's letters)."""
    words = {"f": "floating-point", "i": "integer", "u": "unsigned", "b": "boolean"}
    if type_.dtype.kind not in kinds:
        wanted = " or ".join(words[kind] for kind in kinds)
        raise DTypeError(f"{name} takes {wanted} tensors, got {type_}")


def same_type(name: str, kinds: str) -> Callable[..., TensorType]:
    """The type rule of elementwise operations: equal types in, the same out."""

    def infer(*types: TensorType) -> TensorType:
        for type_ in types:
            require_kind(name, type_, kinds)
            if type_.dtype != types[0].dtype:
                raise DTypeError(f"{name} takes tensors of one type, got {types[0]} and {type_}")
            require(
                type_.shape == types[0].shape,
                name,
                f"takes tensors of one shape, got {types[0]} and {type_}",
            )
        return types[0]

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
            failures=lambda: [Sample((np.array(["text"]),))],
        )
    )
