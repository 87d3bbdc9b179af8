"""How much each hyperparameter mattered, as a forest of trees sees it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from thalweg.searching.showing.axes import Axis, Tried, judged, places

LEAST_TRIALS = 8
"""Trials below which nothing is said."""

_TREES, _SHUFFLES, _MOST_ROWS = 100, 10, 4000
_ABSENT = -1.0


def importances(
    axes: Sequence[Axis], trials: Sequence[Tried], *, maximise: bool = False
) -> dict[str, float]:
    """The share of each hyperparameter in how trials rank: permutation importance.

    A random forest learns the rank of a trial's value (failed trials come last) from its settings.
    A setting's importance is the mean fall of the forest's R² when its column is shuffled among
    trials; shares add up to 1. Ranks keep one diverged trial from deciding everything. It says what
    mattered among the values that were tried, not beyond them.

    Args:
        axes: the hyperparameters.
        trials: of which a number are needed.
        maximise: whether larger values are better.

    Returns:
        Shares by name, the largest first; empty with fewer than 8 trials, or where all are alike.

    Source: Random Forests (Breiman 2001), section 10; the question is that of An Efficient Approach
    for Assessing Hyperparameter Importance (Hutter, Hoos and Leyton-Brown 2014).
    """
    chosen = list(trials)[-_MOST_ROWS:]
    ranks = ranked(chosen, maximise=maximise)
    if len(chosen) < LEAST_TRIALS or not axes or np.ptp(ranks) == 0:
        return {}
    found = np.maximum(_falls(np.nan_to_num(places(axes, chosen), nan=_ABSENT), ranks), 0.0)
    if not found.sum() > 0:
        return {}
    shares = found / found.sum()
    order = sorted(range(len(axes)), key=lambda place: -shares[place])
    return {axes[place].name: float(shares[place]) for place in order}


def ranked(trials: Sequence[Tried], *, maximise: bool = False) -> NDArray[np.float64]:
    """Ranks from 0 for the best; equal values share their mean rank, failed trials the last."""
    from scipy.stats import rankdata

    sign = -1.0 if maximise else 1.0
    values = [sign * float(t.value or 0.0) if judged(t) else np.inf for t in trials]
    return np.asarray(rankdata(values, method="average"), dtype=np.float64) - 1.0


def _falls(settings: NDArray[np.float64], ranks: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean fall of R² for each column of settings."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    forest = RandomForestRegressor(_TREES, min_samples_leaf=2, random_state=0)
    forest.fit(settings, ranks)
    found = permutation_importance(
        forest, settings, ranks, n_repeats=_SHUFFLES, random_state=0, scoring="r2"
    )
    return np.asarray(found["importances_mean"])


__all__ = ["LEAST_TRIALS", "importances", "ranked"]
