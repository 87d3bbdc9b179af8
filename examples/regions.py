"""Linear regions of rectifier networks, counted exactly on a line and in a rectangle.

Within a region every unit is on or off and the network is linear. Both counts go through the
network layer by layer: pieces of the input on which all units so far are linear are cut where a
unit's net input changes its sign. Nothing is sampled: a region is missed only where it is as narrow
as rounding, 10⁻¹² of the piece it is cut from.

Networks are given as arrays by path, as ``tw.initialise`` and a trained model's ``parameters`` give
them for ``Sequential(Linear, ReLU, Linear, ReLU, …, Linear)``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Piece(NamedTuple):
    """A part of the input on which the network so far is linear: a = (1, x)·map.

    Attributes:
        corners: (2, d) the ends of an interval, or (k, 2) the corners of a convex polygon.
        map: (d + 1, units), the constant in the first row.
    """

    corners: Array
    map: Array


def layers_of(parameters: Mapping[str, Array]) -> list[tuple[Array, Array]]:
    """Weights and biases in the order of the layers."""
    places = sorted({int(path.split(".")[0]) for path in parameters})
    return [(parameters[f"{place}.weight"], parameters[f"{place}.bias"]) for place in places]


# ------------------------------------------------------------------ counting


def on_line(parameters: Mapping[str, Array], start: Array, end: Array) -> list[Piece]:
    """The intervals of t in [0, 1] on which the network is linear along start + t(end - start).

    They come in order; neighbours differ in which units are on.
    """
    ends = np.stack([np.asarray(start, float), np.asarray(end, float)])
    whole = Piece(np.array([[0.0], [1.0]]), np.stack([ends[0], ends[1] - ends[0]]))
    return _through(layers_of(parameters), [whole])


def in_rectangle(parameters: Mapping[str, Array], low: float, high: float) -> list[Piece]:
    """The convex polygons of [low, high]² on which a network of two inputs is linear."""
    square = np.array([[low, low], [high, low], [high, high], [low, high]], float)
    identity = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    return _through(layers_of(parameters), [Piece(square, identity)])


def slopes(pieces: Sequence[Piece]) -> int:
    """How many of an interval's pieces are left when neighbours with one slope are joined."""
    changes = [
        not np.allclose(left.map[1], right.map[1], rtol=1e-9, atol=1e-12)
        for left, right in itertools.pairwise(pieces)
    ]
    return 1 + sum(changes)


def _through(layers: list[tuple[Array, Array]], pieces: list[Piece]) -> list[Piece]:
    for weight, bias in layers[:-1]:
        pieces = [part for piece in pieces for part in _rectified(piece, weight, bias)]
    weight, bias = layers[-1]
    return [Piece(piece.corners, _affine(piece.map, weight, bias)) for piece in pieces]


def _affine(map_: Array, weight: Array, bias: Array) -> Array:
    result = map_ @ weight
    result[0] += bias
    return result


def _rectified(piece: Piece, weight: Array, bias: Array) -> list[Piece]:
    """A piece cut by a layer's units, each part with the units that are off set to 0."""
    net = _affine(piece.map, weight, bias)
    parts = [piece.corners]
    for unit in net.T:
        parts = [side for part in parts for side in _cut(part, unit)]
    return [Piece(part, net * _on(part, net)) for part in parts]


def _heights(corners: Array, unit: Array) -> Array:
    heights = unit[0] + corners @ unit[1:]
    heights[np.abs(heights) < 1e-12 * np.abs(heights).max()] = 0
    return heights


def _on(corners: Array, net: Array) -> Array:
    return net[0] + corners.mean(axis=0) @ net[1:] > 0


def _cut(corners: Array, unit: Array) -> list[Array]:
    """The sides of an interval or convex polygon where a unit is off and on."""
    heights = _heights(corners, unit)
    if heights.min() >= 0 or heights.max() <= 0:
        return [corners]
    if len(corners) == 2:
        middle = corners[0] - heights[0] * (corners[1] - corners[0]) / (heights[1] - heights[0])
        return [np.stack([corners[0], middle]), np.stack([middle, corners[1]])]
    sides: tuple[list[Array], list[Array]] = ([], [])
    for place, corner in enumerate(corners):
        height, after = heights[place], heights[(place + 1) % len(corners)]
        for side, sign in zip(sides, (-1, 1), strict=True):
            if sign * height >= 0:
                side.append(corner)
        if height * after < 0:
            edge = corners[(place + 1) % len(corners)] - corner
            crossing = corner + edge * height / (height - after)
            sides[0].append(crossing)
            sides[1].append(crossing)
    return [np.array(side) for side in sides]


def area(piece: Piece) -> float:
    """The area of a polygon."""
    x, y = piece.corners.T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


# ------------------------------------------------------------------ bounds


def most_regions(widths: Sequence[int], inputs: int) -> int:
    """No rectifier network has more: Π over layers of Σ_{j ≤ d} C(n, j).

    Each layer's n hyperplanes cut a region into at most Σ_{j ≤ d} C(n, j) parts, where d is the
    least width so far. For one layer in general position it is the number (Zaslavsky, 1975).
    """
    total, dimension = 1, inputs
    for width in widths:
        total *= sum(math.comb(width, j) for j in range(min(dimension, width) + 1))
        dimension = min(dimension, width)
    return total


# ------------------------------------------------------------------ folding


def folding_network(folds: int) -> dict[str, Array]:
    """The tent map t(x) = 2relu(x) - 4relu(x - ½) of [0, 1], applied so many times.

    Two units a layer: each layer folds the interval in the middle, so that what comes after it
    acts on both halves, and the number of linear pieces doubles.
    """
    tent = np.array([[2.0], [-4.0]])
    parameters: dict[str, Array] = {}
    for fold in range(folds):
        before = np.ones((1, 1)) if fold == 0 else tent
        parameters[f"{2 * fold}.weight"] = before @ np.ones((1, 2))
        parameters[f"{2 * fold}.bias"] = np.array([0.0, -0.5])
    parameters[f"{2 * folds}.weight"] = tent
    parameters[f"{2 * folds}.bias"] = np.zeros(1)
    return parameters
