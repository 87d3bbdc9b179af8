"""Convolutions, windows and batch normalisation in float64 NumPy, with derivatives by hand.

Each function gives a part's result and the function that takes the gradient of the result to those
of the part's input and parameters. It shares no code with thalweg's graph, and computes a
convolution as another sum: every patch a row of a matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from thalweg.bench.architectures import (
    EPSILON,
    Average,
    Convolution,
    Dense,
    Flatten,
    Norm,
    Part,
    Pool,
    ReLU,
    Residual,
)

Array = npt.NDArray[np.float64]
Back = Callable[[Array], tuple[Array, list[Array]]]
Values = Iterator[Array]


def evaluate(parts: Sequence[Part], x: Array, values: Values) -> tuple[Array, Back]:
    """All parts, one after the other.

    Args:
        parts: the network or a branch of it.
        x: (N, C, H, W), or (N, features) behind the images.
        values: the parameters, taken as they are needed.

    Returns:
        The output; the gradient of the output to those of x and of the parameters in order.
    """
    backs: list[Back] = []
    for part in parts:
        x, back = _evaluate(part, x, values)
        backs.append(back)

    def together(gradient: Array) -> tuple[Array, list[Array]]:
        found: list[Array] = []
        for back in reversed(backs):
            gradient, own = back(gradient)
            found = [*own, *found]
        return gradient, found

    return x, together


def _evaluate(part: Part, x: Array, values: Values) -> tuple[Array, Back]:
    kinds = cast("dict[type, Callable[..., tuple[Array, Back]]]", _KINDS)
    return kinds[type(part)](part, x, values)


def _convolution(part: Convolution, x: Array, values: Values) -> tuple[Array, Back]:
    weight = next(values)
    bias = next(values) if part.bias else 0.0
    edge, taps, step = part.padding, part.taps, part.stride
    padded = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (taps, taps), axis=(2, 3))
    seen = seen[:, :, ::step, ::step].transpose(0, 2, 3, 4, 5, 1)
    rows, matrix = seen.reshape(-1, taps * taps * part.inputs), weight.reshape(-1, part.outputs)
    shape = (len(x), part.size, part.size, part.outputs)

    def back(gradient: Array) -> tuple[Array, list[Array]]:
        flat = gradient.transpose(0, 2, 3, 1).reshape(-1, part.outputs)
        of_rows = (flat @ matrix.T).reshape(seen.shape)
        found = np.zeros_like(padded)
        reach = step * (part.size - 1) + 1
        for i, j in np.ndindex(taps, taps):
            tap = of_rows[:, :, :, i, j].transpose(0, 3, 1, 2)
            found[:, :, i : i + reach : step, j : j + reach : step] += tap
        own = [(rows.T @ flat).reshape(weight.shape)]
        own += [flat.sum(axis=0)] if part.bias else []
        return found[:, :, edge : edge + x.shape[2], edge : edge + x.shape[3]], own

    return (rows @ matrix + bias).reshape(shape).transpose(0, 3, 1, 2), back


def _dense(part: Dense, x: Array, values: Values) -> tuple[Array, Back]:
    weight, bias = next(values), next(values)
    return x @ weight + bias, lambda g: (g @ weight.T, [x.T @ g, g.sum(axis=0)])


def _norm(part: Norm, x: Array, values: Values) -> tuple[Array, Back]:
    axes = (0, 2, 3)
    factor, term = (next(values)[:, None, None] for _ in range(2))
    deviation = np.sqrt(x.var(axis=axes, keepdims=True) + EPSILON)
    unit = (x - x.mean(axis=axes, keepdims=True)) / deviation

    def back(gradient: Array) -> tuple[Array, list[Array]]:
        inner = gradient * factor
        along = (inner * unit).mean(axis=axes, keepdims=True)
        found = (inner - inner.mean(axis=axes, keepdims=True) - unit * along) / deviation
        return found, [(gradient * unit).sum(axis=axes), gradient.sum(axis=axes)]

    return unit * factor + term, back


def _pool(part: Pool, x: Array, values: Values) -> tuple[Array, Back]:
    n, channels, height, width = x.shape
    taps = part.taps
    split = x.reshape(n, channels, height // taps, taps, width // taps, taps)
    lines = split.transpose(0, 1, 2, 4, 3, 5).reshape(*x.shape[:2], height // taps, -1, taps**2)
    places = lines.argmax(axis=-1)[..., None]

    def back(gradient: Array) -> tuple[Array, list[Array]]:
        found = np.zeros_like(lines)
        np.put_along_axis(found, places, gradient[..., None], axis=-1)
        squares = found.reshape(n, channels, height // taps, width // taps, taps, taps)
        return squares.transpose(0, 1, 2, 4, 3, 5).reshape(x.shape), []

    return np.take_along_axis(lines, places, axis=-1)[..., 0], back


def _relu(part: ReLU, x: Array, values: Values) -> tuple[Array, Back]:
    return np.maximum(x, 0), lambda g: (g * (x > 0), [])


def _flatten(part: Flatten, x: Array, values: Values) -> tuple[Array, Back]:
    return x.reshape(len(x), -1), lambda g: (g.reshape(x.shape), [])


def _average(part: Average, x: Array, values: Values) -> tuple[Array, Back]:
    area = x.shape[2] * x.shape[3]

    def back(gradient: Array) -> tuple[Array, list[Array]]:
        spread: Array = np.broadcast_to(gradient[:, :, None, None] / area, x.shape)
        return spread, []

    return x.mean(axis=(2, 3)), back


def _residual(part: Residual, x: Array, values: Values) -> tuple[Array, Back]:
    body, of_body = evaluate(part.body, x, values)
    shortcut, of_shortcut = evaluate(part.shortcut, x, values)

    def back(gradient: Array) -> tuple[Array, list[Array]]:
        one, first = of_body(gradient)
        other, second = of_shortcut(gradient)
        return one + other, [*first, *second]

    return body + shortcut, back


_KINDS: dict[type, Any] = {
    Convolution: _convolution,
    Dense: _dense,
    Norm: _norm,
    Pool: _pool,
    ReLU: _relu,
    Flatten: _flatten,
    Average: _average,
    Residual: _residual,
}
