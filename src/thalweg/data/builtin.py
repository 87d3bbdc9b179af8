"""The small data sets that come inside scikit-learn, as tables with a column ``target``."""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np

from thalweg.data.table import Cells, Table
from thalweg.errors import DataError

BUILTIN_NAMES: tuple[str, ...] = ("digits", "iris", "wine", "breast_cancer", "diabetes")
"""The data sets that :func:`load_builtin` knows."""


def load_builtin(name: str) -> Table:
    """One of scikit-learn's built-in data sets; the target is the last column, ``target``.

    Class names are text where the set has them (iris: ``setosa``), the digits ``"0"`` to ``"9"``;
    diabetes has a number.

    >>> iris = load_builtin("iris")
    >>> len(iris), iris.names[0], iris.column("target")[0]
    (150, 'sepal length (cm)', 'setosa')

    Raises:
        DataError: No data set of that name; the known names are listed.
    """
    from sklearn import datasets

    if name not in BUILTIN_NAMES:
        near = difflib.get_close_matches(name, BUILTIN_NAMES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        known = ", ".join(BUILTIN_NAMES)
        raise DataError(f"no built-in data set {name!r}{hint} Known: {known}")
    bunch: Any = getattr(datasets, f"load_{name}")()
    names = [str(feature) for feature in bunch.feature_names]
    values = np.asarray(bunch.data, dtype=np.float64)
    columns: dict[str, Cells] = {feature: values[:, i].copy() for i, feature in enumerate(names)}
    columns["target"] = _target(bunch)
    return Table((*names, "target"), columns, f"scikit-learn's {name}")


def _target(bunch: Any) -> Cells:
    if "target_names" not in bunch:
        return np.asarray(bunch.target, dtype=np.float64)
    labels = np.array([str(label) for label in bunch.target_names], dtype=object)
    return labels[np.asarray(bunch.target)]


__all__ = ["BUILTIN_NAMES", "load_builtin"]
