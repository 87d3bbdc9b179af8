"""Reductions that choose: ``reduce_max`` and ``argmax``.

Where several elements are the largest, the derivative of ``reduce_max`` is shared evenly among
them, and ``argmax`` gives the first. A NaN wins both.
"""

from __future__ import annotations

import numpy as np

from thalweg.errors import ShapeError
from thalweg.graph import DTYPES, Array, Primitive, Sample, Shape, Tensor, TensorType, register
from thalweg.ops.binary import div, eq, mul
from thalweg.ops.declare import inputs_of, parameters_of, require_kind
from thalweg.ops.repetition import reduce_sum, reduced_type, spread
from thalweg.ops.unary import cast


def _max_type(x: TensorType, axes: Shape) -> TensorType:
    require_kind("reduce_max", x, "fiu")
    result = reduced_type("reduce_max", x, axes)
    if not (all(x.shape[axis] > 0 for axis in axes)):
        raise ShapeError(f"reduce_max: {x} has no element to choose from")
    return result


def _max_value(x: Array, axes: Shape) -> Array:
    return np.maximum.reduce(x, axis=axes) if axes else x


def _max_tangent(node: Tensor, tangents: tuple[Tensor | None, ...]) -> Tensor | None:
    (x,), (change,) = inputs_of(node), tangents
    if change is None:
        return None
    axes = parameters_of(node)["axes"]
    winners = cast(eq(x, spread(node, axes, x.shape)), dtype=x.dtype)
    return div(reduce_sum(mul(change, winners), axes=axes), reduce_sum(winners, axes=axes))


def _input_flops(node: Tensor) -> int:
    return inputs_of(node)[0].size


reduce_max = register(
    Primitive(
        "reduce_max",
        "reduction",
        _max_type,
        _max_value,
        _max_tangent,
        flops=_input_flops,
        samples=lambda: [
            Sample((np.sin(np.arange(24.0)).reshape(2, 3, 4),), {"axes": (0, 2)}),
            Sample((np.sin(np.arange(24.0)).reshape(4, 6).T[::2],), {"axes": (1,)}),
            Sample((np.zeros((0, 3)),), {"axes": (1,)}),
            Sample((np.cos(np.arange(6.0)),), {"axes": (0,)}),
            Sample((np.asarray(2.0),), {"axes": ()}),
        ],
        failures=lambda: [
            Sample((np.zeros((0, 3)),), {"axes": (0,)}),
            Sample((np.zeros((2, 3)),), {"axes": (2,)}),
            Sample((np.array([True]),), {"axes": (0,)}),
        ],
    )
)


def _argmax_type(x: TensorType, axis: int) -> TensorType:
    if not 0 <= axis < len(x.shape) or x.shape[axis] == 0:
        raise ShapeError(f"argmax: axis {axis} of {x} has no element to choose from")
    return TensorType((*x.shape[:axis], *x.shape[axis + 1 :]), DTYPES["int64"])


def _argmax_value(x: Array, axis: int) -> Array:
    return np.argmax(x, axis)


argmax = register(
    Primitive(
        "argmax",
        "reduction",
        _argmax_type,
        _argmax_value,
        flops=_input_flops,
        samples=lambda: [
            Sample((np.sin(np.arange(24.0)).reshape(4, 6),), {"axis": 1}),
            Sample((np.array([[1.0, 2.0, 2.0], [0.0, -0.0, 0.0]]).T[::-1],), {"axis": 0}),
            Sample((np.zeros((0, 3)),), {"axis": 1}),
        ],
        failures=lambda: [
            Sample((np.zeros((2, 3)),), {"axis": 2}),
            Sample((np.zeros((0, 3)),), {"axis": 0}),
        ],
    )
)
