"""Samplers that learn nothing from earlier trials: points of the unit cube, or of a grid."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.descriptions import register, size
from thalweg.searching.proposals import Known, chance
from thalweg.searching.samplers.sampler import Sampler
from thalweg.searching.spaces.space import Settings, Space


@register("sampler", "grid")
@dataclass(frozen=True)
class GridSampler(Sampler):
    """Every combination, in order, the last name changing first; it ends by itself.

    Args:
        points: values of each range at most, evenly spaced and with both ends; all of a choice.

    Source: Ronald A. Fisher, The design of experiments, 1935 (factorial designs).

    >>> GridSampler(2).propose(Space({"a": [1, 2], "b": ["x", "y"]}), 0, 1, 8)
    [{'a': 1, 'b': 'y'}, {'a': 2, 'b': 'x'}, {'a': 2, 'b': 'y'}]
    """

    points: int = size(5, help="values of each range")

    def _propose(
        self, space: Space, seed: int, first: int, count: int, known: Sequence[Known]
    ) -> list[Settings]:
        return list(islice(space.grid(self.points), first, first + count))


@register("sampler", "random")
@dataclass(frozen=True)
class RandomSampler(Sampler):
    """Independent draws, each from the even distribution over its range (or its logarithm).

    Trial n is a function of the seed and n alone.

    Source: James Bergstra and Yoshua Bengio, Random search for hyper-parameter optimization, 2012.

    >>> space = Space({"a": [1, 2, 3, 4]})
    >>> RandomSampler().propose(space, 0, 0, 3) == RandomSampler().propose(space, 0, 0, 9)[:3]
    True
    """

    def _propose(
        self, space: Space, seed: int, first: int, count: int, known: Sequence[Known]
    ) -> list[Settings]:
        axes = len(space.varying)
        numbers = range(first, first + count)
        return [space.settings(chance(seed, number).random(axes).tolist()) for number in numbers]


@register("sampler", "quasi_random")
@dataclass(frozen=True)
class QuasiRandomSampler(Sampler):
    """The points of a scrambled Sobol' sequence, which fill the space more evenly than chance.

    Trial n is a function of the seed and n alone; numbers of trials that are powers of 2 are spread
    best.

    Source: I. M. Sobol', On the distribution of points in a cube and the approximate evaluation of
    integrals, 1967; Art B. Owen, Randomly permuted (t, m, s)-nets and (t, s)-sequences, 1995.

    >>> space = Space({"a": [1, 2, 3, 4]})
    >>> sorted(one["a"] for one in QuasiRandomSampler().propose(space, 0, 4, 4))
    [1, 2, 3, 4]
    """

    def _propose(
        self, space: Space, seed: int, first: int, count: int, known: Sequence[Known]
    ) -> list[Settings]:
        points = sobol(len(space.varying), seed, first, count)
        return [space.settings(point) for point in points.tolist()]


def sobol(axes: int, seed: int, first: int, count: int) -> NDArray[np.float64]:
    """Points first, …, first + count − 1 of a scrambled Sobol' sequence, of shape (count, axes)."""
    import inspect

    from scipy.stats import qmc

    word = "rng" if "rng" in inspect.signature(qmc.Sobol).parameters else "seed"
    options: dict[str, Any] = {word: chance(seed)}
    sequence = qmc.Sobol(axes, scramble=True, **options)
    if first:
        sequence.fast_forward(first)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a count that is no power of 2
        return np.asarray(sequence.random(count))
