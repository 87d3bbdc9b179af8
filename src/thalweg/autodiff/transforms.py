"""Transformations of functions: derivatives of any order, in either mode.

All take a function of tensors (or of dictionaries, lists and tuples of them) and give another such
function. They work eagerly, where Python may branch on values, and inside a trace alike, and may be
nested.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

import numpy as np

from thalweg.autodiff.call import Argnums, Call, Function, matching, of_type, tensors
from thalweg.autodiff.forward import push_forward
from thalweg.autodiff.jacobians import columns, rows
from thalweg.autodiff.reverse import linearise, pull_back
from thalweg.errors import DTypeError, GraphError, SettingError, ShapeError
from thalweg.graph import OPERATORS, Tensor, as_tensor, constant, topological
from thalweg.ops.repetition import full_like, zeros_like
from thalweg.tree import Tree, unflatten


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
        shapes and types. Arguments given by name are passed on, not differentiated.

    Raises:
        ShapeError: the function's value is not 0-dimensional.
        DTypeError: an argument, or the value, is not floating point.

    >>> value_and_grad(lambda w: (w * w).sum())(np.array([1.0, 3.0]))
    (Tensor(10., float64), Tensor([2. 6.], float64))
    """

    @wraps(function)
    def differentiated(*arguments: Any, **others: Any) -> tuple[Any, Tree]:
        call = Call(partial(function, **others), arguments, argnums)
        result, extra = _value_and_extra(call.result) if has_aux else (call.result, None)
        value = _scalar(result)
        gradients = pull_back([value], call.inputs, [full_like(value, 1)])
        outcome = (value, extra) if has_aux else value
        return call.finish((outcome, call.tree(gradients)))

    return differentiated


def _value_and_extra(result: Any) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise GraphError(f"has_aux=True needs a function that returns (value, extra), got {result}")
    return result


def _scalar(result: Any) -> Tensor:
    """A function's result as a tensor that has a gradient."""
    if isinstance(result, (tuple, list, dict)) or result is None:
        raise ShapeError(
            f"grad needs a function with a single number as value, got a {type(result).__name__}; "
            "use jacobian, or has_aux=True for a pair (value, extra)"
        )
    value = as_tensor(result)
    if value.shape:
        raise ShapeError(
            f"grad needs a function with a single number as value, got {value.type}; "
            "use jacobian, or sum it"
        )
    if not value.type.is_float:
        raise DTypeError(f"grad needs a floating-point value, got {value.type}")
    return value


def grad(function: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The gradient of a scalar function; arguments and errors as :func:`value_and_grad`.

    >>> grad(lambda x: x**3)(np.float64(2.0))
    Tensor(12., float64)
    >>> grad(grad(lambda x: x**3))(np.float64(2.0))
    Tensor(12., float64)
    """
    both = value_and_grad(function, argnums, has_aux)

    @wraps(function)
    def differentiated(*arguments: Any, **others: Any) -> Any:
        value, gradient = both(*arguments, **others)
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
    call = Call(function, tuple(primals), tuple(range(len(primals))))
    outputs, structure = tensors(call.result)
    changes = call.directions(tuple(tangents), "tangent")
    results = _filled(push_forward(outputs, call.inputs, changes), outputs)
    return call.finish((call.result, unflatten(structure, list(results))))


def _filled(changes: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> list[Tensor]:
    """Tangents with zeros in place of ``None``."""
    return [
        zeros_like(output) if change is None else change
        for output, change in zip(outputs, changes, strict=True)
    ]


def vjp(function: Function, *primals: Any) -> tuple[Tree, Callable[[Tree], tuple[Tree, ...]]]:
    """The value, and the map from output cotangents u to input cotangents Jᵀu (reverse mode).

    >>> value, pull = vjp(lambda x, y: x * y, np.float64(3.0), np.float64(4.0))
    >>> pull(np.float64(1.0))
    (Tensor(4., float64), Tensor(3., float64))
    """
    call = Call(function, primals, tuple(range(len(primals))))
    outputs, structure = tensors(call.result)
    linear = linearise(outputs, call.inputs)

    def pull(cotangents: Tree) -> tuple[Tree, ...]:
        exact = matching(cotangents, structure, [item.type for item in outputs], "cotangent")
        return call.finish(call.tree(linear.pull_back(exact)))

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
        raise SettingError(f"mode {mode!r} is not one of auto, forward, reverse")

    @wraps(function)
    def differentiated(*arguments: Any, **others: Any) -> Tree:
        call = Call(partial(function, **others), arguments, argnums)
        outputs, structure = tensors(call.result)
        ins = sum(tensor.size for tensor in call.inputs)
        outs = sum(tensor.size for tensor in outputs)
        forward = mode == "forward" or (mode == "auto" and ins < outs)
        blocks = (columns if forward else rows)(linearise(outputs, call.inputs), outputs)
        return call.finish(unflatten(structure, [call.tree(block) for block in blocks]))

    return differentiated


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
    cotangent = of_type(seed, output.type, "gradient")
    for node, change in zip(leaves, pull_back([output], leaves, [cotangent]), strict=True):
        fresh = constant(change.numpy())
        node.grad = fresh if node.grad is None else node.grad + fresh


OPERATORS["backward"] = backward
