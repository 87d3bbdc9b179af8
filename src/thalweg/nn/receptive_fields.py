"""Receptive fields: how much of the input image each layer's outputs see.

A window of extent k and stride s over outputs that see r inputs and lie j inputs apart gives
outputs that see r + (k - 1) j inputs and lie s j apart. Where paths meet, the largest counts. The
field is that of the network in use, without what normalisations learn of a whole map from its mean
and variance. It ends where a layer mixes all places (Flatten, Linear, global pooling), at a layer
that does not say what it does, and in networks that are plain functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thalweg.nn.activations import Activation
from thalweg.nn.containers import Sequential
from thalweg.nn.image_input import ImageInput
from thalweg.nn.layer import Applied, Layer
from thalweg.nn.receptive import HasReceptive, Receptive
from thalweg.nn.reparametrisation import SpectralNorm, WeightNorm
from thalweg.nn.structure import Concatenated, Parallel, Reshape, Residual, SkipSequential

PIXEL = Receptive((1, 1), (1, 1))
"""What a pixel of the input sees of the input."""


def composed(before: Receptive, window: Receptive) -> Receptive:
    """What outputs of a window see of the input, of which the window's inputs see ``before``.

    >>> composed(Receptive((5, 5), (1, 1)), Receptive((2, 2), (2, 2)))
    Receptive(extent=(6, 6), stride=(2, 2))
    """
    (high, wide), (down, across) = before
    (rows, columns), (by_rows, by_columns) = window
    extent = high + (rows - 1) * down, wide + (columns - 1) * across
    return Receptive(extent, (down * by_rows, across * by_columns))


def joined(*paths: Receptive | None) -> Receptive | None:
    """Where paths meet: the largest extent and stride, or None where one path has no field."""
    known = [path for path in paths if path is not None]
    if len(known) < len(paths):
        return None
    extents, strides = zip(*known, strict=True)
    return Receptive(_largest(extents), _largest(strides))


def _largest(pairs: Any) -> tuple[int, int]:
    rows, columns = zip(*pairs, strict=True)
    return max(rows), max(columns)


def receptive_fields(network: Any, applied: Mapping[str, Applied]) -> dict[str, Receptive]:
    """The receptive fields of a network's windows and of what joins paths, by the layers' paths.

    Args:
        network: a layer, or a function, which has none.
        applied: uses of layers by path, with the shapes of their inputs and outputs.

    >>> import thalweg as tw
    >>> plan = tw.nn.layer.blueprint(tw.Conv2d(4, 3), (1, 8, 8))
    >>> receptive_fields(tw.Conv2d(4, 3), {item.path: item for item in plan.applied})
    {'': Receptive(extent=(3, 3), stride=(1, 1))}
    """
    walk = _Walk(applied)
    if isinstance(network, Layer):
        walk.through(network, "", PIXEL)
    return walk.found


class _Walk:
    """A way through nested layers that notes fields.

    Args:
        applied: uses of layers by path.
    """

    def __init__(self, applied: Mapping[str, Applied]) -> None:
        self._applied = applied
        self.found: dict[str, Receptive] = {}

    def through(self, layer: Layer, path: str, before: Receptive | None) -> Receptive | None:
        """What the layer's outputs see, where its inputs see ``before``."""
        if before is None:
            return None
        if isinstance(layer, WeightNorm | SpectralNorm):
            return self.through(layer.inner, path, before)
        if isinstance(layer, HasReceptive):
            return self._noted(path, composed(before, layer.receptive()))
        if isinstance(layer, Sequential | SkipSequential):
            return self._along(layer, path, before)
        if isinstance(layer, Residual | Concatenated | Parallel):
            return self._noted(path, joined(*self._branches(layer, path, before)))
        return before if self._keeps_places(layer, path, before) else None

    def _noted(self, path: str, after: Receptive | None) -> Receptive | None:
        if after is not None:
            self.found[path] = after
        return after

    def _along(
        self, layer: Sequential | SkipSequential, path: str, before: Receptive
    ) -> Receptive | None:
        links = layer.links if isinstance(layer, SkipSequential) else ()
        places: list[Receptive | None] = [before]
        for place, inner in enumerate(layer.layers):
            after = self.through(inner, _inside(path, str(place)), places[-1])
            starts = [start for start, end, _ in links if end == place + 1]
            places.append(joined(after, *(places[start] for start in starts)))
        return places[-1]

    def _branches(
        self, layer: Residual | Concatenated | Parallel, path: str, before: Receptive
    ) -> list[Receptive | None]:
        if isinstance(layer, Parallel):
            branches = enumerate(layer.branches)
            return [self.through(item, _inside(path, str(k)), before) for k, item in branches]
        result = self.through(layer.inner, _inside(path, "inner"), before)
        projection = layer.projection if isinstance(layer, Residual) else None
        if projection is None:
            return [before, result]
        return [self.through(projection, _inside(path, "projection"), before), result]

    def _keeps_places(self, layer: Layer, path: str, before: Receptive) -> bool:
        """Whether each output is computed from inputs at its own place."""
        use = self._applied[path]
        if isinstance(layer, ImageInput | Reshape):
            return before == PIXEL and len(use.output_shape) > 2
        same = len(use.input_shape) > 2 and use.input_shape[2:] == use.output_shape[2:]
        return same and (layer.transparent or isinstance(layer, Activation))


def _inside(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
