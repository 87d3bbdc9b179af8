"""How good a model is on images that it never saw: figures, confusions, each class by itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from thalweg.data.metrics import Metrics, classification_metrics
from thalweg.errors import NonFiniteError
from thalweg.images.preparing import PreparedImages
from thalweg.model import Model

_WIDEST = 15
"""Classes up to which the whole table of confusions is shown."""

_SHOWN = 10


class ClassFigures(NamedTuple):
    """How one class fares.

    Attributes:
        name: of the class.
        images: of it among the test images.
        precision: share of the images taken for the class that are of it; NaN without any.
        recall: share of the class's images that were recognised; NaN without any.
        f1: their harmonic mean.
    """

    name: str
    images: int
    precision: float
    recall: float
    f1: float


class Judgement(NamedTuple):
    """Results on the test images.

    Attributes:
        test: the model's metrics.
        baselines: the same of always saying how frequent each class is.
        confusion: images by true class (row) and predicted class (column).
    """

    test: Metrics
    baselines: dict[str, Metrics]
    confusion: NDArray[np.int64]


def judge(model: Model, prepared: PreparedImages) -> Judgement:
    """A model's results on the test images; empty where there are none.

    Raises:
        NonFiniteError: the predictions are NaN or infinite.
    """
    rows, train = prepared.split.test, prepared.split.train
    count = len(prepared.classes)
    if not len(rows):
        return Judgement({}, {}, np.zeros((count, count), np.int64))
    truth = prepared.y[rows]
    found = model.predict_proba(prepared.x[rows])
    if not np.isfinite(found).all():
        raise NonFiniteError(
            "the trained network predicts NaN or infinity for test images; try a learning_rate "
            "ten times smaller, or clip=1.0"
        )
    shares = np.bincount(prepared.y[train], minlength=count) / max(len(train), 1)
    majority = classification_metrics(truth, np.tile(shares, (len(rows), 1)))
    test = classification_metrics(truth, found)
    table = confusion(truth, found.argmax(axis=1), count)
    return Judgement(test, {"majority class": majority}, table)


def confusion(
    truth: NDArray[np.integer], guess: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """Rows by true class and by predicted class, (classes, classes).

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    places = truth.astype(np.int64) * classes + guess
    return np.bincount(places, minlength=classes * classes).reshape(classes, classes)


def class_figures(table: NDArray[np.int64], names: tuple[object, ...]) -> list[ClassFigures]:
    """Precision, recall and F1 of each class.

    >>> class_figures(np.array([[1, 1], [0, 1]]), ("a", "b"))[1]
    ClassFigures(name='b', images=1, precision=0.5, recall=1.0, f1=0.666...)
    """
    right = np.diag(table).astype(np.float64)
    taken, held = table.sum(axis=0), table.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = right / taken, right / held
        f1 = 2 * right / (taken + held)
    return [
        ClassFigures(str(name), int(held[k]), float(precision[k]), float(recall[k]), float(f1[k]))
        for k, name in enumerate(names)
    ]


def class_table(figures: list[ClassFigures]) -> str:
    """Each class's figures as aligned text."""
    rows = [["class", "images", "precision", "recall", "F1"]]
    rows += [
        [item.name, f"{item.images:,}", *map(_share, (item.precision, item.recall, item.f1))]
        for item in figures
    ]
    return _aligned(rows)


def confusion_text(table: NDArray[np.int64], names: tuple[object, ...]) -> str:
    """The confusions as aligned text; of many classes only the most frequent ones."""
    labels = [str(name) for name in names]
    if len(labels) <= _WIDEST:
        head = "predicted class by column, true class by row"
        body = [["", *labels]]
        body += [[label, *map(str, row)] for label, row in zip(labels, table.tolist(), strict=True)]
        return f"{head}\n{_aligned(body)}"
    wrong = table - np.diag(np.diag(table))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_SHOWN]
    pairs = [divmod(int(place), len(labels)) for place in order]
    body = [["true class", "taken for", "images"]]
    body += [[labels[i], labels[j], str(wrong[i, j])] for i, j in pairs if wrong[i, j]]
    return f"most frequent confusions\n{_aligned(body)}" if len(body) > 1 else "no confusions"


def _share(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.4f}"


def _aligned(rows: list[list[str]]) -> str:
    """Cells in columns, the first to the left."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        for row in rows
    ]
    return "\n".join("  ".join(line).rstrip() for line in lines)


__all__ = ["ClassFigures", "Judgement", "class_figures", "class_table", "confusion", "judge"]
