"""Images with their classes, wherever they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.data.table import Note, plural
from thalweg.errors import DataError, ShapeError

PARTS = ("train", "validation", "test")
"""Parts of a set that came split, by their number in :attr:`ImageSet.parts`."""

Label = bool | int | float | str


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with their classes.

    Attributes:
        x: images: (N, H, W), (N, C, H, W) or (N, H, W, C).
        y: the number of each image's class, (N,).
        classes: names of the classes, in order.
        origin: the folder or file that they came from, or ``arrays``.
        notes: what was decided or met while reading.
        parts: 0 for training, 1 for validation, 2 for the test, (N,); None where they came
            together.
        names: the files, relative to the folder; empty where there are none.
    """

    x: NDArray[Any]
    y: NDArray[np.int64]
    classes: tuple[Label, ...]
    origin: str
    notes: tuple[Note, ...] = ()
    parts: NDArray[np.int8] | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be learned from."""
        if len(self.classes) < 2:
            held = f"one class only ({self.classes[0]!r})" if self.classes else "no class"
            raise DataError(f"{self.origin} holds {held}; learning needs at least two")
        counts = np.bincount(self.y, minlength=len(self.classes))
        if not counts.all():
            empty = self.classes[int(np.argmin(counts))]
            raise DataError(f"{self.origin}: the class {empty!r} has no image")

    def __len__(self) -> int:
        return len(self.y)


def labelled_images(
    x: NDArray[Any],
    labels: Any,
    origin: str = "arrays",
    *,
    parts: NDArray[np.int8] | None = None,
    notes: Sequence[Note] = (),
) -> ImageSet:
    """A set from an array of images and their labels; classes are the labels, sorted.

    Raises:
        DataError: another number of labels than of images, or labels that name no classes.
        ShapeError: labels that are not one for each image.

    >>> labelled_images(np.zeros((3, 2, 2), np.uint8), ["b", "a", "b"]).classes
    ('a', 'b')
    """
    given = np.asarray(labels)
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.ndim != 1:
        raise ShapeError(f"{origin}: labels have shape {given.shape}, expected one for each image")
    if len(given) != len(x):
        raise DataError(
            f"{origin}: {plural(len(x), 'image')}, but {plural(len(given), 'label')}; do they "
            "belong together?"
        )
    if given.dtype.kind == "f":
        given = _whole(given, origin)
    if given.dtype.kind == "O":
        kinds = {type(item) for item in given.tolist()}
        if not kinds <= {str} and not kinds <= {int, bool}:
            raise DataError(f"{origin}: labels must be all texts or all whole numbers")
    found, places = np.unique(given, return_inverse=True)
    return ImageSet(x, places.astype(np.int64), tuple(found.tolist()), origin, tuple(notes), parts)


def _whole(labels: NDArray[Any], origin: str) -> NDArray[np.int64]:
    whole = np.isfinite(labels) & (np.floor(labels) == labels) & (np.abs(labels) < 2**53)
    if not whole.all():
        value = labels[int(np.argmin(whole))]
        raise DataError(f"{origin}: labels must be whole numbers or texts, got {value!r}")
    return labels.astype(np.int64)


__all__ = ["PARTS", "ImageSet", "Label", "labelled_images"]
