"""Transformations of functions: derivatives of any order, in either mode.

All take a function of tensors (or of dictionaries, lists and tuples of them) and give another such
function. They work eagerly, where Python may branch on values, and inside a trace alike, and may be
nested.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.autodiff.forward import push_forward
from thalweg.autodiff.reverse import Linearised, linearise, pull_back
from thalweg.errors import DTypeError, GraphError, ShapeError
from thalweg.graph import (
    OPERATORS,
    Graph,
    Tensor,
    TensorType,
    as_tensor,
    constant,
    leaf,
    topological,
)
from thalweg.ops.functions import broadcast, reshape, stack
from thalweg.ops.repetition import zeros_like
from thalweg.ops.unary import identity
from thalweg.tree import Structure, Tree, flatten, same_structure, unflatten

Function = Callable[..., Any]
Argnums = int | tuple[int, ...]


class _Call:
    """One evaluation of a function with marked inputs, ready for differentiation."""

    def __init__(self, function: Function, arguments: tuple[Any, ...], argnums: Argnums) -> None:
        numbers = (argnums,) if isinstance(argnums, int) else argnums
        for number in numbers:
            if not -len(arguments) <= number < len(arguments):
                raise GraphError(f"argnums {argnums}: the call has {len(arguments)} arguments")
        chosen: Tree = (
            arguments[argnums]
            if isinstance(argnums, int)
            else tuple(arguments[number] for number in numbers)
        )
        leaves, self.structure = flatten(chosen)
        self.inputs = [_marked(as_tensor(item)) for item in leaves]
        marked = unflatten(self.structure, list(self.inputs))
        replaced = list(arguments)
        for place, number in enumerate(numbers):
            replaced[number] = marked if isinstance(argnums, int) else marked[place]
        self.result = function(*replaced)

    def outputs(self, tree: Tree) -> tuple[list[Tensor], Structure]:
        """The result's leaves, which must be tensors."""
        leaves, structure = flatten(tree)
        return [as_tensor(item) for item in leaves], structure

    def finish(self, tree: Tree) -> Tree:
        """The tree with tensors freed of what only this call tracked."""
        leaves, structure = flatten(tree)
        return unflatten(structure, [_released(item, self.inputs) for item in leaves])


def _marked(tensor: Tensor) -> Tensor:
    """The tensor as a fresh point of the graph."""
    if not tensor.type.is_float:
        raise DTypeError(
            f"derivatives need floating-point inputs, got {tensor.type}; convert with astype"
        )
    if tensor.value is not None and not tensor.tracked:
        return leaf(tensor.value)
    return identity(tensor)


def _released(item: Any, own: Sequence[Tensor]) -> Any:
    """An eager result without its history, unless an outer derivative needs it."""
    if not isinstance(item, Tensor) or item.value is None or not item.tracked:
        return item
    mine = {id(tensor) for tensor in own}
    for node in topological([item], lambda _: False):
        outer = id(node) not in mine and node.source is None
        if outer and (node.tracked or node.value is None):
            return item
    return constant(item.value)


def value_and_grad(
    function: Function, argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Tree]]:
    """The value of a scalar function together with its gradient, by reverse mode.

    Args:
        function: takes tensors or trees of them, returns a 0-dimensional tensor (with
            ``has_aux`` a pair of it and anything else).
        argnums: which argument, or which arguments, to differentiate.
        has_aux: the function returns ``(value, extra)``.

    Returns:
        A function that gives ``(value, gradient)``; the gradient has the argument's structure,
        shapes and types.

    Raises:
        ShapeError: the function's value is not 0-dimensional.
        DTypeError: an argument is not floating point.

    >>> value_and_grad(lambda w: (w * w).sum())(np.array([1.0, 3.0]))
    (Tensor(10., float64), Tensor([2. 6.], float64))
    """

    def differentiated(*arguments: Any) -> tuple[Any, Tree]:
        call = _Call(function, arguments, argnums)
        value = as_tensor(call.result[0] if has_aux else call.result)
        if value.shape:
            raise ShapeError(
                f"grad needs a function with a single number as value, got {value.type}; "
                "use jacobian, or sum it"
            )
        gradients = pull_back([value], call.inputs, [_one(value)])
        tree = unflatten(call.structure, list(gradients))
        return call.finish((call.result if has_aux else value, tree))

    return differentiated


def _one(value: Tensor) -> Tensor:
    return constant(np.ones((), value.dtype))


def grad(function: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The gradient of a scalar function; arguments and errors as :func:`value_and_grad`.

    >>> grad(lambda x: x**3)(np.float64(2.0))
    Tensor(12., float64)
    >>> grad(grad(lambda x: x**3))(np.float64(2.0))
    Tensor(12., float64)
    """
    both = value_and_grad(function, argnums, has_aux)

    def differentiated(*arguments: Any) -> Any:
        value, gradient = both(*arguments)
        return (gradient, value[1]) if has_aux else gradient

    return differentiated


def jvp(function: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Tree, Tree]:
    """Jacobian-vector product by forward mode: the value, and its change along the tangents.

    Args:
        function: takes and returns tensors or trees of them.
        primals: its arguments.
        tangents: for each argument a direction of the same structure and shapes.

    >>> jvp(lambda x: x * x, [np.float64(3.0)], [np.float64(1.0)])
    (Tensor(9., float64), Tensor(6., float64))
    """
    numbers = tuple(range(len(primals)))
    call = _Call(function, tuple(primals), numbers)
    outputs, structure = call.outputs(call.result)
    changes = _matching(call, tuple(tangents), "tangent")
    results = push_forward(outputs, call.inputs, changes)
    filled = [
        zeros_like(output) if change is None else change
        for output, change in zip(outputs, results, strict=True)
    ]
    return call.finish((call.result, unflatten(structure, list(filled))))


def _matching(call: _Call, tree: Tree, what: str) -> list[Tensor]:
    leaves, structure = flatten(tree)
    if not same_structure(structure, call.structure):
        raise ShapeError(f"the {what}s differ in structure from the arguments")
    return _of_types(leaves, [item.type for item in call.inputs], what)


def _of_types(leaves: Sequence[Any], types: Sequence[TensorType], what: str) -> list[Tensor]:
    found = [as_tensor(item).astype(type_.dtype) for item, type_ in zip(leaves, types, strict=True)]
    for tensor, type_ in zip(found, types, strict=True):
        if tensor.shape != type_.shape:
            raise ShapeError(f"a {what} has shape {tensor.shape}, expected {type_.shape}")
    return found


def vjp(function: Function, *primals: Any) -> tuple[Tree, Callable[[Tree], tuple[Tree, ...]]]:
    """The value, and the map from output cotangents u to input cotangents Jᵀu (reverse mode).

    >>> value, pull = vjp(lambda x, y: x * y, np.float64(3.0), np.float64(4.0))
    >>> pull(np.float64(1.0))
    (Tensor(4., float64), Tensor(3., float64))
    """
    call = _Call(function, primals, tuple(range(len(primals))))
    outputs, structure = call.outputs(call.result)
    linear = linearise(outputs, call.inputs)

    def pull(cotangents: Tree) -> tuple[Tree, ...]:
        leaves, given = flatten(cotangents)
        if not same_structure(given, structure):
            raise ShapeError("the cotangents differ in structure from the function's result")
        exact = _of_types(leaves, [item.type for item in outputs], "cotangent")
        return call.finish(unflatten(call.structure, list(linear.pull_back(exact))))

    return call.finish(call.result), pull


def jacobian(function: Function, argnums: Argnums = 0, mode: str = "auto") -> Function:
    """All first derivatives: for output shape S and input shape T an array of shape S + T.

    Args:
        function: takes and returns tensors or trees of them.
        argnums: which argument, or which arguments, to differentiate.
        mode: ``forward`` (one product for each input element), ``reverse`` (one for each output
            element) or ``auto``, the cheaper of the two.

    Returns:
        A function whose result has the output's structure, each leaf replaced by the argument's
        structure of derivatives.

    >>> jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
    Tensor([[2. 0.]
            [0. 4.]], float64)
    """
    if mode not in {"auto", "forward", "reverse"}:
        raise GraphError(f"mode {mode!r} is not one of auto, forward, reverse")

    def differentiated(*arguments: Any) -> Tree:
        call = _Call(function, arguments, argnums)
        outputs, structure = call.outputs(call.result)
        linear = linearise(outputs, call.inputs)
        ins = sum(tensor.size for tensor in call.inputs)
        outs = sum(tensor.size for tensor in outputs)
        forward = mode == "forward" or (mode == "auto" and ins < outs)
        blocks = (_columns if forward else _rows)(linear, outputs)
        rows = [unflatten(call.structure, list(row)) for row in blocks]
        return call.finish(unflatten(structure, rows))

    return differentiated


def _basis(type_: TensorType) -> list[Tensor]:
    eye = np.eye(type_.size, dtype=type_.dtype)
    return [constant(row.reshape(type_.shape)) for row in eye]


def _rows(linear: Linearised, outputs: Sequence[Tensor]) -> list[list[Tensor]]:
    """Jacobian blocks by reverse mode: ``[output][input]``."""
    zeros = [zeros_like(output) for output in outputs]
    blocks: list[list[Tensor]] = []
    for place, output in enumerate(outputs):
        pulled = [
            linear.pull_back([*zeros[:place], unit, *zeros[place + 1 :]])
            for unit in _basis(output.type)
        ]
        blocks.append(
            [
                _joined([row[index] for row in pulled], (*output.shape, *item.shape), item)
                for index, item in enumerate(linear.inputs)
            ]
        )
    return blocks


def _columns(linear: Linearised, outputs: Sequence[Tensor]) -> list[list[Tensor]]:
    """Jacobian blocks by forward mode: ``[output][input]``."""
    tangents = tuple(
        zeros_like(output) if change is None else change
        for output, change in zip(outputs, linear.tangents, strict=True)
    )
    blocks: list[list[Tensor]] = [[] for _ in outputs]
    zeros = [zeros_like(item) for item in linear.inputs]
    for place, item in enumerate(linear.inputs):
        pushed = [
            _substitute(tangents, linear.directions, [*zeros[:place], unit, *zeros[place + 1 :]])
            for unit in _basis(item.type)
        ]
        for row, output in enumerate(outputs):
            stacked = [reshape(column[row], (output.size,)) for column in pushed]
            block = _joined(stacked, (item.size, output.size), output).T
            blocks[row].append(reshape(block, (*output.shape, *item.shape)))
    return blocks


def _joined(parts: list[Tensor], shape: tuple[int, ...], like: Tensor) -> Tensor:
    if not parts:
        return broadcast(constant(np.zeros((), like.dtype)), shape)
    return reshape(stack(parts), shape)


def _substitute(
    outputs: Sequence[Tensor], formal: Sequence[Tensor], actual: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """The outputs with some tensors replaced; other traced tensors are passed through."""
    ends = {id(tensor) for tensor in formal}
    order = topological(outputs, lambda tensor: id(tensor) in ends)
    free = [
        tensor
        for tensor in order
        if tensor.value is None and tensor.source is None and id(tensor) not in ends
    ]
    return Graph((*formal, *free), tuple(outputs))(*actual, *free)


def hessian(function: Function, argnums: Argnums = 0) -> Function:
    """All second derivatives of a scalar function: for input shape T an array of shape T + T.

    >>> hessian(lambda x: (x**3).sum())(np.array([1.0, 2.0]))
    Tensor([[ 6.  0.]
            [ 0. 12.]], float64)
    """
    return jacobian(grad(function, argnums), argnums, mode="forward")


def hvp(function: Function, primal: Any, direction: Any) -> Tree:
    """Hessian-vector product Hv of a scalar function of one argument, without the Hessian.

    Forward mode over reverse mode: about four times the cost of the function.

    >>> hvp(lambda x: (x**3).sum(), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    Tensor([ 6. 12.], float64)
    """
    return jvp(grad(function), [primal], [direction])[1]


def backward(output: Tensor, gradient: Any = None) -> None:
    """Add d(output)/d(leaf) to ``leaf.grad`` of every leaf made with ``requires_grad=True``.

    Raises:
        GraphError: the tensor is traced, or nothing it depends on requires a gradient.
        ShapeError: the tensor has several elements and no gradient is given.
    """
    if output.value is None:
        raise GraphError("backward() needs values; inside a trace use grad")
    leaves = [
        node
        for node in topological([output], lambda _: False)
        if node.tracked and node.source is None
    ]
    if not leaves:
        raise GraphError("nothing that this tensor depends on was made with requires_grad=True")
    if gradient is None and math.prod(output.shape) != 1:
        raise ShapeError(f"backward() of {output.type} needs a gradient of its shape")
    seed = np.ones(output.shape) if gradient is None else gradient
    cotangent = _of_types([seed], [output.type], "gradient")
    for node, change in zip(leaves, pull_back([output], leaves, cotangent), strict=True):
        fresh = constant(change.numpy())
        node.grad = fresh if node.grad is None else node.grad + fresh


OPERATORS["backward"] = backward
