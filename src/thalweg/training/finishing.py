"""What is done to a network after its last update."""

from __future__ import annotations

from collections.abc import Callable

from thalweg.errors import SettingError
from thalweg.training.job import Rows
from thalweg.training.recipe import Recipe, Values

Finish = Callable[[Values, Values], Values]
"""Parameters and states to the states that the model gets."""

STATISTICS = ("running", "exact")


def finisher(statistics: str, recipe: Recipe, rows: Rows) -> Finish | None:
    """What turns the states of training into those of the model, if anything does.

    Averaged weights had no batches of their own, so that their statistics are always exact; they
    are judged with these while training, too.

    Args:
        statistics: ``running`` or ``exact``.
        recipe: gives the network.
        rows: the training rows.

    Raises:
        SettingError: another word.
    """
    if statistics not in STATISTICS:
        raise SettingError(f"statistics = {statistics!r} is not one of {', '.join(STATISTICS)}")
    if statistics == "running" and recipe.average is None:
        return None
    from thalweg.training.statistics import ExactStatistics

    exact = ExactStatistics(recipe.network, rows.x, recipe.frozen)
    return exact if exact.layers else None
