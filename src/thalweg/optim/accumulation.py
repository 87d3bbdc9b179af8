"""Gradient accumulation: one update for the gradients of several batches.

Symbols: k batches make a group, whose gradient is the mean over all its rows; s batches make an
epoch. Groups do not reach over the end of an epoch, so that its last one may be shorter.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from thalweg.graph import Tensor, as_tensor
from thalweg.ops.functions import astype, floor
from thalweg.optim.optimizer import Moment


class Group(NamedTuple):
    """Where a batch stands in its group.

    Attributes:
        moment: of the update that the group ends with, counted in updates.
        begins: whether it is the group's first batch.
        ends: whether it is the last, so that the update is done.
    """

    moment: Moment
    begins: Tensor
    ends: Tensor


def group_of(moment: Moment, count: int) -> Group:
    """The group of a batch.

    Args:
        moment: counted in batches.
        count: k.

    >>> groups = [group_of(Moment(step, 10, 5), 2) for step in range(6)]
    >>> [int(group.moment.step.numpy()) for group in groups], [bool(g.ends) for g in groups]
    ([0, 0, 1, 1, 2, 3], [False, True, False, True, True, False])
    """
    step, total, per_epoch = (astype(as_tensor(value), "float64") for value in moment)
    epoch = floor(step / per_epoch)
    within = step - epoch * per_epoch
    place = within - floor(within / count) * count
    updates = updates_of(per_epoch, count)
    done = epoch * updates + floor(within / count)
    last = (place == count - 1.0) | (within == per_epoch - 1.0)
    return Group(Moment(done, total / per_epoch * updates, updates), place == 0.0, last)


def updates_of(batches: Any, count: int) -> Any:
    """⌈s / k⌉, the updates of an epoch of s batches."""
    if isinstance(batches, Tensor):
        return floor((batches + (count - 1.0)) / count)
    return -(-batches // count)
