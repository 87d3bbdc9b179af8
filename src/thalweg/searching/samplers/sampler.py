"""The family of samplers: what proposes the settings of the next trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.descriptions import Description, family, members
from thalweg.descriptions.constraints import shown
from thalweg.descriptions.spec import parse_spec
from thalweg.errors import SettingError
from thalweg.searching.proposals import Known, check_call
from thalweg.searching.spaces.space import Settings, Space


@family("sampler")
@dataclass(frozen=True)
class Sampler(Description):
    """Proposes settings; what it proposes depends on what it is told and on nothing else."""

    def propose(
        self, space: Space, seed: int, first: int, count: int, known: Sequence[Known] = ()
    ) -> list[Settings]:
        """The settings of trials first, first + 1, …, first + count − 1.

        Args:
            space: what may be proposed.
            seed: ≥ 0.
            first: the number of the first trial to propose, from 0.
            count: how many; fewer come where the sampler has come to its end.
            known: trials that have ended, in the order of their numbers.

        The same arguments give the same proposals, in any process.

        Raises:
            SettingError: a seed, number or count below 0.
        """
        check_call(seed, first, count)
        return self._propose(space, int(seed), int(first), int(count), known) if count else []

    def _propose(
        self, space: Space, seed: int, first: int, count: int, known: Sequence[Known]
    ) -> list[Settings]:
        raise NotImplementedError


def as_sampler(value: Any) -> Sampler:
    """A sampler as it is; a text as the sampler that it names.

    Raises:
        SettingError: neither, or an unknown name; the nearest is offered.

    >>> import thalweg.searching.samplers
    >>> as_sampler("tpe(startup=20)")
    TPESampler(startup=20, candidates=24)
    """
    if isinstance(value, Sampler):
        return value
    if not isinstance(value, str):
        known = ", ".join(members("sampler"))
        raise SettingError(f"a sampler or its text is needed ({known}), got {shown(value)}")
    return parse_spec("sampler", value)
