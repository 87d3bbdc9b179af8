"""Rules for the order of axes: transposes move towards the outputs, so that chains stay in memory.

Convolutions keep rows of a batch last; layers read them through transposed views. Whatever follows
(bias, activation, normalisation) is computed in the order in which its operands stand, and the
transpose moves behind it, where it meets the next layer's and both vanish. Matrices are left alone.
"""

from __future__ import annotations

import numpy as np

from thalweg.compiler.passes.rules import ELEMENTWISE, Rule, collected, made_by
from thalweg.graph import Tensor, source_of
from thalweg.ops import binary, layout, product, repetition, unary
from thalweg.ops.reduction import argmax

ORDER: list[Rule] = []

_rule = collected(ORDER)

Axes = tuple[int, ...]


def _axes(tensor: Tensor) -> Axes | None:
    """The order of a transposed tensor of more than two axes."""
    source = made_by(tensor, layout.transpose)
    return source.parameters["axes"] if source is not None and tensor.ndim > 2 else None


def _inverse(axes: Axes) -> Axes:
    return tuple(int(axis) for axis in np.argsort(axes))


def _under(tensor: Tensor) -> Tensor:
    return source_of(tensor).inputs[0]


def _repeats(tensor: Tensor) -> bool:
    """Whether a tensor repeats a smaller one, which may be read in any order."""
    return made_by(tensor, repetition.broadcast) is not None


def _common(inputs: tuple[Tensor, ...]) -> Axes | None:
    """The order in which several operands should be read; None where they may stay.

    Where some are in the plain order, only one that has the rows of a batch last prevails, and
    whose inverse would not prevail over it in turn.
    """
    orders = [_axes(item) for item in inputs if not _repeats(item)]
    found = {axes for axes in orders if axes is not None}
    if len(found) != 1:
        return None
    (axes,) = found
    return axes if None not in orders or (axes[0] == len(axes) - 1 and axes[-1] != 0) else None


def _turned(tensor: Tensor, axes: Axes) -> Tensor:
    """A tensor in the order beneath a transpose."""
    if _axes(tensor) == axes:
        return _under(tensor)
    inverse = _inverse(axes)
    source = made_by(tensor, repetition.broadcast)
    if source is not None and not source.inputs[0].shape:
        shape = tuple(tensor.shape[axis] for axis in inverse)
        return repetition.broadcast(source.inputs[0], shape=shape)
    return layout.transpose(tensor, axes=inverse)


@_rule("transpose-after", ELEMENTWISE, "elements are computed in the order in which they stand")
def _elementwise(node: Tensor) -> Tensor | None:
    primitive, inputs, parameters = source_of(node)
    axes = _common(inputs)
    if axes is None:
        return None
    plain = primitive(*[_turned(item, axes) for item in inputs], **parameters)
    return layout.transpose(plain, axes=axes)


@_rule("repeat-transposed", "transpose", "a repeated tensor is small: its own axes are exchanged")
def _repeated(node: Tensor) -> Tensor | None:
    _, (x,), parameters = source_of(node)
    source, axes = made_by(x, repetition.broadcast), parameters["axes"]
    if source is None or node.ndim < 3:
        return None
    small = source.inputs[0]
    lead = (1,) * (node.ndim - small.ndim)
    full = layout.reshape(small, shape=(*lead, *small.shape)) if lead else small
    return repetition.broadcast(layout.transpose(full, axes=axes), shape=node.shape)


@_rule("transpose-after-reducing", "reduce_sum reduce_max", "sums are smaller than what is summed")
def _reduced(node: Tensor) -> Tensor | None:
    primitive, (x,), parameters = source_of(node)
    axes = _axes(x)
    if axes is None:
        return None
    reduced = tuple(sorted(axes[axis] for axis in parameters["axes"]))
    result = primitive(_under(x), axes=reduced)
    kept = [axes[axis] for axis in range(x.ndim) if axis not in parameters["axes"]]
    order = tuple(sorted(kept).index(axis) for axis in kept)
    return result if order == tuple(range(len(order))) else layout.transpose(result, axes=order)


@_rule("scale-after-summing", "reduce_sum", "a factor of each sum is applied once")
def _scaled(node: Tensor) -> Tensor | None:
    _, (x,), parameters = source_of(node)
    source = made_by(x, binary.mul)
    if source is None or x.ndim < 3:
        return None
    for factor, other in (source.inputs, source.inputs[::-1]):
        small = _factor(factor, x, parameters["axes"])
        if small is not None:
            scale = repetition.broadcast(small, shape=node.shape)
            return binary.mul(repetition.reduce_sum(other, axes=parameters["axes"]), scale)
    return None


@_rule("negate-after-summing", "reduce_sum", "signs and doubles of sums, not of all that is summed")
def _negated(node: Tensor) -> Tensor | None:
    _, (x,), parameters = source_of(node)
    if x.ndim < 3 or x.source is None:
        return None
    primitive, inputs, _ = source_of(x)
    if primitive is unary.neg:
        return unary.neg(repetition.reduce_sum(inputs[0], axes=parameters["axes"]))
    if primitive is binary.add and inputs[0] is inputs[1]:
        total = repetition.reduce_sum(inputs[0], axes=parameters["axes"])
        return binary.add(total, total)
    return None


def _factor(factor: Tensor, x: Tensor, axes: Axes) -> Tensor | None:
    """What a factor is on the axes that are kept, where it is the same along the others."""
    source = made_by(factor, repetition.broadcast)
    if source is None or not source.inputs[0].shape:
        return None
    small = source.inputs[0]
    full = (*(1,) * (x.ndim - small.ndim), *small.shape)
    if any(full[axis] != 1 for axis in axes):
        return None
    kept = tuple(length for axis, length in enumerate(full) if axis not in axes)
    return layout.reshape(small, shape=kept)


@_rule("transpose-after-choosing", "argmax", "places are fewer than what is looked at")
def _chosen(node: Tensor) -> Tensor | None:
    _, (x,), parameters = source_of(node)
    axes = _axes(x)
    if axes is None:
        return None
    place = axes[parameters["axis"]]
    kept = [axis for axis in axes if axis != place]
    order = tuple(sorted(kept).index(axis) for axis in kept)
    result = argmax(_under(x), axis=place)
    return result if order == tuple(range(len(order))) else layout.transpose(result, axes=order)


@_rule("transpose-after-joining", "concatenate", "parts are joined as they stand")
def _joined(node: Tensor) -> Tensor | None:
    primitive, inputs, parameters = source_of(node)
    axes = _axes(inputs[0])
    if axes is None or any(_axes(item) != axes for item in inputs):
        return None
    parts = [_under(item) for item in inputs]
    return layout.transpose(primitive(*parts, axis=axes[parameters["axis"]]), axes=axes)


@_rule("transpose-after-moving", "pad slice", "moving is the same along other axes")
def _moved(node: Tensor) -> Tensor | None:
    primitive, (x,), parameters = source_of(node)
    axes = _axes(x)
    if axes is None:
        return None
    inverse = _inverse(axes)
    changed = {
        name: tuple(value[axis] for axis in inverse) if isinstance(value, tuple) else value
        for name, value in parameters.items()
    }
    return layout.transpose(primitive(_under(x), **changed), axes=axes)


@_rule("flat-rows-last", "matmul", "a product reads images as columns, with rows of the batch last")
def _flattened(node: Tensor) -> Tensor | None:
    _, (a, b), flags = source_of(node)
    flat_a, flat_b = _columns(a), _columns(b)
    if flat_a is None and flat_b is None:
        return None
    return product.matmul(
        a if flat_a is None else flat_a,
        b if flat_b is None else flat_b,
        transpose_a=flags["transpose_a"] ^ (flat_a is not None),
        transpose_b=flags["transpose_b"] ^ (flat_b is not None),
    )


def _columns(tensor: Tensor) -> Tensor | None:
    """Flattened images that stand with rows of the batch last, as a matrix of a column each."""
    source = made_by(tensor, layout.reshape)
    if source is None or tensor.ndim != 2:
        return None
    (x,) = source.inputs
    axes = _axes(x)
    if axes is None or axes[0] != len(axes) - 1 or x.shape[0] != tensor.shape[0]:
        return None
    turned = layout.transpose(_under(x), axes=(*axes[1:], axes[0]))
    return layout.reshape(turned, shape=tensor.shape[::-1])


@_rule("product-rows-last", "transpose", "a product of images is computed with its rows last")
def _unflattened(node: Tensor) -> Tensor | None:
    _, (x,), parameters = source_of(node)
    axes: Axes = parameters["axes"]
    source = made_by(x, layout.reshape)
    if source is None or node.ndim < 3 or axes[-1] != 0:
        return None
    (flat,) = source.inputs
    is_product = made_by(flat, product.matmul) is not None and flat.ndim == 2
    if not is_product or flat.shape[0] != x.shape[0]:
        return None
    columns = layout.transpose(flat, axes=(1, 0))
    images = layout.reshape(columns, shape=(*x.shape[1:], x.shape[0]))
    return layout.transpose(images, axes=(*(axis - 1 for axis in axes[:-1]), node.ndim - 1))
