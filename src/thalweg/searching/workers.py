"""What trains the members of a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from thalweg.training.arguments import Arguments
from thalweg.training.population.crew import Crew, Source
from thalweg.training.population.member import MemberRun
from thalweg.training.programs import Programs


class Workers(Protocol):
    """Threads of this process, or an executor's processes and machines."""

    @property
    def programs(self) -> Programs:
        """What members of this process share."""
        ...

    def member(self, arguments: Arguments, number: int) -> MemberRun:
        """A member at its beginning."""
        ...

    def run(self, source: Source, tick: Callable[[], None] | None = None) -> str:
        """Work a source off."""
        ...


class Threads(Crew):
    """Threads of this process."""

    def member(self, arguments: Arguments, number: int) -> MemberRun:
        """A member at its beginning."""
        return MemberRun(arguments, self.programs, number)


__all__ = ["Threads", "Workers"]
