"""What a library must offer to be measured."""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple, Protocol

from thalweg.bench.cases import Case
from thalweg.bench.problem import Problem


class Trained(NamedTuple):
    """A finished training.

    Attributes:
        losses: the mean of the batch losses of each epoch, each taken before its update; of a
            population those of the checked members, epoch by epoch.
        seconds: training alone; of a population the whole call, the making of its networks, their
            starting state and their optimisers included, and nothing that is compiled apart.
        start_seconds: what had to be done before the first update and is not in ``seconds``; None
            where the library does it inside the first epoch.
    """

    losses: list[float]
    seconds: float
    start_seconds: float | None = None


class Session(Protocol):
    """One network of one library, ready to train."""

    def train(self, epochs: int, batches: int | None = None) -> Trained:
        """Train from the problem's starting weights, on its first batches or all of them."""
        ...


class Peer:
    """One library, used one way.

    Attributes:
        name: the word of ``--peers``.
        title: for tables.
        packages: what must be installed; versions are printed.
        variants: ways that a user may choose among; the fastest is measured.
        image_variants: the same for images; none where it does not train them.
        member_variants: the same for populations.
        late_variants: those of populations that take long to compile: they are tried only with the
            number of threads that served the others best.
        most_members: of a population; a library that trains one network after another needs as long
            for each of many.
        note: how it is used, for the report.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    variants: tuple[str, ...] = ("",)
    image_variants: tuple[str, ...] = ("",)
    member_variants: tuple[str, ...] = ()
    late_variants: tuple[str, ...] = ()
    most_members: float = inf
    note: str = ""

    def ways(self, case: Case) -> tuple[str, ...]:
        """The variants for a case; none where the library cannot train it."""
        if case.members:
            return self.member_variants if case.members <= self.most_members else ()
        return self.image_variants if case.form else self.variants

    def first_ways(self, case: Case, threads: int) -> tuple[str, ...]:
        """The variants that are tried with a number of threads, without the late ones."""
        return tuple(way for way in self.ways(case) if way not in self.late_variants)

    def different(self, outputs: int) -> str:
        """Why the losses cannot equal the others', by the number of outputs; empty if they can."""
        return ""

    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [package for package in self.packages if not version_of(package)]

    def environment(self, threads: int) -> dict[str, str]:
        """Variables that the library reads as it is imported."""
        return {}

    def load(self, threads: int) -> None:
        """Import the library and set its threads."""
        raise NotImplementedError

    def open(self, problem: Problem, variant: str, threads: int) -> Session:
        """Build the network; compile it where that is a step of its own."""
        raise NotImplementedError


def version_of(package: str) -> str:
    """The installed version of a package; empty where there is none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def floats(values: Any) -> list[float]:
    """Numbers of any library as Python's."""
    return [float(value) for value in values]
