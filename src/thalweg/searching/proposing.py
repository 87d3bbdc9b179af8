"""New trials: from the journal, or from the sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from thalweg.searching.assembling import Made, check_used
from thalweg.searching.goal import Goal, trial_seed
from thalweg.searching.memory import Memory
from thalweg.searching.samplers import RandomSampler
from thalweg.searching.trial import Record

_PROBES = 64
"""Settings drawn at random before a name counts as unused."""


def propose(goal: Goal, memory: Memory, records: Sequence[Record], count: int) -> list[Record]:
    """The next trials, with their arguments; fewer where the sampler has come to its end.

    What is proposed depends on the trials that have ended and on nothing else; the journal's
    proposals are taken as they are.

    Args:
        goal: of the search.
        memory: what was proposed before, and where new proposals are noted.
        records: all trials so far.
        count: how many are wanted.

    Raises:
        SettingError: a name of the space that nothing uses.
    """
    if not count:
        return []
    first = len(records)
    remembered = [memory.proposal(number) for number in range(first, first + count)]
    proposed: Sequence[Mapping[str, Any]] = ()
    if None in remembered:
        known = goal.known(records)
        proposed = goal.sampler.propose(goal.space, goal.seed, first, count, known)
    fresh: list[Record] = []
    for place, held in enumerate(remembered):
        if held is None and place >= len(proposed):
            break
        number = first + place
        settings, seed = held or (proposed[place], trial_seed(goal.seed, number))
        fresh.append(Record(number, dict(settings), seed))
    made = [found for record in fresh if (found := goal.make(record)) is not None]
    if not records and made:
        _check_used(goal, made)
    memory.propose(fresh)
    return fresh


def _check_used(goal: Goal, made: Sequence[Made]) -> None:
    """Refuse names that no trial uses, of the first generation or of more that are drawn."""
    used = frozenset[str]().union(*(item.used for item in made))
    if used >= set(goal.space.names):
        return
    probes = list(made)
    for settings in RandomSampler().propose(goal.space, goal.seed, 0, _PROBES):
        found = goal.make(Record(0, settings, 0))
        probes += [] if found is None else [found]
    check_used(goal.space.names, probes)


__all__ = ["propose"]
