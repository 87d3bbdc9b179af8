"""Numeric targets in units of their own deviation while training."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from thalweg.data.scaled_target import TargetScale
from thalweg.errors import SettingError
from thalweg.graph import Array
from thalweg.nn.statistics import moments
from thalweg.training.job import Rows
from thalweg.training.targets import TargetCode

WIDE = np.dtype(np.float64)


class Scaled(NamedTuple):
    """Rows with scaled targets, and the code that remembers the scale."""

    rows: Rows
    held_out: Rows | None
    code: TargetCode


def unscaled(code: TargetCode) -> TargetCode:
    """The code by which targets are read before they are scaled: in float64.

    Raises:
        SettingError: targets that are no numbers, or counts.
    """
    if code.loss.kind != "numbers" or code.classes is not None:
        name = type(code.loss).__name__
        raise SettingError(f"scale_targets is for numbers, but {name} takes classes; leave it out")
    if not code.loss.standardised:
        name = type(code.loss).__name__
        raise SettingError(
            f"scale_targets shifts and scales the targets, but {name} takes counts; leave it out"
        )
    return replace(code, dtype=WIDE)


def scaled(rows: Rows, held_out: Rows | None, code: TargetCode) -> Scaled:
    """Targets of mean 0 and standard deviation 1 over the training rows, by column.

    Args:
        rows: training rows, with targets as :func:`unscaled` reads them.
        held_out: validation rows, scaled by the training rows' moments.
        code: gives the type of the scaled targets.

    Returns:
        The rows, and the code with ``scale``, which the model needs to scale back.
    """
    mean, scale = moments(rows.y, "scale_targets")
    target = TargetScale(
        tuple(float(item) for item in np.ravel(mean)),
        tuple(float(item) for item in np.ravel(scale)),
    )

    def with_scale(given: Rows) -> Rows:
        weights = None if given.weights is None else given.weights.astype(code.dtype, copy=False)
        return Rows(given.x, _in(target.encode(given.y), code.dtype), weights)

    others = None if held_out is None else with_scale(held_out)
    return Scaled(with_scale(rows), others, replace(code, scale=target))


def _in(values: Array, dtype: np.dtype[np.generic]) -> Array:
    return np.ascontiguousarray(values.astype(dtype, copy=False))


__all__ = ["Scaled", "scaled", "unscaled"]
