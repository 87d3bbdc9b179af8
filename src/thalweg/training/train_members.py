"""The members of an ensemble, trained on all cores: progress, Ctrl-C, errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from thalweg.errors import FileError, NonFiniteError, ThalwegError
from thalweg.training.arguments import Arguments
from thalweg.training.history import Display, Progress
from thalweg.training.members import as_display
from thalweg.training.population.crew import Crew
from thalweg.training.population.member import MemberRun
from thalweg.training.population.training import InTurn
from thalweg.training.result import TrainedRun


class Trained(NamedTuple):
    """The runs of the members that were trained, which they are, and why no more were."""

    runs: tuple[TrainedRun, ...]
    places: tuple[int, ...]
    reason: str


def train_members(
    count: int,
    arguments: Callable[[int], Arguments],
    progress: bool | Display | None,
    whole: Callable[[Trained], Any],
    threads: int | None = None,
) -> Trained:
    """Train members until all are, or until Ctrl-C; then the finished ones are kept.

    Args:
        count: how many.
        arguments: of the member at a place.
        progress: as :func:`fit` takes it.
        whole: makes an ensemble of those that there are, for an error to hold.
        threads: members that are trained at once.

    Raises:
        NonFiniteError: naming the member; its ``run`` is the ensemble of the members before it, or
            the member's own run where it is the first.
        KeyboardInterrupt: Ctrl-C before any member was under way.
    """
    display = MembersDisplay(as_display(progress), count)
    crew = Crew(threads)
    work = _Members(count, arguments, crew, display)
    display.start(arguments(0).epochs, "training")
    try:
        reason = _worked_off(crew, work)
        work.check_all(whole)
        found = work.trained(reason)
        display.done(found.reason)
    finally:
        display.close()
    return found


def _worked_off(crew: Crew, work: _Members) -> str:
    """Why no member follows; a second Ctrl-C leaves the finished ones as they are."""
    try:
        return crew.run(work, work.tick)
    except KeyboardInterrupt:
        if not work.runs:
            raise
        return "interrupted"


class _Members(InTurn):
    """Members in turn; none is begun after one that is not finite."""

    def __init__(
        self,
        count: int,
        arguments: Callable[[int], Arguments],
        crew: Crew,
        display: MembersDisplay,
    ) -> None:
        super().__init__(count, arguments, crew, display)
        self._failed: dict[int, MemberRun] = {}
        self._shown = display

    def begin(self, place: int) -> MemberRun:
        """The member at a place, whose epochs are shown."""
        return MemberRun(self.own(place), self.programs, place, self._shown.member(place))

    def next(self) -> tuple[MemberRun, int | None] | None:
        """The next member, unless one ended badly."""
        return None if self._failed else super().next()

    def keep(self, member: MemberRun) -> None:
        """Take a member that has ended."""
        if member.failure is not None:
            self._failed[member.number] = member
        else:
            super().keep(member)
        self._shown.ended.add(member.number)

    def told(self, number: int, error: ThalwegError) -> ThalwegError:
        """What one member is refused for, all are."""
        return error

    def tick(self) -> None:
        """Show where the members stand."""
        self._shown.refresh(self.seconds)

    def check_all(self, whole: Callable[[Trained], Any]) -> None:
        """Whether all members ended well.

        Raises:
            NonFiniteError: the first that did not; members that were trained beside it are kept.
            ThalwegError: what the arguments were refused for.
        """
        self.tick()
        try:
            self.check()
        except FileError as error:
            error.run = whole(self.trained("checkpoint")) if self._finished() else error.run
            raise
        if not self._failed:
            return
        place = min(self._failed)
        failed = self._failed[place]
        before = [number for number in self._finished() if number < place]
        told = NonFiniteError(f"member {place} of {self.members}: {failed.failure}")
        told.run = whole(self._of(before, "non-finite")) if before else failed.result()
        raise told

    def trained(self, reason: str) -> Trained:
        """The members that are finished; where none is, the first as it stands.

        Raises:
            KeyboardInterrupt: none was under way.
        """
        finished = self._finished()
        if len(finished) == self.members:
            return self._of(finished, "epochs")
        begun = finished or sorted(self.runs)[:1]
        if not begun:
            raise KeyboardInterrupt
        return self._of(begun, reason)

    def _finished(self) -> list[int]:
        return [place for place, run in sorted(self.runs.items()) if run.reason != "interrupted"]

    def _of(self, places: list[int], reason: str) -> Trained:
        return Trained(tuple(self.runs[place].result() for place in places), tuple(places), reason)


class MembersDisplay(Display):
    """One display for all members, as if they were one run after the other.

    Members are trained at the same time; epochs are shown in the order of the members, each as soon
    as those of the members before it are.

    Args:
        inner: what shows it.
        members: how many there will be.

    Attributes:
        ended: the places of members that have ended.
    """

    def __init__(self, inner: Display, members: int) -> None:
        self.ended: set[int] = set()
        self._inner = inner
        self._members = [_Member() for _ in range(members)]
        self._front = 0
        self._latest: Progress | None = None

    def member(self, place: int) -> Display:
        """What one member tells of itself."""
        return self._members[place]

    def start(self, epochs: int, title: str) -> None:
        """Training begins."""
        self._inner.start(epochs * len(self._members), title)

    def refresh(self, seconds: float) -> None:
        """Show what is new.

        Args:
            seconds: since the start.
        """
        while self._front < len(self._members):
            ended = self._front in self.ended
            waiting = self._members[self._front].waiting
            while waiting:
                self._latest = self._whole(waiting.pop(0), self._front, seconds)
                self._inner.epoch(self._latest)
            if not ended:
                self._update(seconds)
                break
            self._front += 1

    def _update(self, seconds: float) -> None:
        """Move the bar by what the first member under way has told."""
        now = self._members[self._front].latest
        if now is not None:
            self._inner.update(self._whole(now, self._front, seconds))

    def done(self, reason: str) -> None:
        """All members have ended."""
        if self._latest is not None:
            epochs = sum(member.latest.epoch for member in self._members if member.latest)
            self._inner.finish(replace(self._latest, epoch=epochs), reason)

    def close(self) -> None:
        """The last call."""
        self._inner.close()

    def _whole(self, progress: Progress, place: int, seconds: float) -> Progress:
        """A member's progress as that of all."""
        count = len(self._members)
        total = progress.total_steps * count
        step = sum(
            total // count if number in self.ended else member.latest.step if member.latest else 0
            for number, member in enumerate(self._members)
        )
        return replace(
            progress,
            epoch=progress.epochs * place + progress.epoch,
            epochs=progress.epochs * count,
            step=step,
            total_steps=total,
            latest={**progress.latest, "member": place},
            best_epoch=0,
            seconds=seconds,
            seconds_left=seconds / step * (total - step) if step else np.nan,
        )


class _Member(Display):
    """What one member has told, and nobody has been shown."""

    def __init__(self) -> None:
        self.waiting: list[Progress] = []
        self.latest: Progress | None = None

    def update(self, progress: Progress) -> None:
        """A few times a second."""
        self.latest = progress

    def epoch(self, progress: Progress) -> None:
        """An epoch is done."""
        self.latest = progress
        self.waiting.append(progress)


__all__ = ["MembersDisplay", "Trained", "train_members"]
