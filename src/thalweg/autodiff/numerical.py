"""Numerical differentiation: central differences, and a check of gradients against them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.autodiff.transforms import grad, jvp
from thalweg.errors import DTypeError, GradientError
from thalweg.graph import Array, as_tensor
from thalweg.tree import Tree, flatten, leaf_paths, unflatten


@dataclass(frozen=True)
class GradientCheck:
    """What :func:`check_gradients` measured.

    Attributes:
        directions: how many random directions were compared.
        largest_error: the largest |derivative - difference| / (atol/rtol + |difference|).
    """

    directions: int
    largest_error: float


def central_difference(
    function: Callable[[Array], Array], x: Array, direction: Array, step: float = 1e-6
) -> Array:
    """(f(x + hv) - f(x - hv)) / 2h with h = step · max(1, ‖x‖∞), in float64.

    The error is O(h²) from truncation and O(ε/h) from rounding.
    """
    width = step * max(1.0, float(np.max(np.abs(x), initial=0.0)))
    ahead, behind = function(x + width * direction), function(x - width * direction)
    return (ahead - behind) / (2 * width)


def check_gradients(
    function: Callable[..., Any],
    *arguments: Any,
    directions: int = 5,
    order: int = 1,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    seed: int = 0,
) -> GradientCheck:
    """Compare derivatives with central differences in float64 along random directions.

    For each direction v: forward mode (Jv), reverse mode (uᵀJ v for a random u) and the difference
    quotient must agree within ``atol + rtol · |difference|``; with ``order=2`` those of the
    gradient too.

    Args:
        function: takes tensors or trees of them, returns a tensor.
        arguments: where to check; converted to float64.
        directions: number of random directions.
        order: 1, or 2 for second derivatives too.
        rtol: relative tolerance.
        atol: absolute tolerance.
        seed: of the random directions.

    Returns:
        The number of directions and the largest error found.

    Raises:
        GradientError: naming the mode, direction and the two values that disagree.

    >>> check_gradients(lambda x: (x**3).sum(), np.array([1.0, -2.0])).directions
    5
    """
    leaves, structure = flatten(tuple(arguments))
    points = [np.asarray(as_tensor(item).numpy(), dtype=np.float64) for item in leaves]
    _require_real(leaves, leaf_paths(tuple(arguments)))
    rng = np.random.default_rng(seed)
    shape = np.shape(_call(function, structure, points))
    weights = rng.normal(size=shape)

    def scalar(*inputs: Any) -> Any:
        return (as_tensor(function(*inputs)) * weights).sum()

    checks = [(scalar, "first")]
    if order == 2:
        fixed = [rng.normal(size=point.shape) for point in points]
        checks.append((_along(scalar, structure, fixed), "second"))
    largest = 0.0
    for checked, name in checks:
        for number in range(directions):
            changes = [rng.normal(size=point.shape) for point in points]
            error = _compare(checked, structure, points, changes, (rtol, atol))
            if error > 1:
                raise GradientError(
                    f"{name} derivative, direction {number + 1} of {directions}: differs from the "
                    f"central difference by {error:.3g} times the tolerance "
                    f"(rtol {rtol:g}, atol {atol:g})"
                )
            largest = max(largest, error * rtol)
    return GradientCheck(directions, largest)


def _require_real(leaves: list[Any], paths: list[str]) -> None:
    for item, path in zip(leaves, paths, strict=True):
        if np.asarray(as_tensor(item).numpy()).dtype.kind != "f":
            raise DTypeError(f"argument {path} is not floating point")


def _call(function: Callable[..., Any], structure: Any, points: list[Array]) -> Array:
    return as_tensor(function(*unflatten(structure, list(points)))).numpy()


def _along(scalar: Callable[..., Any], structure: Any, fixed: list[Array]) -> Callable[..., Any]:
    """The directional derivative by reverse mode, as a scalar function of its own."""

    def derivative(*inputs: Any) -> Any:
        gradient = grad(scalar, tuple(range(len(inputs))))(*inputs)
        parts = zip(flatten(gradient)[0], fixed, strict=True)
        return sum(((part * change).sum() for part, change in parts), start=as_tensor(0.0))

    return derivative


def _compare(
    scalar: Callable[..., Any],
    structure: Any,
    points: list[Array],
    changes: list[Array],
    tolerances: tuple[float, float],
) -> float:
    arguments: Tree = unflatten(structure, list(points))
    forward = float(jvp(scalar, arguments, unflatten(structure, list(changes)))[1])
    gradient = flatten(grad(scalar, tuple(range(len(arguments))))(*arguments))[0]
    reverse = sum(
        float(np.sum(part.numpy() * change)) for part, change in zip(gradient, changes, strict=True)
    )
    rtol, atol = tolerances
    difference = _difference(scalar, structure, points, changes)
    bound = atol + rtol * max(abs(difference), 1e-2)
    return max(abs(forward - difference), abs(reverse - difference)) / bound


def _difference(
    scalar: Callable[..., Any], structure: Any, points: list[Array], changes: list[Array]
) -> float:
    sizes = np.cumsum([point.size for point in points])[:-1]
    flat = np.concatenate([point.ravel() for point in points])
    along = np.concatenate([change.ravel() for change in changes])

    def at(x: Array) -> Array:
        parts = np.split(x, sizes)
        shaped = [part.reshape(point.shape) for part, point in zip(parts, points, strict=True)]
        return _call(scalar, structure, shaped)

    return float(central_difference(at, flat, along))
