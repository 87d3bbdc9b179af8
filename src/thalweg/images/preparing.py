"""Images made ready for training: read, split, in one layout."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.data.image_arrays import is_array_file, read_image_arrays
from thalweg.data.image_encoder import ImageEncoder
from thalweg.data.image_folder import read_folder
from thalweg.data.image_set import ImageSet, labelled_images
from thalweg.data.images import Watch
from thalweg.data.splits import Split, split_notes, split_rows
from thalweg.data.table import Note, plural
from thalweg.errors import DataError, FileError, SettingError, ShapeError
from thalweg.nn.image_input import LAYOUTS, ImageInput, find_layout

FRACTIONS = (0.6, 0.2, 0.2)
"""Shares of the images for training, validation and test."""

_WHITES = (1.0, 255.0, 65535.0)
"""Largest values of usual pixels."""


@dataclass(frozen=True, eq=False)
class PreparedImages:
    """Images as training takes them.

    Attributes:
        images: as they were read.
        x: the same pixels, (N, C, H, W) or (N, H, W, C); not copied.
        split: indices of the images for training, validation and test.
        encoder: size, channels, layout and range of the pixels.
        scaled: whether pixels are to be divided by the encoder's ``white``.
        notes: all that was decided or met.
    """

    images: ImageSet
    x: NDArray[Any]
    split: Split
    encoder: ImageEncoder
    scaled: bool
    notes: tuple[Note, ...]

    @property
    def y(self) -> NDArray[np.int64]:
        """The number of each image's class, (N,)."""
        return self.images.y

    @property
    def classes(self) -> tuple[Any, ...]:
        """Names of the classes, in order."""
        return self.images.classes

    def front(self, *, standardise: bool = False) -> ImageInput:
        """The first layer of a network for these images."""
        encoder = self.encoder
        return ImageInput(
            encoder.layout, scale=self.scaled, white=encoder.white, standardise=standardise
        )


def prepare_images(
    source: Any,
    *,
    labels: Any = None,
    size: tuple[int, int] | None = None,
    mode: str | None = None,
    layout: str = "auto",
    strict: bool = False,
    fractions: Sequence[float] | None = None,
    seed: int = 0,
    watch: Watch | None = None,
) -> PreparedImages:
    """Read and split images.

    Args:
        source: a folder with a folder for each class; a file of arrays (IDX, ``.npz``, ``.npy``);
            an array of images, or a pair of images and labels.
        labels: of an array, (N,); or the file of labels.
        size: (width, height) to which images of a folder are brought.
        mode: ``L`` or ``RGB``, to which images of a folder are brought.
        layout: of arrays: ``channels_first``, ``channels_last``, or ``auto`` by the shape.
        strict: refuse files of a folder that are no images, instead of leaving them out.
        fractions: shares of training, validation and test images; None: a split that the source
            has, else 60, 20 and 20 %.
        seed: of the split; each class keeps its share.
        watch: called with the number of files read and of all.

    Raises:
        SettingError: options that do not belong together, or shares that are none.
        FileError: no such folder or file, or a damaged one.
        DataError: images that cannot be learned from.

    >>> x, y = np.zeros((20, 8, 8, 3), np.uint8), np.arange(20) % 2
    >>> prepared = prepare_images((x, y))
    >>> prepared.encoder.layout, [len(rows) for rows in prepared.split]
    ('channels_last', [12, 4, 4])
    """
    images = open_images(source, labels, size=size, mode=mode, strict=strict, watch=watch)
    x, encoder, notes = _encoded(images.x, layout)
    low, white = _range(x)
    if low < 0:
        text = f"pixels go from {low:g} to {white:g} and stay as they are, unscaled"
        notes = (*notes, Note("info", text))
    encoder = ImageEncoder(
        encoder.width, encoder.height, encoder.channels, encoder.layout, 1.0 if low < 0 else white
    )
    split, more = _split(images, fractions, seed)
    return PreparedImages(images, x, split, encoder, low >= 0, (*images.notes, *notes, *more))


def open_images(
    source: Any,
    labels: Any = None,
    *,
    size: tuple[int, int] | None = None,
    mode: str | None = None,
    strict: bool = False,
    watch: Watch | None = None,
) -> ImageSet:
    """The images and labels that a folder, a file or arrays hold; see :func:`prepare_images`."""
    if isinstance(source, ImageSet):
        return source
    if isinstance(source, (str, os.PathLike)):
        place = Path(source)
        if place.is_dir():
            if labels is not None:
                raise SettingError("a folder's classes are its folders' names; leave labels out")
            return read_folder(place, size=size, mode=mode, strict=strict, watch=watch)
        _no_resizing(size, mode)
        if not place.exists():
            raise FileError(f"there is no file or folder {str(place)!r}")
        if not is_array_file(place):
            raise FileError(
                f"{place} is no folder of images and no file of arrays (IDX, .npz, .npy)"
            )
        return read_image_arrays(place, labels)
    _no_resizing(size, mode)
    if labels is None and isinstance(source, (tuple, list)) and len(source) == 2:
        source, labels = source
    if labels is None:
        raise SettingError("images in an array need their labels: fit_images(x, labels=y)")
    return labelled_images(np.asarray(source), labels)


def _no_resizing(size: Any, mode: Any) -> None:
    if size is not None or mode is not None:
        raise SettingError(
            "size and mode (--resize and --mode) are for folders of image files; an array has one "
            "size already"
        )


def _encoded(x: NDArray[Any], layout: str) -> tuple[NDArray[Any], ImageEncoder, tuple[Note, ...]]:
    """The images with an axis for channels, and what they are."""
    if layout not in LAYOUTS:
        raise SettingError(f"layout = {layout!r} is not one of {', '.join(LAYOUTS)}")
    if x.dtype.kind not in "biuf":
        raise DataError(f"images are numbers, got an array of {x.dtype.name}")
    if x.ndim not in {3, 4}:
        raise ShapeError(
            f"images are (N, H, W), (N, C, H, W) or (N, H, W, C), got an array of shape {x.shape}"
        )
    if x.ndim == 3:
        x = x.reshape(len(x), 1, *x.shape[1:])
        layout = "channels_first"
    chosen, doubt = find_layout(x.shape[1:], layout)
    channels, height, width = x.shape[1:]
    if chosen == "channels_last":
        height, width, channels = x.shape[1:]
    notes = (Note("warning", doubt),) if doubt else ()
    return x, ImageEncoder(width, height, channels, chosen, 255.0), notes


def _range(x: NDArray[Any]) -> tuple[float, float]:
    """The smallest pixel, and the largest that there can be: 1, 255, 65535, or what there is.

    Raises:
        DataError: NaN or infinity.
    """
    if not x.size:
        raise DataError("there are no images to learn from")
    low, high = float(x.min()), float(x.max())
    if not np.isfinite((low, high)).all():
        raise DataError("images hold NaN or infinity; remove those images or fill the values")
    whole = x.dtype == np.uint8 and high > 1
    return low, 255.0 if whole else next((w for w in _WHITES if high <= w), high)


def _split(
    images: ImageSet, fractions: Sequence[float] | None, seed: Any
) -> tuple[Split, tuple[Note, ...]]:
    """The source's own split where it has one and no other is asked for, else a random one."""
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not whole or not 0 <= seed < 2**63:
        raise SettingError(f"seed must be a whole number from 0 to 2^63 - 1, got {seed!r}")
    if images.parts is None or fractions is not None:
        shares = FRACTIONS if fractions is None else fractions
        split = split_rows(len(images), shares, labels=images.y, seed=int(seed) % 2**32)
        return split, split_notes(np.array(images.classes)[images.y], shares)
    return _own_split(images, images.parts, int(seed) % 2**32)


def _own_split(
    images: ImageSet, parts: NDArray[np.int8], seed: int
) -> tuple[Split, tuple[Note, ...]]:
    """The source's own parts; a fifth of the training images for a part that it lacks."""
    found = [np.flatnonzero(parts == part) for part in range(3)]
    lacking = [part for part in (1, 2) if not len(found[part])]
    shares = [1.0 - 0.2 * len(lacking), *(0.2 * (part in lacking) for part in (1, 2))]
    train = found[0]
    cut = split_rows(len(train), shares, labels=images.y[train], seed=seed)
    rest = (train[cut[part]] if part in lacking else found[part] for part in (1, 2))
    whole = [train[cut.train], *rest]
    words = {1: "validation", 2: "the test"}
    taken = " and ".join(words[part] for part in lacking)
    text = "the split in training, validation and test images is the source's own"
    if lacking:
        text = (
            f"the source's own split is kept; {plural(len(train) - len(whole[0]), 'image')} of its "
            f"training images are for {taken}"
        )
    return Split(*whole), (Note("info", text),)


__all__ = ["FRACTIONS", "PreparedImages", "open_images", "prepare_images"]
