"""The engine of a search: proposes, trains wave by wave, and keeps the best."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from thalweg.errors import SettingError
from thalweg.searching.goal import Goal
from thalweg.searching.lineage import take_over, trained_again
from thalweg.searching.memory import Memory
from thalweg.searching.proposing import propose
from thalweg.searching.schedulers import Copy
from thalweg.searching.trial import FAILED, FINISHED, OPEN, STOPPED, Outcome, Record, measured
from thalweg.searching.workers import Workers
from thalweg.training.loop import interrupts
from thalweg.training.population.member import REFUSED, MemberRun
from thalweg.training.result import TrainedRun
from thalweg.training.stopping import as_stopping

_PAUSED = 4
"""Populations of paused trials whose states are kept; others are trained again if they go on."""

_ENOUGH = 8
"""Trials that fail, at least, before a search is ended for it."""


class TimeUp(Exception):  # noqa: N818  # no error: it ends a wave
    """The time of a search is over."""


@dataclass
class Engine:
    """One run of a search.

    Args:
        goal: what is to be done.
        memory: what earlier runs have done.
        workers: train members.
        kept: called with a trial and its run whenever it is the best so far.
        ticked: called a few times a second.

    Attributes:
        records: all trials that were proposed, in number order.
        ended: trials in the order in which they ended.
        trained: networks that were trained in this run.
        running: members that are trained now.
    """

    goal: Goal
    memory: Memory
    workers: Workers
    kept: Callable[[Record, TrainedRun], None] | None = None
    ticked: Callable[[], None] | None = None
    records: list[Record] = field(default_factory=list[Record])
    ended: list[Record] = field(default_factory=list[Record])
    trained: int = 0
    running: int = 0

    def __post_init__(self) -> None:
        """Begin the clock."""
        self._began = time.perf_counter()
        self._members: dict[int, MemberRun] = {}
        self._best: tuple[Record, MemberRun | None] | None = None
        self._told: Record | None = None
        self._exhausted = False

    @property
    def seconds(self) -> float:
        """Since this run began."""
        return time.perf_counter() - self._began

    @property
    def is_late(self) -> bool:
        """Whether the time of this run is over."""
        limit = self.goal.time_limit
        return limit is not None and self.seconds >= limit

    def run(self) -> str:
        """Work until all trials are done.

        Returns:
            ``trials``, ``exhausted`` (the sampler has no more), ``time limit``, ``interrupted``.

        Raises:
            SettingError: a name of the space that nothing uses, or all trials of the first
                generation failed.
        """
        with interrupts() as interrupted:
            reason = ""
            while not reason:
                reason = self._wave()
                self._tell()
                if interrupted.is_set():
                    reason = reason or "interrupted"
        self._leave()
        return reason

    def _wave(self) -> str:
        """What the scheduler decides now, and the training of it; why no more follows."""
        wave = self.goal.scheduler.wave(self.goal.standing(self.records, self._exhausted))
        for number in wave.stopped:
            self._stop(self.records[number])
        for copy in wave.copies:
            self._copy(copy)
        fresh = propose(self.goal, self.memory, self.records, wave.new)
        self.records += fresh
        self._exhausted = self._exhausted or len(fresh) < wave.new
        tasks = [*wave.tasks, *((record.number, wave.until) for record in fresh)]
        return self._work(tasks) if tasks else self._close()

    # -------------------------------------------------------------- training

    def _work(self, tasks: Sequence[tuple[int, int]]) -> str:
        """Train trials up to their epochs; what the journal remembers is taken from there."""
        line: list[tuple[Record, int]] = []
        for number, until in tasks:
            record = self.records[number]
            outcome = self.memory.outcome(number, until)
            if outcome is None and record.arguments is None:
                outcome = Outcome(until, 0, None, FAILED, record.reason, [], 0.0)
                self.memory.note(record, outcome)
            if outcome is not None:
                self._take(record, outcome, None)
            else:
                line.append((record, until))
        if not line or self.is_late:
            return "time limit" if line else ""
        line.sort(key=lambda task: task[0].epochs - task[1])
        for record, _ in line:
            if record.copies and record.number not in self._members:
                self._members[record.number] = self._again(record)
        try:
            return self.workers.run(_Line(self, line), self._tick)
        except TimeUp:
            return "time limit"
        finally:
            self.running = 0
            self._forget()

    def _tick(self) -> None:
        self._tell()
        if self.is_late:
            raise TimeUp

    def _tell(self) -> None:
        """Hand on the best model where it is a new one, and let the display draw."""
        best, member = self._best or (None, None)
        if best is not None and best is not self._told and member is not None:
            self._keep(best, member)
        if self.ticked is not None:
            self.ticked()

    def member(self, record: Record) -> MemberRun:
        """The training of a trial, where it stands or at its beginning."""
        held = self._members.pop(record.number, None)
        return held or self.workers.member(self.goal.arguments(record), record.number)

    def came(self, record: Record, member: MemberRun, until: int, seconds: float) -> None:
        """Take in that a member was trained; one that was interrupted is trained again."""
        if member.reason == "interrupted":
            return
        outcome = self._outcome(record, member, until, seconds)
        self.trained += not record.rows
        self.memory.note(record, outcome)
        self._take(record, outcome, member)

    def _outcome(self, record: Record, member: MemberRun, until: int, seconds: float) -> Outcome:
        rows = member.history.rows
        new = [dict(row) for row in rows[record.epochs :]]
        failed = Outcome(until, len(rows), None, FAILED, "", new, seconds)
        if member.reason in {"non-finite", REFUSED}:
            return failed.because(str(member.failure or member.error))
        self._check_metric(rows)
        rule = as_stopping(member.arguments.early_stopping)
        value = measured(rows, self.goal.metric, rule)
        if value is None:
            return failed.because(f"{self.goal.metric} is not finite after epoch {len(rows)}")
        if until < self.goal.epochs and not member.reason:
            return Outcome(until, len(rows), value, OPEN, "", new, seconds)
        return Outcome(until, len(rows), value, FINISHED, member.reason or "epochs", new, seconds)

    def _check_metric(self, rows: Sequence[Mapping[str, float]]) -> None:
        if rows and self.goal.metric not in rows[-1]:
            raise SettingError(
                f"metric = {self.goal.metric!r} is not among what these trials give: "
                f"{', '.join(rows[-1])}"
            )

    def _take(self, record: Record, outcome: Outcome, member: MemberRun | None) -> None:
        record.take(outcome, self.goal.sign)
        if record.ended:
            self.ended.append(record)
            self._consider(record, member)
            self._check_first()
        elif member is not None:
            self._members[record.number] = member

    def _check_first(self) -> None:
        """End a search whose first generation, of 8 trials at least, failed wholly.

        Raises:
            SettingError: with the first trial's reason.
        """
        count = min(max(self.goal.population, _ENOUGH), self.goal.trials)
        first = self.records[:count]
        if len(first) < count or any(record.state != FAILED for record in first):
            return
        told = f"all of the first {count} trials failed" if count > 1 else "the trial failed"
        raise SettingError(
            f"{told}; trial 0 with: {first[0].reason} — change the space, or what build makes of it"
        )

    def _forget(self) -> None:
        """Let go of paused trials that are the least likely to go on."""
        most = _PAUSED * self.goal.population
        if self.goal.scheduler.copies or len(self._members) <= most:
            return
        order = sorted(self._members, key=lambda number: self.goal.order(self.records[number]))
        for number in order[most:]:
            del self._members[number]

    # -------------------------------------------------------------- the scheduler's decisions

    def _stop(self, record: Record) -> None:
        """Train a trial no further."""
        member = self._members.pop(record.number, None)
        if record.ended:
            return
        record.state, record.reason = STOPPED, "scheduler"
        self.memory.stop(record)
        self.ended.append(record)
        self._consider(record, member)

    def _copy(self, copy: Copy) -> None:
        """Let a trial go on from another one."""
        record = self.records[copy.number]
        take_over(self.goal, self.memory, self.records, copy)
        self._members.pop(copy.number, None)
        if self.best is record:
            self._best = None
            for other in self.records:
                if other.ended:
                    self._consider(other, None)
        source = self._members.get(copy.parent)
        if source is not None:
            self._members[copy.number] = source.branch(self.goal.arguments(record), copy.number)

    def _close(self) -> str:
        """At the end of the search no trial is left open."""
        for record in self.records:
            if not record.ended:
                self._stop(record)
        return "exhausted" if self._exhausted else "trials"

    def _leave(self) -> None:
        """Where the search ends before, trials that are still open may have the best model."""
        for record in self.records:
            if not record.ended:
                self._consider(record, self._members.get(record.number))

    # -------------------------------------------------------------- the best

    @property
    def best(self) -> Record | None:
        """The best trial so far."""
        return None if self._best is None else self._best[0]

    def ranked(self, records: Sequence[Record]) -> list[Record]:
        """Those with a value, the best first; equal ones by number."""
        return sorted((one for one in records if one.value is not None), key=self.goal.order)

    def _consider(self, record: Record, member: MemberRun | None) -> None:
        """Keep the model of a trial where it is the best so far."""
        if record.value is None:
            return
        if self._best is None or self.goal.order(record) < self.goal.order(self._best[0]):
            self._best = record, member

    def _keep(self, best: Record, member: MemberRun) -> None:
        self._told = best
        if self.kept is not None:
            self.kept(best, member.result())

    def best_run(self) -> TrainedRun | None:
        """The run of the best trial, trained again where its model is not in memory."""
        if self._best is None:
            return None
        best, member = self._best
        if member is None:
            member = self._again(best)
            self._best = best, member
        if self._told is not best:
            self._keep(best, member)
        return member.result()

    def _again(self, record: Record) -> MemberRun:
        programs = self.workers.programs
        return trained_again(self.goal, programs, self.records, record, record.epochs)


class _Line:
    """Trials in the order in which a crew trains them."""

    def __init__(self, engine: Engine, tasks: Sequence[tuple[Record, int]]) -> None:
        self._engine = engine
        self._tasks = list(reversed(tasks))
        self._now: dict[int, tuple[Record, int, float]] = {}

    def next(self) -> tuple[MemberRun, int | None] | None:
        """The next trial, and the epoch up to which it is trained."""
        if not self._tasks:
            return None
        record, until = self._tasks.pop()
        member = self._engine.member(record)
        self._now[record.number] = record, until, time.perf_counter()
        self._engine.running = len(self._now)
        return member, None if until >= self._engine.goal.epochs else until

    def done(self, member: MemberRun) -> None:
        """Take in what came of a trial."""
        record, until, began = self._now.pop(member.number)
        self._engine.running = len(self._now)
        self._engine.came(record, member, until, time.perf_counter() - began)


__all__ = ["Engine"]
