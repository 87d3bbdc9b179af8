"""Cells that lie far outside all others, such as a misplaced decimal point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def far_out(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values lie more than ten times the width of the middle 98 % outside of it.

    With q₁ and q₉₉ the first and last percentile of the finite values and w = q₉₉ − q₁, these are
    the values below q₁ − 10w or above q₉₉ + 10w. Normal data has none (they would be 49 standard
    deviations out); where the middle 98 % are all the same, nothing is far out.

    >>> far_out(np.append(np.arange(100.0), 1e6)).sum()
    np.int64(1)
    """
    finite = np.isfinite(values)
    if finite.sum() < 100:
        return np.zeros(len(values), dtype=np.bool_)
    low, high = np.percentile(values[finite], (1, 99))
    with np.errstate(over="ignore", invalid="ignore"):
        width = high - low
        far = (values < low - 10 * width) | (values > high + 10 * width)
    return far & finite if 0 < width < np.inf else np.zeros(len(values), dtype=np.bool_)


__all__ = ["far_out"]
