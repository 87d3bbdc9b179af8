"""How a learning rate changes with the size of a batch."""

from __future__ import annotations

import math

from thalweg.errors import SettingError


def linear_scaling(
    learning_rate: float, from_batch: int, to_batch: int, *, rule: str = "linear"
) -> float:
    """The learning rate for another batch size: η k, or η √k by the root rule, k = to / from.

    The linear rule keeps the progress of an epoch for SGD while batches are small beside the data;
    the root rule keeps the noise of an update, and suits Adam better. A rise at the beginning
    (:class:`WarmUp`) helps where k is large.

    Args:
        learning_rate: η > 0, good for batches of ``from_batch`` rows.
        from_batch: rows, ≥ 1.
        to_batch: rows, ≥ 1.
        rule: ``linear`` or ``root``.

    Raises:
        SettingError: a value out of range.

    Sources: Goyal and others, "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017;
    Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014 (root).

    >>> linear_scaling(0.1, 256, 1024), linear_scaling(0.1, 256, 1024, rule="root")
    (0.4, 0.2)
    """
    if rule not in {"linear", "root"}:
        raise SettingError(f"rule = {rule!r} is not one of linear, root")
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise SettingError(f"learning_rate = {learning_rate} is outside (0, ∞)")
    for name, rows in (("from_batch", from_batch), ("to_batch", to_batch)):
        if not (rows >= 1 and rows == int(rows)):
            raise SettingError(f"{name} = {rows} must be a whole number of at least 1")
    ratio = to_batch / from_batch
    return learning_rate * (ratio if rule == "linear" else math.sqrt(ratio))
