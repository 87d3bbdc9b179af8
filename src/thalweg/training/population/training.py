"""Training a population: members in turn on all cores, and what they leave."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from thalweg.errors import ThalwegError
from thalweg.training.arguments import Arguments
from thalweg.training.history import Display, Progress
from thalweg.training.population.crew import Crew
from thalweg.training.population.member import REFUSED, MemberRun
from thalweg.training.population.result import Population
from thalweg.training.population.shelf import Shelf
from thalweg.training.population.varying import Varying
from thalweg.training.programs import Programs


def train_population(
    arguments: Arguments, members: Any, display: Display, programs: Programs | None = None
) -> Population:
    """Train K networks; see :func:`fit`.

    Args:
        arguments: with arrays of K numbers for what varies.
        members: K.
        display: shows the population's progress.
        programs: what its members share.

    Raises:
        SettingError, DataError, ShapeError: what does not fit, with the member's number.
    """
    varying = Varying(arguments, members)
    crew = Crew(arguments.threads, programs)
    work = _All(varying, crew, display)
    display.start(1, f"training {varying.members} networks")
    try:
        reason = crew.run(work, work.tick)
        found = work.result(reason)
        display.finish(work.progress(), reason or "epochs")
    finally:
        display.close()
    return found


class _All:
    """The members one after the other, each to its end."""

    def __init__(self, varying: Varying, crew: Crew, display: Display) -> None:
        self.varying = varying
        self._display = display
        self._programs = crew.programs
        self._alone = crew.threads > 1 or None
        self._waiting: Iterator[int] = iter(range(varying.members))
        self._runs: dict[int, MemberRun] = {}
        self._training: dict[int, MemberRun] = {}
        self._shelf = Shelf(varying.members)
        self._began = time.perf_counter()
        self._ended = 0
        self._error: ThalwegError | None = None

    def next(self) -> tuple[MemberRun, int | None] | None:
        """The next member, unless one was refused."""
        place = None if self._error else next(self._waiting, None)
        if place is None:
            return None
        own = self._one_thread(self.varying.of(place))
        member = self._training[place] = MemberRun(own, self._programs, place)
        return member, None

    def _one_thread(self, own: Arguments) -> Arguments:
        """Members share the cores; a member that is alone may use all of them."""
        from dataclasses import replace

        return replace(own, threads=1) if self.varying.members > 1 else own

    def done(self, member: MemberRun) -> None:
        """Put its arrays where there is room."""
        del self._training[member.number]
        self._ended += 1
        if member.reason == REFUSED and member.error is not None:
            self._error = self._error or _told(member)
            return
        self._shelf.keep(member)
        self._runs[member.number] = member

    def tick(self) -> None:
        """Show where the population stands."""
        self._display.update(self.progress())

    def progress(self) -> Progress:
        """All members as if they were one run."""
        count = self.varying.members
        seconds = time.perf_counter() - self._began
        shares = [_share(member) for member in list(self._training.values())]
        done = self._ended + sum(shares)
        left = seconds / done * (count - done) if done else np.nan
        losses = [run.history.rows[-1] for run in list(self._runs.values()) if run.epochs]
        latest = min(losses, key=_judged, default={})
        return Progress(
            self._ended, count, round(1000 * done), 1000 * count, latest.get("train_loss", np.nan),
            latest, 0, seconds, left, unit="network",
        )  # fmt: skip

    def result(self, reason: str) -> Population:
        """What there is.

        Raises:
            ThalwegError: a member was refused.
        """
        if self._error is not None:
            raise self._error
        seconds = time.perf_counter() - self._began
        return Population(self.varying, self._runs, reason, seconds)


def _share(member: MemberRun) -> float:
    now = member.progress
    return now.step / max(now.total_steps, 1) if now is not None else 0.0


def _judged(row: Any) -> float:
    value = row.get("validation_loss", row["train_loss"])
    return float("inf") if np.isnan(value) else float(value)


def _told(member: MemberRun) -> ThalwegError:
    """Why a member was refused, with its number."""
    assert member.error is not None
    told = type(member.error)(f"member {member.number}: {member.error}")
    told.__cause__ = member.error
    return told
