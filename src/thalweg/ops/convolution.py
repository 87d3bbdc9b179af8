"""Convolution: three primitives of one trilinear form, each the transpose of the others.

Σ over places p, taps t, channels and rows n of ``o[p, k, n] · x[s·p + d·t - padding, c, n] ·
w[t, c, k]`` gives, taken apart by one of its three factors, the convolution (of ``x`` and ``w``),
its gradient for the input (of ``o`` and ``w``) and its gradient for the weights (of ``x`` and
``o``). So any derivative of one of them is made of the three.

Rows of a batch are the *last* axis, so that they lie side by side in memory and a machine computes
many at once; taps are not flipped (cross-correlation). What lies in the padding takes no part: a
weight that is NaN spoils only places where its tap lies inside the input. Layers take and give
(N, C, H, W) and read this order through transposed views (:mod:`thalweg.nn.windows`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from thalweg.errors import DTypeError, ShapeError
from thalweg.graph import Array, Primitive, Sample, Tensor, TensorType, register, source_of
from thalweg.ops.binary import plus
from thalweg.ops.declare import (
    Cotangents,
    Linear,
    Tangents,
    inputs_of,
    require_kind,
)

Pair = tuple[int, int]


def taps_of(shape: Pair) -> Iterator[Pair]:
    """Every tap of a kernel, in row-major order."""
    for down in range(shape[0]):
        for across in range(shape[1]):
            yield down, across


class Window(NamedTuple):
    """How windows lie over two axes.

    Attributes:
        stride: from one window to the next, along each axis.
        padding: zeros before and behind, along each axis.
        dilation: from one tap to the next, along each axis.
    """

    stride: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)

    def extent(self, taps: Pair) -> Pair:
        """What a window of so many taps covers."""
        (high, wide), (down, across) = taps, self.dilation
        return (high - 1) * down + 1, (wide - 1) * across + 1

    def places(self, size: Pair, taps: Pair, name: str = "convolve") -> Pair:
        """How many windows fit.

        Raises:
            ShapeError: none does.
        """
        found: list[int] = []
        for length, cover, by, (low, high) in zip(
            size, self.extent(taps), self.stride, self.padding, strict=True
        ):
            if cover > length + low + high:
                raise ShapeError(
                    f"{name}: a window of {cover} does not fit into {length} with padding "
                    f"{low} and {high}"
                )
            found.append((length + low + high - cover) // by + 1)
        return found[0], found[1]

    def of_tap(self, tap: Pair, places: Pair) -> tuple[slice, slice]:
        """Where a tap reads the padded input, over all places."""
        starts = [t * d for t, d in zip(tap, self.dilation, strict=True)]
        down, across = (
            slice(start, start + (count - 1) * by + 1, by)
            for start, count, by in zip(starts, places, self.stride, strict=True)
        )
        return down, across

    def check(self, name: str) -> None:
        """Raise a ShapeError where a number is too small."""
        if min(*self.stride, *self.dilation) < 1 or min(min(pair) for pair in self.padding) < 0:
            raise ShapeError(
                f"{name}: stride and dilation must be ≥ 1 and padding ≥ 0, got {self.stride}, "
                f"{self.dilation} and {self.padding}"
            )


class Form(NamedTuple):
    """The trilinear form: sizes of all that takes part."""

    window: Window
    groups: int
    size: Pair
    taps: Pair
    places: Pair
    channels: int
    maps: int
    rows: int


def form_of(
    x: tuple[int, ...], w: tuple[int, ...], window: Window, groups: int, name: str = "convolve"
) -> Form:
    """The form for an input (H, W, C, N) and weights (kh, kw, C / groups, K).

    Raises:
        ShapeError: they do not fit.
    """
    if len(x) != 4 or len(w) != 4:
        raise ShapeError(f"{name} takes an input (H, W, C, N) and weights (kh, kw, C/groups, K)")
    window.check(name)
    channels, maps = x[2], w[3]
    if groups < 1 or channels % groups or maps % groups:
        raise ShapeError(
            f"{name}: {channels} channels and {maps} maps do not divide into {groups} groups"
        )
    if w[2] * groups != channels:
        raise ShapeError(
            f"{name}: weights for {w[2]} channels in each of {groups} groups do not fit an input "
            f"of {channels} channels"
        )
    taps = w[0], w[1]
    places = window.places((x[0], x[1]), taps, name)
    return Form(window, groups, (x[0], x[1]), taps, places, channels, maps, x[3])


def form_of_node(node: Tensor) -> Form:
    """The form that a node of one of the three primitives belongs to."""
    primitive, inputs, parameters = source_of(node)
    window = window_of(parameters)
    groups = parameters["groups"]
    first, second = (item.shape for item in inputs)
    if primitive.name == "convolve":
        return form_of(first, second, window, groups)
    if primitive.name == "convolve_input":
        x = (*parameters["shape"], second[2] * groups, first[3])
        return form_of(x, second, window, groups)
    w = (*parameters["shape"], first[2] // groups, second[2])
    return form_of(first, w, window, groups)


def window_of(parameters: dict[str, Any]) -> Window:
    """The window among a node's parameters."""
    return Window(parameters["stride"], parameters["padding"], parameters["dilation"])


def _plain(form: Form) -> dict[str, Any]:
    return {**form.window._asdict(), "groups": form.groups}


def _same_floats(name: str, a: TensorType, b: TensorType) -> None:
    require_kind(name, a, "f")
    if a.dtype != b.dtype:
        raise DTypeError(f"{name} takes tensors of one type, got {a} and {b}")


# ------------------------------------------------------------------ types


def _convolve_type(
    x: TensorType, w: TensorType, stride: Pair, padding: Any, dilation: Pair, groups: int
) -> TensorType:
    _same_floats("convolve", x, w)
    form = form_of(x.shape, w.shape, Window(stride, padding, dilation), groups)
    return TensorType((*form.places, form.maps, form.rows), x.dtype)


def _input_type(
    o: TensorType, w: TensorType, stride: Pair, padding: Any, dilation: Pair, groups: int,
    shape: Pair,
) -> TensorType:  # fmt: skip
    name = "convolve_input"
    _same_floats(name, o, w)
    if len(o.shape) != 4 or len(w.shape) != 4:
        raise ShapeError(f"{name} takes results (OH, OW, K, N) and weights (kh, kw, C/groups, K)")
    x = (*shape, w.shape[2] * groups, o.shape[3])
    form = form_of(x, w.shape, Window(stride, padding, dilation), groups, name)
    if (*form.places, form.maps) != o.shape[:3]:
        raise ShapeError(
            f"{name}: results of {(*form.places, form.maps)} were expected, got {o.shape[:3]}"
        )
    return TensorType(x, o.dtype)


def _weight_type(
    x: TensorType, o: TensorType, stride: Pair, padding: Any, dilation: Pair, groups: int,
    shape: Pair,
) -> TensorType:  # fmt: skip
    name = "convolve_weight"
    _same_floats(name, x, o)
    if len(x.shape) != 4 or len(o.shape) != 4 or groups < 1:
        raise ShapeError(f"{name} takes inputs (H, W, C, N) and results (OH, OW, K, N)")
    w = (*shape, x.shape[2] // groups, o.shape[2])
    form = form_of(x.shape, w, Window(stride, padding, dilation), groups, name)
    if (*form.places, form.rows) != (*o.shape[:2], o.shape[3]):
        raise ShapeError(f"{name}: inputs {x} and results {o} do not fit")
    return TensorType(w, x.dtype)


# ------------------------------------------------------------------ values


class _Meeting(NamedTuple):
    """Where a tap lies inside the input.

    Attributes:
        tap: which one.
        places: for which results.
        read: what of the input it reads there.
    """

    tap: Pair
    places: tuple[slice, slice]
    read: tuple[slice, slice]


def _meetings(form: Form) -> Iterator[_Meeting]:
    """For every tap, all results at once; what would lie in the padding takes no part."""
    for tap in taps_of(form.taps):
        axes = [_meeting(form, axis, tap[axis]) for axis in (0, 1)]
        (down, read_down), (across, read_across) = axes
        yield _Meeting(tap, (down, across), (read_down, read_across))


def _meeting(form: Form, axis: int, tap: int) -> tuple[slice, slice]:
    by, low = form.window.stride[axis], form.window.padding[axis][0]
    shift = tap * form.window.dilation[axis] - low
    first = max(0, -(shift // by))
    after = max(min(form.places[axis], (form.size[axis] - 1 - shift) // by + 1), first)
    start = first * by + shift
    return slice(first, after), slice(start, start + max((after - first - 1) * by + 1, 0), by)


def _columns(x: Array, groups: int) -> Array:
    """(P, Q, C, N) as (groups, C / groups, PQN)."""
    down, across, channels, rows = x.shape
    split = x.reshape(down, across, groups, channels // groups, rows).transpose(2, 3, 0, 1, 4)
    return np.ascontiguousarray(split).reshape(groups, channels // groups, down * across * rows)


def _maps(columns: Array, shape: tuple[int, ...]) -> Array:
    """(groups, C / groups, PQN) as (P, Q, C, N)."""
    down, across, channels, rows = shape
    split = columns.reshape(*columns.shape[:2], down, across, rows)
    return split.transpose(2, 3, 0, 1, 4).reshape(down, across, channels, rows)


def _tap_weights(w: Array, tap: Pair, groups: int) -> Array:
    """The weights of a tap as (groups, K / groups, C / groups)."""
    channels, maps = w.shape[2:]
    matrix = w[tap].reshape(channels, groups, maps // groups).transpose(1, 2, 0)
    return np.ascontiguousarray(matrix)


def _convolve_value(x: Array, w: Array, groups: int, **parameters: Any) -> Array:
    form = form_of(x.shape, w.shape, window_of(parameters), groups)
    result = np.zeros((*form.places, form.maps, form.rows), x.dtype)
    for tap, places, read in _meetings(form):
        target = result[places]
        part = _tap_weights(w, tap, groups) @ _columns(x[read], groups)
        target += _maps(part, target.shape)
    return result


def _input_value(o: Array, w: Array, groups: int, shape: Pair, **parameters: Any) -> Array:
    x = (*shape, w.shape[2] * groups, o.shape[3])
    form = form_of(x, w.shape, window_of(parameters), groups)
    result = np.zeros(x, o.dtype)
    for tap, places, read in _meetings(form):
        target = result[read]
        part = _tap_weights(w, tap, groups).swapaxes(1, 2) @ _columns(o[places], groups)
        target += _maps(part, target.shape)
    return result


def _weight_value(x: Array, o: Array, groups: int, shape: Pair, **parameters: Any) -> Array:
    w = (*shape, x.shape[2] // groups, o.shape[2])
    form = form_of(x.shape, w, window_of(parameters), groups)
    result = np.zeros(w, x.dtype)
    for tap, places, read in _meetings(form):
        part = _columns(x[read], groups) @ _columns(o[places], groups).swapaxes(1, 2)
        result[tap] = part.transpose(1, 0, 2).reshape(w[2:])
    return result


# ------------------------------------------------------------------ derivatives


def _of_input(o: Tensor, w: Tensor, form: Form) -> Tensor:
    return convolve_input(o, w, shape=form.size, **_plain(form))


def _of_weight(x: Tensor, o: Tensor, form: Form) -> Tensor:
    return convolve_weight(x, o, shape=form.taps, **_plain(form))


def _bilinear_tangent(node: Tensor, tangents: Tangents) -> Tensor | None:
    primitive, (a, b), parameters = source_of(node)
    da, db = tangents
    return plus(
        None if da is None else primitive(da, b, **parameters),
        None if db is None else primitive(a, db, **parameters),
    )


def _convolve_transpose(node: Tensor, cotangent: Tensor, linear: Linear) -> Cotangents:
    (x, w), form = inputs_of(node), form_of_node(node)
    return (
        _of_input(cotangent, w, form) if linear[0] else None,
        _of_weight(x, cotangent, form) if linear[1] else None,
    )


def _input_transpose(node: Tensor, cotangent: Tensor, linear: Linear) -> Cotangents:
    (o, w), form = inputs_of(node), form_of_node(node)
    return (
        convolve(cotangent, w, **_plain(form)) if linear[0] else None,
        _of_weight(cotangent, o, form) if linear[1] else None,
    )


def _weight_transpose(node: Tensor, cotangent: Tensor, linear: Linear) -> Cotangents:
    (x, o), form = inputs_of(node), form_of_node(node)
    return (
        _of_input(o, cotangent, form) if linear[0] else None,
        convolve(x, cotangent, **_plain(form)) if linear[1] else None,
    )


def _flops(node: Tensor) -> int:
    """Twice the products of a tap and a place that lies inside the input."""
    form = form_of_node(node)
    pairs = 1
    for axis in (0, 1):
        by, gap = form.window.stride[axis], form.window.dilation[axis]
        low = form.window.padding[axis][0]
        pairs *= sum(
            0 <= place * by + tap * gap - low < form.size[axis]
            for place in range(form.places[axis])
            for tap in range(form.taps[axis])
        )
    return 2 * pairs * form.channels // form.groups * form.maps * form.rows


# ------------------------------------------------------------------ samples

_CASES: list[tuple[tuple[int, int, int, int], tuple[int, int, int], dict[str, Any]]] = [
    ((5, 6, 3, 2), (3, 2, 4), {}),
    ((6, 5, 4, 3), (3, 3, 6), {"stride": (2, 1), "padding": ((1, 0), (2, 1)), "groups": 2}),
    ((7, 6, 2, 1), (2, 3, 2), {"dilation": (2, 2), "padding": ((0, 1), (1, 1)), "groups": 2}),
    ((8, 7, 1, 5), (3, 3, 2), {"stride": (3, 2), "padding": ((2, 2), (1, 2))}),
    ((1, 6, 2, 4), (1, 3, 3), {"padding": ((0, 0), (1, 1))}),
    ((4, 3, 2, 0), (2, 2, 3), {}),
]


def _forms() -> list[tuple[Form, dict[str, Any]]]:
    plain: dict[str, Any] = {**Window()._asdict(), "groups": 1}
    found: list[tuple[Form, dict[str, Any]]] = []
    for x, (high, wide, maps), changes in _CASES:
        parameters = {**plain, **changes}
        w = (high, wide, x[2] // parameters["groups"], maps)
        found.append((form_of(x, w, window_of(parameters), parameters["groups"]), parameters))
    return found


def _shapes(form: Form) -> dict[str, tuple[int, ...]]:
    return {
        "x": (*form.size, form.channels, form.rows),
        "w": (*form.taps, form.channels // form.groups, form.maps),
        "o": (*form.places, form.maps, form.rows),
    }


def _samples(kinds: str) -> list[Sample]:
    rng = np.random.default_rng(4)
    found: list[Sample] = []
    for form, parameters in _forms():
        shapes = _shapes(form)
        extra: dict[str, Any] = {}
        if kinds == "ow":
            extra = {"shape": form.size}
        elif kinds == "xo":
            extra = {"shape": form.taps}
        inputs = tuple(rng.normal(size=shapes[kind]) for kind in kinds)
        found.append(Sample(inputs, {**parameters, **extra}))
    (first, second), parameters = found[0]
    return [*found, Sample((first.T.copy().T, second[:, ::-1]), parameters)]


def _failures(kinds: str) -> list[Sample]:
    (a, b), parameters = _samples(kinds)[0]
    wrong = {**parameters, "stride": (0, 1)}
    return [
        Sample((a, b.astype("float32")), parameters),
        Sample((a[0], b), parameters),
        Sample((a, b), wrong),
        Sample((a, b), {**parameters, "groups": 5}),
        Sample((a[:, :, :1], b[:, :, :, :1]), {**parameters, "dilation": (9, 9)}),
    ]


convolve = register(
    Primitive(
        "convolve",
        "product",
        _convolve_type,
        _convolve_value,
        _bilinear_tangent,
        _convolve_transpose,
        flops=_flops,
        samples=lambda: _samples("xw"),
        failures=lambda: _failures("xw"),
    )
)

convolve_input = register(
    Primitive(
        "convolve_input",
        "product",
        _input_type,
        _input_value,
        _bilinear_tangent,
        _input_transpose,
        flops=_flops,
        samples=lambda: _samples("ow"),
        failures=lambda: _failures("ow"),
    )
)

convolve_weight = register(
    Primitive(
        "convolve_weight",
        "product",
        _weight_type,
        _weight_value,
        _bilinear_tangent,
        _weight_transpose,
        flops=_flops,
        samples=lambda: _samples("xo"),
        failures=lambda: _failures("xo"),
    )
)
