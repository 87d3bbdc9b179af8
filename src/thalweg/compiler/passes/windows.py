"""Windows for machine code: maxima and sums over windows as elementwise work on shifted views.

The interpreter computes window primitives as they are; a compiler has nothing to add to what it
does with views and elementwise chains. Where windows lie side by side (stride = size), what is
spread or placed is read through repeated views, and every element is written once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from thalweg.compiler.passes.order import ORDER
from thalweg.compiler.passes.pooling import POOLING
from thalweg.compiler.passes.rules import RULES, Rule, collected
from thalweg.compiler.passes.simplify import simplify
from thalweg.graph import Graph, Primitive, Tensor, defer, labelled, source_of
from thalweg.ops import binary, index, layout, reduction, repetition, unary
from thalweg.ops.convolution import Pair, Window, taps_of, window_of
from thalweg.ops.declare import inputs_of, parameters_of
from thalweg.ops.window import window_max, window_pick, window_place

WINDOWS: list[Rule] = []

_rule = collected(WINDOWS)


def without_windows(graph: Graph) -> Graph:
    """An equal graph without window primitives."""
    if all(source_of(node).primitive.kind != "window" for node in graph.nodes):
        return graph
    graph = simplify(graph, {"fold-constants"}, POOLING).graph
    rewrite = {name: rule.rewrite for rule in WINDOWS for name in rule.primitives}
    now: dict[int, Tensor] = {}
    for node in graph.nodes:
        primitive, inputs, parameters = source_of(node)
        inputs = tuple(now.get(id(item), item) for item in inputs)
        with labelled(*node.label):
            same = defer(primitive, inputs, parameters)
            expanded = rewrite[primitive.name](same) if primitive.kind == "window" else None
            now[id(node)] = same if expanded is None else expanded
    outputs = tuple(now.get(id(item), item) for item in graph.outputs)
    return simplify(Graph(graph.inputs, outputs), {"fold-constants"}, [*ORDER, *RULES]).graph


Tap = Callable[[int], Tensor]


def _taps_of(node: Tensor) -> tuple[Pair, Window]:
    parameters = parameters_of(node)
    return parameters["taps"], window_of(parameters)


def _parts(x: Tensor, taps: Pair, window: Window, value: float) -> list[Tensor]:
    """What each tap reads at all places, as views of the padded input."""
    places = window.places((x.shape[0], x.shape[1]), taps)
    (low, high), (left, right) = window.padding
    if max(low, high, left, right):
        x = layout.pad(
            x, low=(low, left, 0, 0), high=(high, right, 0, 0), interior=(0,) * 4, value=value
        )
    found: list[Tensor] = []
    for tap in taps_of(taps):
        down, across = window.of_tap(tap, places)
        found.append(
            layout.slice_(
                x,
                start=(down.start, across.start, 0, 0),
                stop=(down.stop, across.stop, *x.shape[2:]),
                step=(down.step, across.step, 1, 1),
            )
        )
    return found


def _least(x: Tensor) -> float:
    return -math.inf if x.type.is_float else int(np.iinfo(x.dtype).min)


@_rule("window-max-of-views", "window_max", "the greatest of shifted views")
def _maximum(node: Tensor) -> Tensor | None:
    x = inputs_of(node)[0]
    taps, window = _taps_of(node)
    if _is_all(x, taps, window):
        return layout.reshape(reduction.reduce_max(x, axes=(0, 1)), shape=node.shape)
    if _is_long(taps):
        return _one_axis_after_the_other(node)
    best, *others = _parts(x, taps, window, _least(x))
    for other in others:
        best = binary.max_(best, other)
    return best


@_rule("window-sum-of-views", "window_sum", "the sum of shifted views")
def _sum(node: Tensor) -> Tensor | None:
    x = inputs_of(node)[0]
    taps, window = _taps_of(node)
    if _is_all(x, taps, window):
        return layout.reshape(repetition.reduce_sum(x, axes=(0, 1)), shape=node.shape)
    if _is_long(taps):
        return _one_axis_after_the_other(node)
    total, *others = _parts(x, taps, window, 0.0)
    for other in others:
        total = binary.add(total, other)
    return total


_LONG = 16
"""Taps from which maxima and sums are taken along one axis after the other."""


def _is_all(x: Tensor, taps: Pair, window: Window) -> bool:
    """Whether the only window is the whole input."""
    return taps == x.shape[:2] and window.padding == ((0, 0), (0, 0)) and window.dilation == (1, 1)


def _is_long(taps: Pair) -> bool:
    return taps[0] * taps[1] > _LONG and min(taps) > 1


def _along(axis: int, taps: Pair, window: Window) -> dict[str, object]:
    """The parameters of windows of one column (axis 0) or of one row (axis 1)."""
    none = (0, 0)
    if axis == 0:
        size, one = (taps[0], 1), Window((window.stride[0], 1), (window.padding[0], none))
    else:
        size, one = (1, taps[1]), Window((1, window.stride[1]), (none, window.padding[1]))
    return {"taps": size, **one._replace(dilation=window.dilation)._asdict()}


def _expanded(primitive: Primitive, inputs: tuple[Tensor, ...], along: dict[str, object]) -> Tensor:
    """A window primitive over one axis, as work on views."""
    rewrite = next(rule.rewrite for rule in WINDOWS if primitive.name in rule.primitives)
    expanded = rewrite(defer(primitive, inputs, along))
    assert expanded is not None
    return expanded


def _one_axis_after_the_other(node: Tensor) -> Tensor:
    """The same over windows of one row, then of one column."""
    primitive, (x,), _ = source_of(node)
    taps, window = _taps_of(node)
    for axis in (1, 0):
        x = _expanded(primitive, (x,), _along(axis, taps, window))
    return x


def _takes(best: Tensor, other: Tensor) -> Tensor:
    """Where a value beats the best so far: it is greater, or the first NaN."""
    known = binary.eq(best, best)
    return binary.and_(known, unary.not_(binary.le(other, best)))


def _winner(x: Tensor, taps: Pair, window: Window) -> Tensor:
    """The number of the tap with each window's maximum, in x's own type."""
    best, *others = _parts(x, taps, window, -math.inf)
    chosen = repetition.zeros_like(best)
    for number, other in enumerate(others, 1):
        takes = _takes(best, other)
        chosen = binary.select(takes, repetition.full_like(chosen, float(number)), chosen)
        best = binary.max_(best, other)
    return chosen


@_rule("window-pick-of-views", "window_pick", "one of shifted views, chosen as they are compared")
def _pick(node: Tensor) -> Tensor | None:
    x, values = inputs_of(node)
    taps, window = _taps_of(node)
    if _is_long(taps):
        rows, columns = (_along(axis, taps, window) for axis in (1, 0))
        best = _expanded(window_max, (x,), rows)
        return _expanded(window_pick, (best, _expanded(window_pick, (x, values), rows)), columns)
    parts = _parts(x, taps, window, -math.inf)
    best, picked, *rest = parts[0], *_parts(values, taps, window, 0.0)
    for other, value in zip(parts[1:], rest, strict=True):
        picked = binary.select(_takes(best, other), value, picked)
        best = binary.max_(best, other)
    return picked


@_rule("window-place-by-views", "window_place", "what goes to the tap that won")
def _place(node: Tensor) -> Tensor | None:
    x, result = inputs_of(node)
    taps, window = _taps_of(node)
    if _is_long(taps):
        rows, columns = (_along(axis, taps, window) for axis in (1, 0))
        best = _expanded(window_max, (x,), rows)
        return _expanded(window_place, (x, _expanded(window_place, (best, result), columns)), rows)
    chosen = _winner(x, taps, window)
    if _lie_side_by_side(taps, window):
        return _placed(chosen, result, taps, x.shape)
    zero = repetition.zeros_like(result)

    def part(number: int) -> Tensor:
        wins = binary.eq(chosen, repetition.full_like(chosen, float(number)))
        return binary.select(wins, result, zero)

    return _laid(part, result, taps, window, x.shape)


@_rule("window-spread-by-views", "window_spread", "each result goes to all taps")
def _spread(node: Tensor) -> Tensor | None:
    result = inputs_of(node)[0]
    taps, window = _taps_of(node)
    if _lie_side_by_side(taps, window):
        return _filled(_repeated(result, taps), node.shape)
    return _laid(lambda _: result, result, taps, window, node.shape)


def _lie_side_by_side(taps: Pair, window: Window) -> bool:
    return window == Window(taps)


def _repeated(x: Tensor, taps: Pair) -> Tensor:
    """(P, Q, C, N) repeated as (P, kh, Q, kw, C, N)."""
    down, across, *rest = x.shape
    split = layout.reshape(x, shape=(down, 1, across, 1, *rest))
    return repetition.broadcast(split, shape=(down, taps[0], across, taps[1], *rest))


def _placed(chosen: Tensor, result: Tensor, taps: Pair, shape: tuple[int, ...]) -> Tensor:
    high, wide = taps
    numbers = defer(index.iota, (), {"length": high * wide, "dtype": chosen.dtype})
    numbers = layout.reshape(numbers, shape=(1, high, 1, wide, 1, 1))
    choice, value = _repeated(chosen, taps), _repeated(result, taps)
    wins = binary.eq(choice, repetition.broadcast(numbers, shape=choice.shape))
    return _filled(binary.select(wins, value, repetition.zeros_like(value)), shape)


def _filled(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """(P, kh, Q, kw, C, N) as (H, W, C, N), with zeros where no window lies."""
    down, high, across, wide, *rest = x.shape
    whole = layout.reshape(x, shape=(down * high, across * wide, *rest))
    missing = (shape[0] - whole.shape[0], shape[1] - whole.shape[1], 0, 0)
    if not any(missing):
        return whole
    return layout.pad(whole, low=(0,) * 4, high=missing, interior=(0,) * 4, value=0.0)


def _laid(part: Tap, result: Tensor, taps: Pair, window: Window, shape: tuple[int, ...]) -> Tensor:
    """The sum of each tap's part, laid where the tap reads, without the padding."""
    (low, high), (left, right) = window.padding
    size = shape[0] + low + high, shape[1] + left + right
    places = result.shape[0], result.shape[1]
    total: Tensor | None = None
    for number, tap in enumerate(taps_of(taps)):
        down, across = window.of_tap(tap, places)
        laid = layout.pad(
            part(number),
            low=(down.start, across.start, 0, 0),
            high=(size[0] - down.stop, size[1] - across.stop, 0, 0),
            interior=(window.stride[0] - 1, window.stride[1] - 1, 0, 0),
            value=0.0,
        )
        total = laid if total is None else binary.add(total, laid)
    assert total is not None
    return layout.slice_(
        total,
        start=(low, left, 0, 0),
        stop=(low + shape[0], left + shape[1], *shape[2:]),
        step=(1,) * 4,
    )
