"""What is measured: networks, batches, and the targets that thalweg set itself."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from thalweg.errors import SettingError

GRID_OUTPUTS = 10
_GRID_EPOCH, _UPDATE = 1e10, 200
_GRID_BATCHES = (4, 256)


@dataclass(frozen=True)
class Case:
    """A ReLU network, its batches, and how many of them make an epoch.

    Attributes:
        widths: inputs, hidden layers, outputs.
        batch_size: rows of a batch.
        batches: batches of an epoch.
        seed: of the rows and the starting weights.
    """

    widths: tuple[int, ...]
    batch_size: int
    batches: int
    seed: int = 0

    @property
    def network(self) -> str:
        """The widths in one word.

        >>> Case((30, 64, 2), 32, 4).network
        '30-64-2'
        """
        return "-".join(map(str, self.widths))

    @property
    def name(self) -> str:
        """Network and batch."""
        return f"{self.network}, batch {self.batch_size}"

    @property
    def rows(self) -> int:
        """Training rows: whole batches."""
        return self.batch_size * self.batches

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum((before + 1) * after for before, after in itertools.pairwise(self.widths))

    @property
    def flops(self) -> int:
        """Operations of one step's matrix products, 2n·Σ(3·in·out) without the inputs' gradient.

        >>> Case((2, 3, 4), 10, 1).flops
        960
        """
        pairs = [before * after for before, after in itertools.pairwise(self.widths)]
        return 2 * self.batch_size * (3 * sum(pairs) - pairs[0])


CASES = (
    Case((30, 64, 64, 2), 32, 256),
    Case((784, 256, 128, 10), 128, 64),
    Case((784, 1024, 1024, 10), 256, 16),
)


@dataclass(frozen=True)
class Target:
    """How many times faster than a peer thalweg aims to be on a network."""

    network: str
    peer: str
    ratio: float


TARGETS = (
    Target("30-64-64-2", "pytorch", 25.0),
    Target("30-64-64-2", "jax", 4.0),
    Target("784-256-128-10", "pytorch", 4.0),
    Target("784-256-128-10", "jax", 1.3),
    Target("784-1024-1024-10", "pytorch", 2.5),
    Target("784-1024-1024-10", "jax", 1.1),
)
COLD_START, CACHED_START, IMPORT = 0.4, 0.05, 0.3
"""Targets in seconds: start of training without and with a cache on disk; ``import thalweg``."""

GRIDS = {
    "none": ((), ()),
    "small": ((8, 32, 128, 512, 1024), (1, 4, 16, 64, 256, 1024)),
    "full": (tuple(2**n for n in range(3, 11)), tuple(2**n for n in range(11))),
}
"""Widths and batch sizes of the crossover's cells."""


def chosen_cases(names: str) -> tuple[Case, ...]:
    """The cases of a list such as ``30-64-64-2,784-256-128-10``; ``all`` and ``none`` are words.

    Raises:
        SettingError: for an unknown name.
    """
    if names in {"all", "none"}:
        return CASES if names == "all" else ()
    known = {case.network: case for case in CASES}
    found: list[Case] = []
    for name in names.split(","):
        if name.strip() not in known:
            raise SettingError(
                f"--cases: {name.strip()!r} is not one of all, none, {', '.join(known)}"
            )
        found.append(known[name.strip()])
    return tuple(found)


def grid_case(width: int, batch_size: int) -> Case:
    """A cell of the crossover: width-width-width-10, with an epoch of 4 to 256 batches."""
    single = Case((width, width, width, GRID_OUTPUTS), batch_size, 1)
    least, most = _GRID_BATCHES
    step = single.flops + _UPDATE * single.parameters
    batches = least
    while batches < most and 2 * step * batches <= _GRID_EPOCH:
        batches *= 2
    return Case(single.widths, batch_size, batches)


def grid_cases(grid: str) -> list[Case]:
    """Every cell of a grid, row by row."""
    widths, batches = GRIDS[grid]
    return [grid_case(width, batch_size) for width in widths for batch_size in batches]
