"""Primitives and the tensors that they are applied to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from thalweg.errors import DTypeError, GraphError, ShapeError
from thalweg.graph.label import Label, current_label
from thalweg.graph.types import Array, Shape, TensorType, as_array


class Sample(NamedTuple):
    """One call of a primitive: inputs and parameters, for generic tests."""

    inputs: tuple[Array, ...]
    parameters: Mapping[str, Any] = {}


TypeRule = Callable[..., TensorType]
ValueRule = Callable[..., Array]
TangentRule = Callable[["Tensor", "tuple[Tensor | None, ...]"], "Tensor | None"]
TransposeRule = Callable[["Tensor", "Tensor", "tuple[bool, ...]"], "Sequence[Tensor | None]"]


def _no_samples() -> list[Sample]:
    return []


@dataclass(frozen=True, eq=False)
class Primitive:
    """One elementary operation, declared once.

    Attributes:
        name: how graphs print it and files name it.
        kind: the lowering class: elementwise, reduction, product, layout, index or random.
        infer: input types and parameters to the result's type; raises on what does not fit.
        evaluate: input arrays and parameters to the result; the definition of the operation.
        tangent: ``(node, input tangents) -> tangent``: the forward derivative, linear in the
            tangents (``None`` is zero). Absent where the derivative is zero everywhere.
        transpose: ``(node, cotangent, which inputs are linear) -> input cotangents``: present where
            the operation is linear in some inputs.
        flops: floating-point operations for one result element (or a function of the node).
        ulp: the error bound of compiled code, in units in the last place.
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
    """Add a primitive to the registry."""
    if primitive.name in PRIMITIVES:
        raise GraphError(f"primitive {primitive.name!r} is declared twice")
    PRIMITIVES[primitive.name] = primitive
    return primitive


class Source(NamedTuple):
    """How a tensor came to be."""

    primitive: Primitive
    inputs: tuple[Tensor, ...]
    parameters: dict[str, Any]


OPERATORS: dict[str, Callable[..., Any]] = {}
"""Functions behind the operators and methods of :class:`Tensor`; the floors above fill it."""


class Tensor:
    """A value in a computation: eager (has a value) or traced (has none).

    Args:
        data: a number, nested sequence, array or eager tensor. Python floats become float32,
            Python integers int64; arrays keep their type.
        dtype: the data type wanted instead.
        requires_grad: remember what is computed from it, for :meth:`backward`.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([2. 4.], float32)
    """

    __slots__ = ("__weakref__", "grad", "label", "name", "source", "tracked", "type", "value")
    __array_priority__ = 1000

    type: TensorType
    value: Array | None
    source: Source | None
    tracked: bool
    grad: Tensor | None
    label: Label
    name: str

    def __init__(
        self, data: Any, dtype: DTypeLike | None = None, *, requires_grad: bool = False
    ) -> None:
        array = as_array(data.numpy() if isinstance(data, Tensor) else data, dtype)
        if requires_grad and array.dtype.kind != "f":
            raise DTypeError(f"only floating-point tensors have gradients, got {array.dtype.name}")
        self.fill(TensorType(array.shape, array.dtype), array, None, requires_grad)

    def fill(
        self, type_: TensorType, value: Array | None, source: Source | None, tracked: bool
    ) -> None:
        """Set every field; for the constructors of this module."""
        self.type = type_
        self.value = value
        self.source = source
        self.tracked = tracked
        self.grad = None
        self.label = current_label()
        self.name = ""

    @property
    def shape(self) -> Shape:
        """The lengths of the axes."""
        return self.type.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The data type of the elements."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.type.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.type.size

    @property
    def is_traced(self) -> bool:
        """Whether the tensor stands for a value that is not known yet."""
        return self.value is None

    @property
    def T(self) -> Tensor:  # noqa: N802 - NumPy's name
        """The tensor with its axes reversed."""
        return OPERATORS["transpose"](self)

    def numpy(self) -> Array:
        """The value as a NumPy array.

        Raises:
            GraphError: when the tensor is traced and so has no value.
        """
        if self.value is None:
            raise GraphError(
                f"a traced tensor ({self.type}) has no value: inside trace, grad of a traced "
                "function, or compile, write conditions with where() and keep NumPy calls outside"
            )
        return self.value

    def item(self) -> Any:
        """The value of a one-element tensor as a Python number."""
        return self.numpy().item()

    def detach(self) -> Tensor:
        """The same value, forgotten where it came from."""
        if self.value is None:
            return OPERATORS["stop_gradient"](self)
        return constant(self.value)

    def backward(self, gradient: Any = None) -> None:
        """Add the derivatives of this tensor to ``grad`` of every leaf made with requires_grad."""
        OPERATORS["backward"](self, gradient)

    def astype(self, dtype: DTypeLike) -> Tensor:
        """The elements converted to another type."""
        return OPERATORS["astype"](self, dtype)

    def reshape(self, *shape: int | Sequence[int]) -> Tensor:
        """The same elements in another shape; one length may be -1."""
        return OPERATORS["reshape"](self, *shape)

    def transpose(self, *axes: int) -> Tensor:
        """The axes in another order (reversed when none are given)."""
        return OPERATORS["transpose"](self, axes or None)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The sum over axes."""
        return OPERATORS["sum"](self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The mean over axes."""
        return OPERATORS["mean"](self, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The largest element over axes."""
        return OPERATORS["max"](self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The smallest element over axes."""
        return OPERATORS["min"](self, axis, keepdims)

    def argmax(self, axis: int = -1) -> Tensor:
        """The index of the largest element along an axis."""
        return OPERATORS["argmax"](self, axis)

    def __add__(self, other: Any) -> Tensor:
        return OPERATORS["add"](self, other)

    def __radd__(self, other: Any) -> Tensor:
        return OPERATORS["add"](other, self)

    def __sub__(self, other: Any) -> Tensor:
        return OPERATORS["subtract"](self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return OPERATORS["subtract"](other, self)

    def __mul__(self, other: Any) -> Tensor:
        return OPERATORS["multiply"](self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return OPERATORS["multiply"](other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return OPERATORS["divide"](self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return OPERATORS["divide"](other, self)

    def __pow__(self, other: Any) -> Tensor:
        return OPERATORS["power"](self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return OPERATORS["power"](other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return OPERATORS["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return OPERATORS["matmul"](other, self)

    def __neg__(self) -> Tensor:
        return OPERATORS["negative"](self)

    def __abs__(self) -> Tensor:
        return OPERATORS["abs"](self)

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return OPERATORS["equal"](self, other)

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return OPERATORS["not_equal"](self, other)

    def __lt__(self, other: Any) -> Tensor:
        return OPERATORS["less"](self, other)

    def __le__(self, other: Any) -> Tensor:
        return OPERATORS["less_equal"](self, other)

    def __gt__(self, other: Any) -> Tensor:
        return OPERATORS["less"](other, self)

    def __ge__(self, other: Any) -> Tensor:
        return OPERATORS["less_equal"](other, self)

    def __and__(self, other: Any) -> Tensor:
        return OPERATORS["bitwise_and"](self, other)

    def __or__(self, other: Any) -> Tensor:
        return OPERATORS["bitwise_or"](self, other)

    def __xor__(self, other: Any) -> Tensor:
        return OPERATORS["bitwise_xor"](self, other)

    def __invert__(self) -> Tensor:
        return OPERATORS["bitwise_not"](self)

    def __getitem__(self, index: Any) -> Tensor:
        return OPERATORS["getitem"](self, index)

    def __hash__(self) -> int:
        return id(self)

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("a 0-dimensional tensor has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[index] for index in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __float__(self) -> float:
        return float(self.numpy())

    def __int__(self) -> int:
        return int(self.numpy())

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        array = self.numpy()
        if copy is False and dtype is not None and np.dtype(dtype) != array.dtype:
            raise ValueError("cannot convert without a copy")
        return np.array(array, dtype=dtype, copy=bool(copy)) if copy else np.asarray(array, dtype)

    def __repr__(self) -> str:
        if self.value is None:
            return f"Tensor({self.name or 'traced'}: {self.type})"
        text = np.array2string(self.value, prefix="Tensor(", threshold=100)
        return f"Tensor({text}, {self.dtype.name})"


def constant(array: Array) -> Tensor:
    """An eager tensor around an array of a known type."""
    return _make(TensorType(array.shape, array.dtype), array, None, False)


def placeholder(type_: TensorType, name: str = "") -> Tensor:
    """A traced tensor without a source: an input of a graph."""
    tensor = _make(type_, None, None, False)
    tensor.name = name
    return tensor


def leaf(value: Array) -> Tensor:
    """An eager tensor whose uses are remembered, for differentiation."""
    return _make(TensorType(value.shape, value.dtype), value, None, True)


def _make(type_: TensorType, value: Array | None, source: Source | None, tracked: bool) -> Tensor:
    tensor = Tensor.__new__(Tensor)
    tensor.fill(type_, value, source, tracked)
    return tensor


def apply(primitive: Primitive, inputs: tuple[Tensor, ...], parameters: dict[str, Any]) -> Tensor:
    """Apply a primitive: compute where every input has a value, remember where one is traced.

    Raises:
        ShapeError, DTypeError: when the inputs do not fit the primitive's type rule.
    """
    type_ = primitive.infer(*[tensor.type for tensor in inputs], **parameters)
    tracked = any(tensor.tracked for tensor in inputs)
    if any(tensor.value is None for tensor in inputs):
        return _make(type_, None, Source(primitive, inputs, parameters), tracked)
    if primitive.kind == "elementwise" and inputs and all(map(_repeats_number, inputs)):
        return _apply_to_numbers(primitive, inputs, parameters)
    with np.errstate(all="ignore"):
        value = primitive.evaluate(*[tensor.value for tensor in inputs], **parameters)
    value = np.asarray(value, dtype=type_.dtype)
    keeps = tracked or primitive.inline
    return _make(type_, value, Source(primitive, inputs, parameters) if keeps else None, tracked)


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


def as_tensor(data: Any, dtype: DTypeLike | None = None) -> Tensor:
    """A tensor as it is, or anything else as an eager tensor."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.astype(dtype)
    return constant(as_array(data, dtype))
