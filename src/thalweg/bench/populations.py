"""Many networks at once: what is trained, each member's own rate and order, the losses expected."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

import thalweg as tw
from thalweg.bench.cases import Case, Target, image_case
from thalweg.bench.problem import LEARNING_RATE, Floats, Problem, make_problem, network
from thalweg.bench.reference import Reference
from thalweg.errors import SettingError
from thalweg.ops.random import key_from_seed, permutation
from thalweg.training.job import SHUFFLE

Places = npt.NDArray[np.int32]
RATES, IMAGE_RATES = (1e-4, 1e-2), (1e-4, 1e-3)
"""The first and the last member's learning rate; between them a constant factor."""

_WIDTHS, _SIZES, _MEMBERS = (8, 16, 32, 128, 256), (1, 8, 64, 256, 4096), 64
_EPOCH, _IMAGE_EPOCH = 256, 8


def population_case(
    members: int, widths: tuple[int, ...] = (30, 64, 64, 2), batches: int = _EPOCH
) -> Case:
    """Members of a network of dense layers, batch 32.

    >>> population_case(256).name
    '256 × 30-64-64-2, batch 32'
    """
    return Case(widths, 32, batches, members=members)


MAIN = population_case(256)
"""The case with all libraries, starts with and without a cache, and memory."""

EVERYWHERE = ("thalweg", "pytorch", "torch-vmap", "jax-vmap", "jax-map")
"""Libraries of every case; the others train :data:`MAIN` only."""

POPULATIONS = (
    *(population_case(size) for size in _SIZES),
    *(population_case(_MEMBERS, (30, width, width, 2)) for width in _WIDTHS),
    replace(image_case("lenet", 64, _IMAGE_EPOCH), members=16),
)
POPULATION_TARGETS = (
    Target("30-64-64-2", "torch-vmap", 8.0, members=256),
    Target("30-64-64-2", "jax-vmap", 15.0, members=256),
    Target("30-64-64-2", "pytorch", 12.0, members=256),
    Target("30-64-64-2", "joblib", 8.0, members=256),
)
PEAK_SHARE = 0.6
"""The share of the multiply-add peak, with all threads, that thalweg aims at on :data:`MAIN`."""


def chosen_populations(names: str) -> tuple[Case, ...]:
    """The cases of a list such as ``256,lenet,30-8-8-2``; ``default`` and ``none`` are words.

    A number is that many members of 30-64-64-2, which need not be among the default cases.

    Raises:
        SettingError: for an unknown name.
    """
    if names in {"default", "none"}:
        return POPULATIONS if names == "default" else ()
    found: list[Case] = []
    for name in (part.strip() for part in names.split(",")):
        meant = [case for case in POPULATIONS if name in {str(case.members), case.network}]
        if name.isdecimal() and int(name) > 0:
            meant = [case for case in meant if case.widths == MAIN.widths]
            meant = meant or [population_case(int(name))]
        if not meant:
            known = ", ".join(dict.fromkeys(case.network for case in POPULATIONS))
            raise SettingError(
                f"--populations: {name!r} is neither default, none, a number of members ≥ 1, "
                f"nor one of {known}"
            )
        found += meant
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, eq=False)
class PopulationProblem(Problem):
    """What each library trains its members on: the same rows, in each member's own orders.

    ``weights`` have a first axis of members.

    Attributes:
        rates: learning rate of each member, (K,) float32.
    """

    rates: Floats
    _orders: dict[tuple[int, int], Places] = field(
        default_factory=dict[tuple[int, int], Places], init=False, repr=False
    )

    @property
    def members(self) -> int:
        """How many."""
        return self.case.members

    @property
    def checked(self) -> list[int]:
        """The members whose losses are compared with float64: the first, a middle, the last one."""
        return sorted({0, self.members // 2, self.members - 1})

    def order(self, epoch: int, count: int) -> Places:
        """Each member's order of the first rows in an epoch, (K, count); kept once it is made."""
        if (epoch, count) not in self._orders:
            seeds = range(self.case.seed, self.case.seed + self.members)
            orders = [permutation(key_from_seed(seed, SHUFFLE, epoch), count) for seed in seeds]
            self._orders[epoch, count] = np.stack(orders).astype(np.int32)
        return self._orders[epoch, count]

    def orders(self, epochs: int, batches: int | None) -> list[Places]:
        """Each epoch's :meth:`order` over the first batches, or over all of them."""
        count = len(self.x[self.rows(batches)])
        return [self.order(epoch, count) for epoch in range(epochs)]

    def member(self, place: int) -> Problem:
        """One member as a problem of its own."""
        weights = [tuple(part[place] for part in parts) for parts in self.weights]
        return Problem(replace(self.case, members=0), self.x, self.y, weights)


def make_population(case: Case) -> PopulationProblem:
    """Rows, starting weights and rates of a case; the same in every process.

    Member k has the orders, and for tables the weights, that thalweg gives to the seed k. Networks
    for images all start from :func:`make_problem`'s weights, with which losses hardly depend on
    rounding.
    """
    plain = make_problem(replace(case, members=0))
    bounds = IMAGE_RATES if case.form else RATES
    rates = np.geomspace(*bounds, case.members).astype(np.float32)
    rates = rates if case.members > 1 else np.full(1, LEARNING_RATE, np.float32)
    if not case.form:
        return PopulationProblem(case, plain.x, plain.y, _stacked(case), rates)
    copies = [tuple(np.stack([part] * case.members) for part in parts) for parts in plain.weights]
    return PopulationProblem(case, plain.x, plain.y, copies, rates)


def _stacked(case: Case) -> list[tuple[Floats, ...]]:
    seeds = range(case.seed, case.seed + case.members)
    found = [tw.initialise(network(case), case.row_shape, seed, "float32") for seed in seeds]
    layers = itertools.groupby(found[0], key=lambda path: path.rpartition(".")[0])
    return [
        tuple(np.stack([values[path] for values in found]) for path in paths) for _, paths in layers
    ]


def problem_of(case: Case) -> Problem:
    """The population of a case with members, the plain problem of any other."""
    return make_population(case) if case.members else make_problem(case)


def population_losses(problem: Problem, epochs: int, batches: int | None = None) -> list[float]:
    """What the checked members' mean losses are in float64, epoch by epoch."""
    problem = population_of(problem)
    orders = problem.orders(epochs, batches)
    checked = {place: _member_losses(problem, place, orders) for place in problem.checked}
    return by_epoch(problem, checked)


def _member_losses(problem: PopulationProblem, place: int, orders: Sequence[Places]) -> list[float]:
    member = problem.member(place)
    reference = Reference(member, float(problem.rates[place]))
    x: Any = problem.x.astype("float64")
    size = problem.case.batch_size
    losses: list[float] = []
    for order in orders:
        batches = order[place].reshape(-1, size)
        losses.append(float(np.mean([reference.step(x[b], problem.y[b]) for b in batches])))
    return losses


def population_of(problem: Problem) -> PopulationProblem:
    """The same problem, for who trains populations only.

    Raises:
        TypeError: it is one network's.
    """
    if not isinstance(problem, PopulationProblem):
        raise TypeError(f"{problem.case.name} is no population")
    return problem


def by_epoch(problem: PopulationProblem, losses: Any) -> list[float]:
    """The checked members' losses, epoch by epoch.

    Args:
        problem: says who is checked.
        losses: each member's losses: a row, or what stands at its place.
    """
    found = [losses[place] for place in problem.checked]
    return [float(loss) for epoch in zip(*found, strict=True) for loss in epoch]
