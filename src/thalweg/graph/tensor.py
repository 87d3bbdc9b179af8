"""Tensors: the values of a computation, with operators and methods.

What operators and methods compute is defined on the floors above, which fill :data:`OPERATORS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from thalweg.errors import DTypeError, GraphError, ShapeError
from thalweg.graph.label import Label, current_label
from thalweg.graph.types import Array, Shape, TensorType, as_array, type_of

if TYPE_CHECKING:
    from thalweg.graph.primitive import Primitive


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
        data: a number, nested sequence, array or eager tensor, whose elements are copied. Python
            floats become float32, Python integers int64; arrays keep their type.
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
        array = np.array(as_array(data.numpy() if isinstance(data, Tensor) else data, dtype))
        if requires_grad and array.dtype.kind != "f":
            raise DTypeError(f"only floating-point tensors have gradients, got {array.dtype.name}")
        self.type = type_of(array)
        self.value = array
        self.source = None
        self.tracked = requires_grad
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
        """The value of a one-element tensor as a Python number.

        Raises:
            GraphError: the tensor is traced.
            ShapeError: it has no or several elements.
        """
        array = self.numpy()
        if array.size != 1:
            raise ShapeError(f"a single number is needed, got {self.type}")
        return array.item()

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

    def transpose(self, *axes: int | Sequence[int]) -> Tensor:
        """The axes in another order (reversed when none are given)."""
        given = axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
        return OPERATORS["transpose"](self, given or None)

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

    def __rand__(self, other: Any) -> Tensor:
        return OPERATORS["bitwise_and"](other, self)

    def __or__(self, other: Any) -> Tensor:
        return OPERATORS["bitwise_or"](self, other)

    def __ror__(self, other: Any) -> Tensor:
        return OPERATORS["bitwise_or"](other, self)

    def __xor__(self, other: Any) -> Tensor:
        return OPERATORS["bitwise_xor"](self, other)

    def __rxor__(self, other: Any) -> Tensor:
        return OPERATORS["bitwise_xor"](other, self)

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
        if self.value is not None and self.size != 1:
            raise ShapeError(
                f"a condition needs a single truth value, got {self.type}; "
                "use where(), or compare a sum"
            )
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        if self.tracked:
            raise GraphError(
                "NumPy would forget the derivative of a tensor that is being differentiated; use "
                "thalweg's functions, or .numpy() where the plain value is meant"
            )
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __format__(self, specification: str) -> str:
        return format(self.item(), specification) if specification else repr(self)

    def __repr__(self) -> str:
        if self.value is None:
            return f"Tensor({self.name or 'traced'}: {self.type})"
        text = np.array2string(self.value, prefix="Tensor(", threshold=100)
        return f"Tensor({text}, {self.dtype.name})"


def make_tensor(
    type_: TensorType, value: Array | None, source: Source | None, *, tracked: bool
) -> Tensor:
    """A tensor from its parts, unchecked: for those who define what tensors are made by."""
    tensor = Tensor.__new__(Tensor)
    tensor.type = type_
    tensor.value = value
    tensor.source = source
    tensor.tracked = tracked
    tensor.grad = None
    tensor.label = current_label()
    tensor.name = ""
    return tensor


def constant(array: Array) -> Tensor:
    """An eager tensor around an array of a known type."""
    return make_tensor(type_of(array), array, None, tracked=False)


def placeholder(type_: TensorType, name: str = "") -> Tensor:
    """A traced tensor without a source: an input of a graph."""
    tensor = make_tensor(type_, None, None, tracked=False)
    tensor.name = name
    return tensor


def leaf(value: Array) -> Tensor:
    """An eager tensor whose uses are remembered, for differentiation."""
    return make_tensor(type_of(value), value, None, tracked=True)


def as_tensor(data: Any, dtype: DTypeLike | None = None) -> Tensor:
    """A tensor as it is, or anything else as an eager tensor (which shares an array's memory)."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.astype(dtype)
    return constant(as_array(data, dtype))


def source_of(tensor: Tensor) -> Source:
    """How a tensor was computed.

    Raises:
        GraphError: the tensor is an input or constant.
    """
    if tensor.source is None:
        raise GraphError(f"{tensor!r} is an input or constant, computed by nothing")
    return tensor.source
