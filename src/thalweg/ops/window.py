"""Windows that slide over two axes: their maxima and sums, with derivatives and transposes.

All take and give (H, W, C, N), rows of a batch last, as :mod:`.convolution` does. What lies in the
padding takes no part: it is no maximum and adds nothing. Of equal maxima the first in row-major
order counts; NaN counts as greatest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import Array, Primitive, Sample, Tensor, TensorType, register
from thalweg.ops.convolution import Pair, Window, taps_of, window_of
from thalweg.ops.declare import (
    Cotangents,
    Linear,
    Tangents,
    inputs_of,
    parameters_of,
    require_kind,
)


def places_of(x: tuple[int, ...], taps: Pair, window: Window, name: str) -> Pair:
    """How many windows lie over an input (H, W, C, N).

    Raises:
        ShapeError: none does, or one would lie in the padding alone.
    """
    if len(x) != 4 or min(taps) < 1:
        raise ShapeError(f"{name} takes an input (H, W, C, N) and windows of at least 1 × 1")
    window.check(name)
    if any(
        max(pair) >= cover for pair, cover in zip(window.padding, window.extent(taps), strict=True)
    ):
        raise ShapeError(
            f"{name}: padding {window.padding} must be smaller than the window {taps}, or some "
            "windows would hold nothing"
        )
    return window.places((x[0], x[1]), taps, name)


def _window_type(
    x: TensorType, taps: Pair, name: str, window: Window, kinds: str = "fi"
) -> TensorType:
    require_kind(name, x, kinds)
    return TensorType((*places_of(x.shape, taps, window, name), *x.shape[2:]), x.dtype)


def _padded(x: Array, window: Window, value: float) -> Array:
    (low, high), (left, right) = window.padding
    widths = ((low, high), (left, right), (0, 0), (0, 0))
    return np.pad(x, widths, constant_values=value) if max(low, high, left, right) else x


def _taps(x: Array, taps: Pair, window: Window, value: float) -> Iterator[Array]:
    """For each tap, what it reads at all places."""
    places = window.places((x.shape[0], x.shape[1]), taps)
    source = _padded(x, window, value)
    for tap in taps_of(taps):
        yield source[window.of_tap(tap, places)]


# ------------------------------------------------------------------ maxima


def _least(x: Array) -> float:
    return -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min


def _max_type(x: TensorType, taps: Pair, **parameters: Any) -> TensorType:
    return _window_type(x, taps, "window_max", window_of(parameters))


def _max_value(x: Array, taps: Pair, **parameters: Any) -> Array:
    result = None
    for part in _taps(x, taps, window_of(parameters), _least(x)):
        result = part if result is None else np.maximum(result, part)
    assert result is not None
    return np.array(result)


def _max_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    (change,) = tangents
    return (
        None if change is None else window_pick(inputs_of(node)[0], change, **parameters_of(node))
    )


def winner(x: Array, taps: Pair, window: Window) -> Array:
    """The number of the tap, in row-major order, where each window's maximum lies."""
    return np.argmax(np.stack(list(_taps(x, taps, window, _least(x)))), axis=0)


def _pick_type(x: TensorType, v: TensorType, taps: Pair, **parameters: Any) -> TensorType:
    result = _window_type(x, taps, "window_pick", window_of(parameters), "f")
    if v.shape != x.shape:
        raise ShapeError(f"window_pick takes tensors of one shape, got {x} and {v}")
    _one_type("window_pick", x, v)
    return result


def _one_type(name: str, x: TensorType, v: TensorType) -> None:
    if v.dtype != x.dtype:
        raise DTypeError(f"{name} takes tensors of one type, got {x} and {v}")


def _pick_value(x: Array, v: Array, taps: Pair, **parameters: Any) -> Array:
    window = window_of(parameters)
    chosen = winner(x, taps, window)
    result = np.zeros(chosen.shape, v.dtype)
    for number, part in enumerate(_taps(v, taps, window, 0)):
        result = np.where(chosen == number, part, result)
    return result


def _pick_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    (x, _), (_, change) = inputs_of(node), tangents
    return None if change is None else window_pick(x, change, **parameters_of(node))


def _pick_transpose(node: Tensor, cotangent: Tensor, linear: Linear) -> Cotangents:
    x = inputs_of(node)[0]
    placed = window_place(x, cotangent, **parameters_of(node)) if linear[1] else None
    return None, placed


def _place_type(x: TensorType, o: TensorType, taps: Pair, **parameters: Any) -> TensorType:
    wanted = _window_type(x, taps, "window_place", window_of(parameters), "f")
    if o.shape != wanted.shape:
        raise ShapeError(f"window_place: results {wanted} were expected, got {o}")
    _one_type("window_place", x, o)
    return x


def _place_value(x: Array, o: Array, taps: Pair, **parameters: Any) -> Array:
    window = window_of(parameters)
    chosen = winner(x, taps, window)
    parts = [np.where(chosen == number, o, 0) for number in range(taps[0] * taps[1])]
    return _laid(parts, x.shape, taps, window, o)


def _laid(parts: list[Array], shape: Any, taps: Pair, window: Window, o: Array) -> Array:
    """Add each tap's part where the tap reads."""
    (low, high), (left, right) = window.padding
    size = (shape[0] + low + high, shape[1] + left + right, *shape[2:])
    result = np.zeros(size, o.dtype)
    for tap, part in zip(taps_of(taps), parts, strict=True):
        result[window.of_tap(tap, (o.shape[0], o.shape[1]))] += part
    return result[low : low + shape[0], left : left + shape[1]]


def _place_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    (x, _), (_, change) = inputs_of(node), tangents
    return None if change is None else window_place(x, change, **parameters_of(node))


def _place_transpose(node: Tensor, cotangent: Tensor, linear: Linear) -> Cotangents:
    x = inputs_of(node)[0]
    return None, window_pick(x, cotangent, **parameters_of(node)) if linear[1] else None


# ------------------------------------------------------------------ sums


def _sum_type(x: TensorType, taps: Pair, **parameters: Any) -> TensorType:
    return _window_type(x, taps, "window_sum", window_of(parameters), "f")


def _sum_value(x: Array, taps: Pair, **parameters: Any) -> Array:
    parts = list(_taps(x, taps, window_of(parameters), 0))
    result = parts[0].copy()
    for part in parts[1:]:
        result += part
    return result


def _sum_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    (change,) = tangents
    return None if change is None else window_sum(change, **parameters_of(node))


def _sum_transpose(node: Tensor, cotangent: Tensor, _: Linear) -> Cotangents:
    size = inputs_of(node)[0].shape[:2]
    return (window_spread(cotangent, shape=size, **parameters_of(node)),)


def _spread_type(o: TensorType, taps: Pair, shape: Pair, **parameters: Any) -> TensorType:
    require_kind("window_spread", o, "f")
    x = (*shape, *o.shape[2:])
    places = places_of(x, taps, window_of(parameters), "window_spread")
    if places != o.shape[:2]:
        raise ShapeError(f"window_spread: results {places} were expected, got {o.shape[:2]}")
    return TensorType(x, o.dtype)


def _spread_value(o: Array, taps: Pair, shape: Pair, **parameters: Any) -> Array:
    parts = [o] * (taps[0] * taps[1])
    return _laid(parts, (*shape, *o.shape[2:]), taps, window_of(parameters), o)


def _spread_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    (change,) = tangents
    return None if change is None else window_spread(change, **parameters_of(node))


def _spread_transpose(node: Tensor, cotangent: Tensor, _: Linear) -> Cotangents:
    parameters = {k: v for k, v in parameters_of(node).items() if k != "shape"}
    return (window_sum(cotangent, **parameters),)


# ------------------------------------------------------------------ samples

_CASES: list[tuple[tuple[int, int, int, int], dict[str, Any]]] = [
    ((4, 6, 2, 3), {"stride": (2, 2)}),
    ((5, 7, 1, 2), {"stride": (2, 2)}),
    ((5, 6, 2, 1), {"stride": (2, 1), "padding": ((1, 1), (0, 1))}),
    ((7, 7, 1, 4), {"taps": (3, 3), "stride": (2, 2), "padding": ((1, 1), (1, 0))}),
    ((6, 5, 2, 2), {"taps": (2, 2), "dilation": (2, 3), "padding": ((1, 0), (0, 1))}),
    ((4, 4, 1, 0), {}),
]


def _samples(kind: str) -> list[Sample]:
    rng = np.random.default_rng(5)
    found: list[Sample] = []
    for x, changes in _CASES:
        parameters: dict[str, Any] = {"taps": (2, 2), **Window()._asdict(), **changes}
        window = window_of(parameters)
        o = (*window.places((x[0], x[1]), parameters["taps"]), *x[2:])
        shapes = {"x": x, "v": x, "o": o}
        inputs = tuple(rng.normal(size=shapes[name]) for name in kind)
        extra = {"shape": x[:2]} if kind == "o" else {}
        found.append(Sample(inputs, {**parameters, **extra}))
    first = found[0]
    return [*found, Sample(tuple(array.T.copy().T for array in first.inputs), first.parameters)]


def _failures(kind: str) -> list[Sample]:
    inputs, parameters = _samples(kind)[0]
    others = inputs[:-1]
    return [
        Sample((*others, inputs[-1][0]), parameters),
        Sample((*others, inputs[-1].astype(bool)), parameters),
        Sample(inputs, {**parameters, "taps": (9, 9)}),
        Sample(inputs, {**parameters, "stride": (0, 1)}),
        Sample(inputs, {**parameters, "padding": ((2, 0), (0, 0))}),
    ]


window_max = register(
    Primitive(
        "window_max",
        "window",
        _max_type,
        _max_value,
        _max_tangent,
        flops=lambda node: (
            node.size * (parameters_of(node)["taps"][0] * parameters_of(node)["taps"][1])
        ),
        samples=lambda: _samples("x"),
        failures=lambda: _failures("x"),
    )
)

window_pick = register(
    Primitive(
        "window_pick",
        "window",
        _pick_type,
        _pick_value,
        _pick_tangent,
        _pick_transpose,
        samples=lambda: _samples("xv"),
        failures=lambda: _failures("xv"),
    )
)

window_place = register(
    Primitive(
        "window_place",
        "window",
        _place_type,
        _place_value,
        _place_tangent,
        _place_transpose,
        samples=lambda: _samples("xo"),
        failures=lambda: _failures("xo"),
    )
)

window_sum = register(
    Primitive(
        "window_sum",
        "window",
        _sum_type,
        _sum_value,
        _sum_tangent,
        _sum_transpose,
        flops=lambda node: (
            node.size * (parameters_of(node)["taps"][0] * parameters_of(node)["taps"][1])
        ),
        samples=lambda: _samples("x"),
        failures=lambda: _failures("x"),
    )
)

window_spread = register(
    Primitive(
        "window_spread",
        "window",
        _spread_type,
        _spread_value,
        _spread_tangent,
        _spread_transpose,
        samples=lambda: _samples("o"),
        failures=lambda: _failures("o"),
    )
)
