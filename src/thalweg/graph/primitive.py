"""Primitives: the elementary operations, their registry, and how one is applied to tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from thalweg.errors import GraphError
from thalweg.graph.tensor import Source, Tensor, make_tensor
from thalweg.graph.types import Array, TensorType


class Sample(NamedTuple):
    """One call of a primitive: inputs and parameters, for generic tests."""

    inputs: tuple[Array, ...]
    parameters: Mapping[str, Any] = {}


TypeRule = Callable[..., TensorType]
ValueRule = Callable[..., Array]
TangentRule = Callable[[Tensor, tuple[Tensor | None, ...]], Tensor | None]
TransposeRule = Callable[[Tensor, Tensor, tuple[bool, ...]], Sequence[Tensor | None]]


def _no_samples() -> list[Sample]:
    return []


@dataclass(frozen=True, eq=False)
class Primitive:
    """One elementary operation, declared once.

    Attributes:
        name: how graphs print it and files name it.
        kind: the lowering class: elementwise, reduction, product, window, layout, index or random.
        infer: input types and parameters to the result's type; raises on what does not fit.
        evaluate: input arrays and parameters to the result; the definition of the operation.
        tangent: ``(node, input tangents) -> tangent``: the forward derivative, linear in the
            tangents (``None`` is zero). Absent where the derivative is zero everywhere.
        transpose: ``(node, cotangent, which inputs are linear) -> input cotangents``: present where
            the operation is linear in some inputs.
        flops: floating-point operations for one result element (or a function of the node).
        ulp: the largest error measured in compiled code, in units in the last place; 0.5 is a
            correctly rounded result.
        samples: calls that generic tests make.
        failures: calls that must raise.
        inline: whether eager results keep their source, so that graphs stay small (broadcasts).
    """

    name: str
    kind: str
    infer: TypeRule
    evaluate: ValueRule
    tangent: TangentRule | None = None
    transpose: TransposeRule | None = None
    flops: Callable[[Tensor], int] | int = 0
    ulp: float = 0.5
    samples: Callable[[], list[Sample]] = _no_samples
    failures: Callable[[], list[Sample]] = _no_samples
    inline: bool = False

    def __call__(self, *inputs: Tensor, **parameters: Any) -> Tensor:
        """Apply to tensors; see :func:`apply`."""
        return apply(self, inputs, parameters)

    def __repr__(self) -> str:
        return f"Primitive({self.name})"


PRIMITIVES: dict[str, Primitive] = {}
"""Every primitive by name."""


def register(primitive: Primitive) -> Primitive:
    """Add a primitive to the registry.

    Raises:
        GraphError: another primitive has the name.
    """
    if primitive.name in PRIMITIVES:
        raise GraphError(f"primitive {primitive.name!r} is declared twice")
    PRIMITIVES[primitive.name] = primitive
    return primitive


def apply(primitive: Primitive, inputs: tuple[Tensor, ...], parameters: dict[str, Any]) -> Tensor:
    """Apply a primitive: compute where every input has a value, remember where one is traced.

    Raises:
        ShapeError, DTypeError: when the inputs do not fit the primitive's type rule.
    """
    type_ = primitive.infer(*[tensor.type for tensor in inputs], **parameters)
    arrays: list[Array] = []
    traced = tracked = False
    for tensor in inputs:
        tracked |= tensor.tracked
        if tensor.value is None:
            traced = True
        else:
            arrays.append(tensor.value)
    if traced:
        return make_tensor(type_, None, Source(primitive, inputs, parameters), tracked=tracked)
    is_elementwise = primitive.kind == "elementwise" and bool(inputs)
    if is_elementwise and not tracked and all(map(_repeats_number, inputs)):
        return _apply_to_numbers(primitive, inputs, parameters)
    if primitive.kind == "layout":
        value = primitive.evaluate(*arrays, **parameters)
    else:
        with np.errstate(all="ignore"):
            value = np.asarray(primitive.evaluate(*arrays, **parameters), dtype=type_.dtype)
    keeps = tracked or primitive.inline
    source = Source(primitive, inputs, parameters) if keeps else None
    return make_tensor(type_, value, source, tracked=tracked)


def defer(primitive: Primitive, inputs: tuple[Tensor, ...], parameters: dict[str, Any]) -> Tensor:
    """A traced tensor for what :func:`apply` would compute."""
    type_ = primitive.infer(*[tensor.type for tensor in inputs], **parameters)
    tracked = any(tensor.tracked for tensor in inputs)
    return make_tensor(type_, None, Source(primitive, inputs, parameters), tracked=tracked)


def _repeats_number(tensor: Tensor) -> bool:
    """Whether a tensor is one number, repeated by an inline primitive."""
    source = tensor.source
    return (
        source is not None
        and source.primitive.inline
        and len(source.inputs) == 1
        and source.inputs[0].shape == ()
    )


def _apply_to_numbers(
    primitive: Primitive, inputs: tuple[Tensor, ...], parameters: dict[str, Any]
) -> Tensor:
    """Compute on the numbers and repeat the result, so that constants take no memory."""
    sources = [tensor.source for tensor in inputs if tensor.source is not None]
    number = apply(primitive, tuple(source.inputs[0] for source in sources), parameters)
    return apply(sources[0].primitive, (number,), sources[0].parameters)
