"""Trials that go on from other trials' states, and trials trained again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.errors import SettingError
from thalweg.ops.random import key_from_seed
from thalweg.searching.assembling import shape_of
from thalweg.searching.exploring import explored
from thalweg.searching.goal import Goal
from thalweg.searching.memory import Memory
from thalweg.searching.schedulers import Copy, PopulationBased
from thalweg.searching.trial import Record
from thalweg.training.population.member import MemberRun
from thalweg.training.programs import Programs

_EXPLORE = 12
_FACTOR = 1.2


def take_over(goal: Goal, memory: Memory, records: Sequence[Record], copy: Copy) -> None:
    """Let a trial take over another one's history, with that one's settings a little changed.

    Raises:
        SettingError: the build refuses them.
    """
    record, parent = records[copy.number], records[copy.parent]
    settings = memory.copied(copy)
    if settings is None:
        settings = _changed(goal, parent, copy)
        memory.copy(copy, settings)
    record.take_over(copy, parent, settings)
    if goal.make(record) is None:
        raise SettingError(f"trial {copy.number}: {record.reason}")


def _changed(goal: Goal, parent: Record, copy: Copy) -> dict[str, Any]:
    """The parent's settings, changed where that does not change the shape of the program."""
    scheduler = goal.scheduler
    factor = scheduler.factor if isinstance(scheduler, PopulationBased) else _FACTOR
    key = key_from_seed(goal.seed, _EXPLORE, copy.number, copy.epoch)
    random = np.random.default_rng(key.tolist())
    shape = shape_of(parent.arguments or {})
    deciding = {name for domain in goal.space.domains.values() for name in domain.when}
    settings = dict(parent.settings)
    for name in goal.space.varying:
        if name in deciding or name not in settings:
            continue
        changed = explored(goal.space, settings, [name], factor, random)
        if shape_of(goal.assembly.make(changed).arguments) == shape:
            settings = changed
    return settings


def trained_again(
    goal: Goal, programs: Programs, records: Sequence[Record], record: Record, epochs: int
) -> MemberRun:
    """A trial trained again up to an epoch, bit for bit, through all that it went on from.

    Args:
        goal: of the search.
        programs: what trials share.
        records: all trials.
        record: the trial.
        epochs: where it then stands.
    """

    def replayed(record: Record, epochs: int, copies: int) -> MemberRun:
        """Its training with the first so many of its copies."""
        if copies:
            copy, settings = record.copies[copies - 1]
            parent = records[copy.parent]
            before = sum(other.epoch < copy.epoch for other, _ in parent.copies)
            source = replayed(parent, copy.epoch, before)
            member = source.branch(goal.arguments(record, settings), record.number)
        else:
            arguments = goal.arguments(record, record.first)
            member = MemberRun(arguments, programs, record.number)
        member.advance(None if epochs >= goal.epochs else epochs)
        return member

    return replayed(record, epochs, sum(copy.epoch <= epochs for copy, _ in record.copies))


__all__ = ["take_over", "trained_again"]
