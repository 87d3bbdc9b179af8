"""An architecture as a function of JAX."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

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


def image_function(parts: Sequence[Part], order: str) -> Callable[[Any, Any], Any]:
    """The network as a function of its weights and images.

    Args:
        parts: the network.
        order: of the images' axes, ``NHWC`` or ``NCHW``.
    """

    def network(weights: Any, x: Any) -> Any:
        return _evaluate(parts, x, iter(weights), order)

    return network


def _evaluate(parts: Sequence[Part], x: Any, weights: Iterator[Any], order: str) -> Any:
    for part in parts:
        x = _apply(part, x, weights, order)
    return x


def _apply(part: Part, x: Any, weights: Iterator[Any], order: str) -> Any:
    import jax  # pyright: ignore[reportMissingImports]

    match part:
        case Convolution():
            x = _convolve(part, x, next(weights), order)
        case Dense():
            weight, bias = next(weights)
            x = x @ weight + bias
        case Norm():
            factor, term = next(weights)
            x = _normalise(x, factor, term, order)
        case Pool(taps):
            window = [taps if axis in "HW" else 1 for axis in order]
            x = jax.lax.reduce_window(x, -jax.numpy.inf, jax.lax.max, window, window, "VALID")
        case ReLU():
            x = jax.nn.relu(x)
        case Flatten():
            x = (x.transpose(0, 3, 1, 2) if order == "NHWC" else x).reshape(len(x), -1)
        case Average():
            x = x.mean(axis=(order.index("H"), order.index("W")))
        case Residual():
            inner = _evaluate(part.body, x, weights, order)
            x = inner + _evaluate(part.shortcut, x, weights, order)
    return x


def _convolve(part: Convolution, x: Any, weights: Any, order: str) -> Any:
    import jax  # pyright: ignore[reportMissingImports]

    edges = [(part.padding, part.padding)] * 2
    z = jax.lax.conv_general_dilated(
        x, weights[0], (part.stride,) * 2, edges, dimension_numbers=(order, "HWIO", order)
    )
    return z + _along(weights[1], order) if part.bias else z


def _normalise(x: Any, factor: Any, term: Any, order: str) -> Any:
    import jax  # pyright: ignore[reportMissingImports]

    axes = tuple(order.index(axis) for axis in "NHW")
    mean = x.mean(axis=axes, keepdims=True)
    scale = jax.lax.rsqrt(x.var(axis=axes, keepdims=True) + EPSILON)
    return (x - mean) * (scale * _along(factor, order)) + _along(term, order)


def _along(values: Any, order: str) -> Any:
    return values if order == "NHWC" else values[:, None, None]
