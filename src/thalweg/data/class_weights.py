"""Weights of classes that are not equally frequent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np

from thalweg.errors import DataError, SettingError


def class_weights(
    labels: Iterable[Any] | Mapping[Any, int], strength: float = 1.0
) -> dict[Any, float]:
    """w_k = n_k^-s · N / Σ_j n_j^(1-s): rare classes weigh more, and rows 1 on average.

    Args:
        labels: the class of each row, or the number n_k of rows by class.
        strength: s in [0, 1]: 1 is ``balanced``, w_k = N / (K n_k), so that all classes count
            alike, as scikit-learn's; ½ goes half of the way; 0 gives 1 to all.

    Returns:
        the weight of each class, in the order in which classes are met, for
        ``fit(..., class_weight=...)``.

    Raises:
        SettingError: a strength outside [0, 1].
        DataError: no rows, or a class without rows.

    >>> class_weights(["no", "no", "no", "yes"])
    {'no': 0.6666666666666666, 'yes': 2.0}
    >>> class_weights({"no": 900, "yes": 100}, strength=0)
    {'no': 1.0, 'yes': 1.0}
    """
    if isinstance(strength, bool) or not 0 <= strength <= 1:
        raise SettingError(f"strength = {strength!r} is outside [0, 1]")
    counts = _counts(labels)
    for label, count in counts.items():
        if not count > 0:
            raise DataError(f"class {label!r} has {count} rows; it needs at least one")
    if not counts:
        raise DataError("there are no labels; class weights need at least one row")
    rows = np.array(list(counts.values()), np.float64)
    weights = rows**-strength * rows.sum() / np.sum(rows ** (1 - strength))
    return dict(zip(counts, weights.tolist(), strict=True))


def _counts(labels: Iterable[Any] | Mapping[Any, int]) -> Mapping[Any, int]:
    if isinstance(labels, Mapping):
        return cast("Mapping[Any, int]", labels)
    given = labels.tolist() if isinstance(labels, np.ndarray) else labels
    return Counter(cast("Iterable[Any]", given))


__all__ = ["class_weights"]
