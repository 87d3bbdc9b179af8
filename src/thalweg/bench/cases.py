"""What is measured: networks, batches, and the targets that thalweg set itself."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from thalweg.bench.architectures import ARCHITECTURES, Architecture
from thalweg.errors import SettingError

GRID_OUTPUTS = 10
_GRID_EPOCH, _UPDATE = 1e10, 200
_GRID_BATCHES = (4, 256)


@dataclass(frozen=True)
class Case:
    """A network, its batches, and how many of them make an epoch.

    Attributes:
        widths: inputs, hidden layers, outputs of a ReLU network; inputs and outputs of one for
            images.
        batch_size: rows of a batch.
        batches: batches of an epoch.
        seed: of the rows and the starting weights.
        form: word for a network for images; empty for dense layers.
        members: networks trained at once, each with its own rate and order; 0 for a plain one.
    """

    widths: tuple[int, ...]
    batch_size: int
    batches: int
    seed: int = 0
    form: str = ""
    members: int = 0

    @property
    def network(self) -> str:
        """The form, or the widths in one word.

        >>> Case((30, 64, 2), 32, 4).network, image_case("lenet", 64, 8).network
        ('30-64-2', 'lenet')
        """
        return self.form or "-".join(map(str, self.widths))

    @property
    def architecture(self) -> Architecture | None:
        """The network for images; None for dense layers."""
        return ARCHITECTURES[self.form] if self.form else None

    @property
    def title(self) -> str:
        """The network for tables."""
        return self.network if self.architecture is None else self.architecture.title

    @property
    def name(self) -> str:
        """Network and batch.

        >>> image_case("lenet", 64, 8).name
        'LeNet-5, batch 64'
        """
        several = f"{self.members} × " if self.members else ""
        return f"{several}{self.title}, batch {self.batch_size}"

    @property
    def word(self) -> str:
        """Network and batch in one word.

        >>> image_case("lenet", 64, 8).word
        'lenet:64'
        """
        several = f"{self.members}x" if self.members else ""
        return f"{several}{self.network}:{self.batch_size}"

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one row of the inputs."""
        return self.widths[:1] if self.architecture is None else self.architecture.shape

    @property
    def rows(self) -> int:
        """Training rows: whole batches."""
        return self.batch_size * self.batches

    @property
    def checked_batches(self) -> int:
        """First batches whose losses are compared step by step; together they hold two classes."""
        return 1 if self.batch_size > 1 else 2

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        if self.architecture is not None:
            return self.architecture.parameters
        return sum((before + 1) * after for before, after in itertools.pairwise(self.widths))

    @property
    def flops(self) -> int:
        """Operations of one step's matrix products, 2n·Σ(3·in·out) without the inputs' gradient.

        Convolutions count as the products that they are.

        >>> Case((2, 3, 4), 10, 1).flops
        960
        """
        if self.architecture is not None:
            return 2 * self.batch_size * self.architecture.products
        pairs = [before * after for before, after in itertools.pairwise(self.widths)]
        return 2 * self.batch_size * (3 * sum(pairs) - pairs[0])


def image_case(form: str, batch_size: int, batches: int, seed: int = 0) -> Case:
    """A case of a network for images."""
    channels, height, width = ARCHITECTURES[form].shape
    last = ARCHITECTURES[form].weighted[-1].shapes[-1][-1]
    return Case((channels * height * width, last), batch_size, batches, seed, form)


CASES = (
    Case((30, 64, 64, 2), 32, 256),
    Case((784, 256, 128, 10), 128, 64),
    Case((784, 1024, 1024, 10), 256, 16),
    image_case("lenet", 1, 32),
    image_case("lenet", 16, 16),
    image_case("lenet", 64, 8),
    image_case("lenet", 256, 4),
    image_case("resnet", 64, 2),
)
IMAGE_ROUNDS = 5
"""The most rounds of a case with images, whose steps are long."""


@dataclass(frozen=True)
class Target:
    """How many times faster than a peer thalweg aims to be on a case.

    Attributes:
        network: of the case.
        peer: the library.
        ratio: of its time to thalweg's.
        batch_size: of the case; 0 for the only one with this network.
        members: of the case; 0 for one network.
    """

    network: str
    peer: str
    ratio: float
    batch_size: int = 0
    members: int = 0

    @property
    def name(self) -> str:
        """The case's words.

        >>> Target("lenet", "jax", 15.0, 64).name
        'LeNet-5, batch 64'
        """
        found = ARCHITECTURES.get(self.network)
        title = self.network if found is None else found.title
        title = f"{self.members} × {title}" if self.members else title
        return f"{title}, batch {self.batch_size}" if self.batch_size else title

    def of(self, case: Case) -> bool:
        """Whether a case is meant."""
        same = self.network == case.network and self.members == case.members
        return same and self.batch_size in {0, case.batch_size}


TARGETS = (
    Target("30-64-64-2", "pytorch", 25.0),
    Target("30-64-64-2", "jax", 4.0),
    Target("784-256-128-10", "pytorch", 4.0),
    Target("784-256-128-10", "jax", 1.3),
    Target("784-1024-1024-10", "pytorch", 2.5),
    Target("784-1024-1024-10", "jax", 1.1),
    Target("lenet", "pytorch", 6.0, 64),
    Target("lenet", "jax", 15.0, 64),
    Target("resnet", "pytorch", 1.5, 64),
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
    """The cases of a list such as ``30-64-64-2,lenet,resnet:64``; ``all`` and ``none`` are words.

    A network without a batch is all of its cases.

    Raises:
        SettingError: for an unknown name.
    """
    if names in {"all", "none"}:
        return CASES if names == "all" else ()
    found: list[Case] = []
    for name in (part.strip() for part in names.split(",")):
        meant = [case for case in CASES if name in {case.network, case.word}]
        if not meant:
            known = ", ".join(dict.fromkeys(case.network for case in CASES))
            raise SettingError(
                f"--cases: {name!r} is not one of all, none, {known}, or one of these with a "
                "batch such as lenet:64"
            )
        found += meant
    return tuple(dict.fromkeys(found))


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
