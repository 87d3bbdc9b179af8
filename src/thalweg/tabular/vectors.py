"""Vectors for the categories of a table, in front of its network."""

from __future__ import annotations

import math

from thalweg.data.encoding import TableEncoder
from thalweg.nn.columns import Branch, Columns
from thalweg.nn.containers import Sequential
from thalweg.nn.embedding import Embedding
from thalweg.nn.initialisers import Normal
from thalweg.nn.layer import Layer

_LONGEST = 50
_SPREAD = 0.05
"""Standard deviation of starting vectors: that of a category never seen stays near zero."""


def vector_length(count: int) -> int:
    """Numbers of the vector of each of ``count`` categories: √count rounded up, at most 50.

    >>> [vector_length(count) for count in (2, 10, 100, 10_000)]
    [2, 4, 10, 50]
    """
    return min(_LONGEST, math.isqrt(max(count - 1, 0)) + 1)


def with_vectors(network: Layer, encoder: TableEncoder) -> Layer:
    """The network behind an embedding of each input that numbers categories.

    Args:
        network: takes the other inputs, in their order, and then the vectors.
        encoder: says which inputs number categories.

    Returns:
        The network itself where there are none.
    """
    if not encoder.codes:
        return network
    others = tuple(
        place for place in range(len(encoder.feature_names)) if place not in encoder.codes
    )
    branches = [Branch(others)] if others else []
    for place, count in encoder.codes.items():
        vectors = Embedding(count, vector_length(count), "first", weight=Normal(_SPREAD))
        branches.append(Branch((place,), vectors))
    layers = network.layers if isinstance(network, Sequential) else (network,)
    return Sequential(Columns(*branches), *layers)


__all__ = ["vector_length", "with_vectors"]
