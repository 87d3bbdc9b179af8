"""thalweg through its public call; populations as that call trains them."""

from __future__ import annotations

import inspect
import time
from collections.abc import Collection, Sequence
from typing import Any

import thalweg as tw
from thalweg.bench.peers.base import Peer, Trained, floats
from thalweg.bench.populations import PopulationProblem, by_epoch
from thalweg.bench.problem import LEARNING_RATE, Problem, network, starting_weights
from thalweg.training.arguments import Arguments
from thalweg.training.backends import BACKENDS
from thalweg.training.population.crew import Crew
from thalweg.training.population.member import MemberRun
from thalweg.training.population.varying import Varying


class Own(Peer):
    """thalweg with one of its backends.

    Args:
        backend: as in ``fit``.
    """

    name = "thalweg"
    title = "thalweg"
    packages = ("numpy",)
    member_variants = ("",)

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.note = (
            f"`fit(…, backend={backend!r})`, shuffle off; populations with the threads and members "
            "of `fit(…, members=K)`, whose making and results count as start"
        )

    def load(self, threads: int) -> None:
        """Nothing: the worker itself needs thalweg."""

    def open(
        self, problem: Problem, variant: str, threads: int
    ) -> OwnSession | OwnPopulationSession:
        """A session that calls ``fit``, or trains members as it does."""
        if isinstance(problem, PopulationProblem):
            return OwnPopulationSession(problem, self.backend, threads)
        return OwnSession(problem, self.backend, threads)


class OwnSession:
    """Calls of ``fit``.

    Args:
        problem: rows and sizes; the seed gives the same starting weights.
        backend: as in ``fit``.
        threads: handed on where ``fit`` takes them.
    """

    def __init__(self, problem: Problem, backend: str, threads: int) -> None:
        self.problem = problem
        self.options: dict[str, Any] = {"backend": backend}
        if problem.case.form:
            self.options["start"] = starting_weights(problem)
        if "threads" in inspect.signature(tw.fit).parameters:
            self.options["threads"] = threads

    def train(self, epochs: int, batches: int | None = None) -> Trained:
        """One call of ``fit``."""
        problem, case = self.problem, self.problem.case
        rows = problem.rows(batches)
        began = time.perf_counter()
        run = tw.fit(
            network(case), problem.x[rows], problem.y[rows], loss="cross_entropy",
            optimizer=tw.Adam(LEARNING_RATE), batch_size=case.batch_size, epochs=epochs,
            classes=list(range(case.widths[-1])), shuffle=False, seed=case.seed, progress=False,
            **self.options,
        )  # fmt: skip
        passed = time.perf_counter() - began
        seconds = run.timing.seconds
        return Trained(floats(run.history["train_loss"]), seconds, passed - seconds)


class OwnPopulationSession:
    """Members trained as ``fit(…, members=K)`` does, with a clock between its parts.

    Args:
        problem: rows, rates and seeds.
        backend: as in ``fit``.
        threads: members trained at once.
    """

    def __init__(self, problem: PopulationProblem, backend: str, threads: int) -> None:
        self.problem = problem
        self.backend = backend
        self.threads = threads

    def train(self, epochs: int, batches: int | None = None) -> Trained:
        """Make the members, train them, take their results."""
        problem = self.problem
        crew = Crew(self.threads)
        began = time.perf_counter()
        varying = Varying(self._arguments(epochs, batches), problem.members)
        members = [
            MemberRun(varying.of(place), crew.programs, place) for place in range(problem.members)
        ]
        crew.run(InTurn(members, 0))
        ready = time.perf_counter()
        crew.run(InTurn(members, epochs))
        trained = time.perf_counter()
        runs = [member.result() for member in members]
        around = time.perf_counter() - began - (trained - ready)
        losses = [run.history["train_loss"] for run in runs]
        return Trained(by_epoch(problem, losses), trained - ready, around)

    def _arguments(self, epochs: int, batches: int | None) -> Arguments:
        problem, case = self.problem, self.problem.case
        rows, alone = problem.rows(batches), problem.members == 1
        rates: Any = problem.rates[0] if alone else problem.rates
        seeds = case.seed if alone else range(case.seed, case.seed + case.members)
        varying: dict[str, Any] = {"optimizer": tw.Adam(rates), "seed": seeds}
        if case.form:
            varying["start"] = starting_weights(problem.member(0))
        return Arguments(
            network(case), problem.x[rows], problem.y[rows], loss="cross_entropy",
            batch_size=case.batch_size, epochs=epochs + 1, classes=list(range(case.widths[-1])),
            backend=self.backend, threads=self.threads if alone else 1, **varying,
        )  # fmt: skip


class InTurn:
    """Members one after another, each up to the same epoch.

    Args:
        members: that are trained.
        until: the epoch.
    """

    def __init__(self, members: Sequence[MemberRun], until: int) -> None:
        self._waiting = iter(members)
        self._until = until

    def next(self) -> tuple[MemberRun, int | None] | None:
        """The next one."""
        member = next(self._waiting, None)
        return None if member is None else (member, self._until)

    def done(self, member: MemberRun) -> None:
        """Raise what it was refused with.

        Raises:
            ThalwegError: of its arguments.
        """
        if member.error is not None:
            raise member.error


def newest_backend(names: Collection[str] = tuple(BACKENDS)) -> str:
    """``native`` where this version has it."""
    return "native" if "native" in names else min(names)
