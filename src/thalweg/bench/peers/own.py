"""thalweg through its public call; populations as that call trains them."""

from __future__ import annotations

import inspect
import time
from collections.abc import Collection
from typing import Any

import thalweg as tw
from thalweg.bench.peers.base import Peer, Trained, floats
from thalweg.bench.populations import PopulationProblem, by_epoch
from thalweg.bench.problem import LEARNING_RATE, Problem, network, starting_weights
from thalweg.training.backends import BACKENDS


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
            f"`fit(…, backend={backend!r})`, shuffle off; populations by whole calls of "
            "`fit(…, members=K)`"
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
    """Calls of ``fit(…, members=K)``.

    Args:
        problem: rows, rates and seeds.
        backend: as in ``fit``.
        threads: members trained at once.
    """

    def __init__(self, problem: PopulationProblem, backend: str, threads: int) -> None:
        case = problem.case
        self.problem = problem
        self.options: dict[str, Any] = {"backend": backend, "threads": threads}
        if case.form:
            self.options["start"] = starting_weights(problem.member(0))

    def train(self, epochs: int, batches: int | None = None) -> Trained:
        """One call, all of it."""
        problem, case = self.problem, self.problem.case
        rows = problem.rows(batches)
        rates: Any = problem.rates
        began = time.perf_counter()
        run = tw.fit(
            network(case), problem.x[rows], problem.y[rows], loss="cross_entropy",
            optimizer=tw.Adam(rates), batch_size=case.batch_size, epochs=epochs,
            classes=list(range(case.widths[-1])), members=case.members,
            seed=range(case.seed, case.seed + case.members), progress=False, **self.options,
        )  # fmt: skip
        losses = run.history["train_loss"]
        passed = time.perf_counter() - began
        return Trained(by_epoch(problem, losses), passed)


def newest_backend(names: Collection[str] = tuple(BACKENDS)) -> str:
    """``native`` where this version has it."""
    return "native" if "native" in names else min(names)
