"""Numerical differentiation: central differences, and a check of gradients against them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.autodiff.transforms import grad, jvp
from thalweg.errors import DTypeError, GradientError, SettingError
from thalweg.graph import Array, as_tensor, constant
from thalweg.tree import Structure, flatten, leaf_paths, unflatten


@dataclass(frozen=True)
class GradientCheck:
    """What :func:`check_gradients` measured.

    Attributes:
        directions: how many random directions were compared.
        share_of_tolerance: the largest |derivative - difference| divided by what was allowed
            there; at most 1, and 0.001 is a thousandth of the tolerance.
    """

    directions: int
    share_of_tolerance: float


def central_difference(
    function: Callable[[Array], Array], x: Array, direction: Array, step: float = 1e-6
) -> Array:
    """(f(x + hv) - f(x - hv)) / 2h with h = step · max(1, ‖x‖∞), in float64.

    The error is O(h²) from truncation and O(ε/h) from rounding.

    >>> round(float(central_difference(np.square, np.array(3.0), np.array(1.0))), 6)
    6.0
    """
    width = _width(x, step)
    ahead, behind = function(x + width * direction), function(x - width * direction)
    return (ahead - behind) / (2 * width)


def _width(x: Array, step: float) -> float:
    return step * max(1.0, float(np.max(np.abs(x), initial=0.0)))


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
    quotient must agree within ``atol + rtol · |difference|``, to which 4 ε |f| / h is added: the
    quotient's own rounding. With ``order=2`` the same is asked of the gradient.

    Args:
        function: takes tensors or trees of them, returns a tensor.
        arguments: where to check; converted to float64.
        directions: number of random directions.
        order: 1, or 2 for second derivatives too.
        rtol: relative tolerance.
        atol: absolute tolerance.
        seed: of the random directions.

    Returns:
        The number of directions, and how much of the tolerance was used up at most.

    Raises:
        GradientError: naming the mode, direction and the two values that disagree.
        DTypeError: an argument is not floating point.

    >>> check_gradients(lambda x: (x**3).sum(), np.array([1.0, -2.0])).directions
    5
    """
    if order not in {1, 2}:
        raise SettingError(f"order = {order!r} is not 1 or 2")
    leaves, structure = flatten(arguments)
    points = _points(leaves, leaf_paths(arguments))
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=_call(function, structure, points).shape)

    def scalar(*inputs: Any) -> Any:
        return (as_tensor(function(*inputs)) * weights).sum()

    checks = [("first", _Check(scalar, structure, points, rtol, atol))]
    if order == 2:
        fixed = [rng.normal(size=point.shape) for point in points]
        checks.append(("second", _Check(_along(scalar, fixed), structure, points, rtol, atol)))
    largest = 0.0
    for name, check in checks:
        for number in range(directions):
            changes = [rng.normal(size=point.shape) for point in points]
            place = f"{name} derivative, direction {number + 1} of {directions}"
            largest = max(largest, check.along(changes, place))
    return GradientCheck(directions, float(largest))


def _points(leaves: Sequence[Any], paths: Sequence[str]) -> list[Array]:
    points: list[Array] = []
    for item, path in zip(leaves, paths, strict=True):
        array = as_tensor(item).numpy()
        if array.dtype.kind != "f":
            raise DTypeError(f"argument {path} is not floating point, but {array.dtype.name}")
        points.append(array.astype(np.float64))
    return points


def _call(function: Callable[..., Any], structure: Structure, points: Sequence[Array]) -> Array:
    return as_tensor(function(*unflatten(structure, list(map(constant, points))))).numpy()


def _along(scalar: Callable[..., Any], fixed: Sequence[Array]) -> Callable[..., Any]:
    """The directional derivative by reverse mode, as a scalar function of its own."""

    def derivative(*inputs: Any) -> Any:
        gradient = grad(scalar, tuple(range(len(inputs))))(*inputs)
        parts = zip(flatten(gradient)[0], fixed, strict=True)
        return sum((part * change).sum() for part, change in parts)

    return derivative


@dataclass(frozen=True)
class _Check:
    """A scalar function at a point, to be compared with its difference quotient."""

    scalar: Callable[..., Any]
    structure: Structure
    points: list[Array]
    rtol: float
    atol: float

    def along(self, changes: Sequence[Array], place: str) -> float:
        """The error along one direction, as a multiple of what is allowed."""
        with np.errstate(all="ignore"):
            difference, noise = self.difference(changes)
            modes = {"forward": self.forward(changes), "reverse": self.reverse(changes)}
        allowed = self.atol + self.rtol * abs(difference) + noise
        error = 0.0
        for mode, value in modes.items():
            share = abs(value - difference) / allowed
            if not share <= 1:
                raise GradientError(
                    f"{place}: {mode} mode gives {value:.9g}, the central difference "
                    f"{difference:.9g}; they differ by {abs(value - difference):.3g}, "
                    f"allowed are {allowed:.3g} (rtol {self.rtol:g}, atol {self.atol:g})"
                )
            error = max(error, share)
        return error

    def forward(self, changes: Sequence[Array]) -> float:
        """Jv by forward mode."""
        arguments = unflatten(self.structure, list(self.points))
        return float(jvp(self.scalar, arguments, unflatten(self.structure, list(changes)))[1])

    def reverse(self, changes: Sequence[Array]) -> float:
        """Jv as the gradient times v."""
        arguments = unflatten(self.structure, list(self.points))
        gradient = flatten(grad(self.scalar, tuple(range(len(arguments))))(*arguments))[0]
        pairs = zip(gradient, changes, strict=True)
        return sum(float(np.sum(part.numpy() * change)) for part, change in pairs)

    def difference(self, changes: Sequence[Array]) -> tuple[float, float]:
        """The difference quotient along a direction, and a bound of its rounding error."""
        sizes = np.cumsum([point.size for point in self.points])[:-1]
        flat = np.concatenate([np.ravel(point) for point in self.points])
        along = np.concatenate([np.ravel(change) for change in changes])

        def at(x: Array) -> Array:
            parts = zip(np.split(x, sizes), self.points, strict=True)
            return _call(self.scalar, self.structure, [part.reshape(p.shape) for part, p in parts])

        noise = 4 * np.finfo(np.float64).eps * abs(float(at(flat))) / _width(flat, 1e-6)
        return float(central_difference(at, flat, along)), noise
