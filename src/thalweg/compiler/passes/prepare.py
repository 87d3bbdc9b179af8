"""Preparation for kernels: what strides cannot express becomes a copy of its own.

After it, in a graph to be compiled:

- every output is a node that computes (no input, constant, view, or output twice);
- every ``reshape`` is a view of something stored, and so is every operand of a product;
- nothing is computed from an empty tensor.

A copy is an ``identity`` node.
"""

from __future__ import annotations

import numpy as np

from thalweg.compiler.passes.kernels import is_computed
from thalweg.compiler.passes.views import Access, resolve
from thalweg.graph import (
    PRIMITIVES,
    Graph,
    Source,
    Tensor,
    constant,
    defer,
    labelled,
    source_of,
)

Copies = dict[tuple[int, bool], tuple[Tensor, Tensor]]
"""By a product's operand and whether it is transposed, the operand (kept alive) and its copy."""

NARROW = 4
"""The most columns of a product computed by dot products along the inner axis."""

_LARGE, _WIDE, _DEEP = 2**20, 48, 32
"""Multiply-adds, rows and columns, and inner length from which operands are copied."""

_LONG = 8
"""The shortest inner axis for which dot products gain."""


def prepare(graph: Graph) -> Graph:
    """An equal graph of which every node can be computed or read in place."""
    now: dict[int, Tensor] = {}
    copies: Copies = {}
    for node in graph.nodes:
        source = source_of(node)
        inputs = tuple(now.get(id(item), item) for item in source.inputs)
        source = Source(source.primitive, inputs, source.parameters)
        with labelled(*node.label):
            now[id(node)] = _prepared(node, source, copies)
    return Graph(graph.inputs, _outputs([now.get(id(item), item) for item in graph.outputs]))


def copied(tensor: Tensor) -> Tensor:
    """A tensor as a copy of its own."""
    return defer(PRIMITIVES["identity"], (tensor,), {})


def _outputs(tensors: list[Tensor]) -> tuple[Tensor, ...]:
    seen: set[int] = set()
    results: list[Tensor] = []
    for tensor in tensors:
        stays = is_computed(tensor) and id(tensor) not in seen
        with labelled(*tensor.label):
            results.append(tensor if stays else copied(tensor))
        seen.add(id(results[-1]))
    return tuple(results)


def _prepared(node: Tensor, source: Source, copies: Copies) -> Tensor:
    primitive, inputs, parameters = source
    if node.size and any(item.size == 0 for item in inputs):
        return _without_empty(node, source)
    if primitive.name == "reshape":
        inputs = _viewable(inputs[0], node)
    if primitive.name == "gather":
        inputs = tuple(item if stored_at(item) else copied(item) for item in inputs)
    if primitive.name in _MOVING:
        inputs = tuple(copied(item) if _is_iota(item) else item for item in inputs)
    if primitive.name == "matmul" and node.size:
        return _product(node, source, copies)
    if primitive.name.startswith("convolve") and node.size:
        inputs = _convolution(source, copies)
    is_same = all(new is old for new, old in zip(inputs, source_of(node).inputs, strict=True))
    return node if is_same else defer(primitive, inputs, parameters)


_MOVING = frozenset({"pad", "concatenate", "scatter_add", "random_bits", "fold_in"})
"""Primitives whose kernels read elements from memory, or repeat a number."""


def _is_iota(tensor: Tensor) -> bool:
    access = resolve(tensor)
    source = None if access is None else access.base.source
    return source is not None and source.primitive.name == "iota"


def _viewable(x: Tensor, node: Tensor) -> tuple[Tensor]:
    reshape = defer(PRIMITIVES["reshape"], (x,), {"shape": node.shape})
    return (copied(x) if resolve(reshape) is None else x,)


def _without_empty(node: Tensor, source: Source) -> Tensor:
    """What a node is that reads an empty tensor: a repeated number, or the rest of its inputs."""
    primitive, inputs, parameters = source
    if primitive.name == "concatenate":
        parts = tuple(item for item in inputs if item.size)
        return defer(primitive, parts, parameters)
    if primitive.name == "scatter_add":
        return copied(inputs[0])
    value = parameters["value"] if primitive.name == "pad" else 0
    number = constant(np.asarray(value).astype(node.dtype))
    if not node.shape:
        return copied(number)
    return defer(PRIMITIVES["broadcast"], (number,), {"shape": node.shape})


# ------------------------------------------------------------------ products


def _product(node: Tensor, source: Source, copies: Copies) -> Tensor:
    """A product whose right operand has neighbouring columns side by side in memory."""
    primitive, (a, b), flags = source
    parameters = dict(flags)
    if not stored_at(a):
        a = copied(a)
    if not stored_at(b):
        b = copied(b)
    strides = operand_strides(b, parameters["transpose_b"])
    if is_large(node) and 1 in strides and not _suits_dots(node, a, parameters):
        return defer(primitive, (a, b), parameters)
    turned = dict(parameters)
    if _suits_dots(node, a, parameters):
        turned["transpose_b"] = True
        wanted = strides[0]
    else:
        turned["transpose_b"] = False
        wanted = strides[1] if node.shape[-1] > 1 else 1
    if wanted == 1:
        return defer(primitive, (a, b), parameters)
    is_turned = turned["transpose_b"] != parameters["transpose_b"]
    key = id(b), is_turned
    if key not in copies:
        axes = (*range(b.ndim - 2), b.ndim - 1, b.ndim - 2)
        view = defer(PRIMITIVES["transpose"], (b,), {"axes": axes}) if is_turned else b
        copies[key] = b, copied(view)
    return defer(primitive, (a, copies[key][1]), turned)


# ------------------------------------------------------------------ convolutions


def _convolution(source: Source, copies: Copies) -> tuple[Tensor, ...]:
    """Operands with rows of the batch side by side, and weights with what lanes or rows read so."""
    first, second = (item if stored_at(item) else copied(item) for item in source.inputs)
    first = _last_along(first, copies)
    if source.primitive.name == "convolve_weight":
        return first, _last_along(second, copies)
    if source.primitive.name == "convolve":
        return first, _last_along(second, copies)
    swapped = defer(PRIMITIVES["transpose"], (second,), {"axes": (0, 1, 3, 2)})
    along = _last_along(swapped, copies)
    return first, defer(PRIMITIVES["transpose"], (along,), {"axes": (0, 1, 3, 2)})


def _last_along(tensor: Tensor, copies: Copies) -> Tensor:
    """A tensor whose last axis lies side by side in memory: a copy where it does not."""
    access = resolve(tensor)
    if access is not None and (access.strides[-1] == 1 or tensor.shape[-1] == 1):
        return tensor
    key = id(tensor), False
    if key not in copies:
        copies[key] = tensor, copied(tensor)
    return copies[key][1]


def is_large(node: Tensor) -> bool:
    """Whether a product copies its operands into panels."""
    a = source_of(node).inputs[0]
    inner = a.size // max(node.size // node.shape[-1], 1)
    fits = node.ndim == 2 and node.type.is_float and inner >= _DEEP
    return fits and min(node.shape) >= _WIDE and node.size * inner >= _LARGE


def _suits_dots(node: Tensor, a: Tensor, flags: dict[str, bool]) -> bool:
    """Whether few columns are best computed as dot products along the inner axis."""
    rows, columns = node.shape[-2:]
    inner = a.shape[-2] if flags["transpose_a"] else a.shape[-1]
    along = operand_strides(a, flags["transpose_a"])[1] == 1
    is_small = columns in {1, 2, NARROW} and inner >= _LONG and rows >= columns
    return is_small and along and node.ndim == 2 and node.type.is_float


def stored_at(tensor: Tensor) -> Access | None:
    """How a tensor is read from memory; None where it is a number or a running index."""
    access = resolve(tensor)
    if access is None or access.base.size == 0:
        return None
    base = access.base
    is_iota = base.source is not None and base.source.primitive.name == "iota"
    is_number = base.value is not None and not base.shape
    return None if is_iota or is_number else access


def operand_strides(tensor: Tensor, transposed: bool) -> tuple[int, int]:
    """The strides of an operand along its rows and its columns, as the product reads it."""
    access = resolve(tensor)
    assert access is not None
    rows, columns = access.strides[-2:]
    return (columns, rows) if transposed else (rows, columns)
