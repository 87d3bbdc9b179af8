"""Images in files of arrays: IDX (MNIST's format), NumPy's ``.npz`` and ``.npy``."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thalweg.data.idx import MOST_BYTES, is_idx, labels_beside, read_idx
from thalweg.data.image_set import ImageSet, labelled_images
from thalweg.errors import DataError, FileError, SettingError

if TYPE_CHECKING:
    import zipfile

SUFFIXES = (".npz", ".npy")
_LONGEST_HEADER = 2**16

_X = ("x", "X", "images", "image", "data")
_Y = ("y", "Y", "labels", "label", "target", "targets")


class _Names(NamedTuple):
    """Pairs of arrays in an archive, for training, validation and the test."""

    x: tuple[str, ...]
    y: tuple[str, ...]
    part: int


_PARTS = (
    _Names(("x_train", "X_train", "train_images"), ("y_train", "Y_train", "train_labels"), 0),
    _Names(("x_val", "x_valid", "X_val", "val_images"), ("y_val", "y_valid", "val_labels"), 1),
    _Names(("x_test", "X_test", "test_images"), ("y_test", "Y_test", "test_labels"), 2),
)


def is_array_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file holds arrays: IDX by its first bytes or its name, NumPy's by its name.

    >>> is_array_file("digits.npz"), is_array_file("t10k-images-idx3-ubyte.gz")
    (True, True)
    >>> is_array_file(__file__)
    False
    """
    file = Path(path)
    is_named = any(word in file.name.lower() for word in ("idx1", "idx3"))
    return file.suffix.lower() in SUFFIXES or is_named or is_idx(path)


def read_image_arrays(
    path: str | os.PathLike[str], labels: str | os.PathLike[str] | None = None
) -> ImageSet:
    """Images with labels from a file of arrays.

    Args:
        path: an IDX file, packed or not; an ``.npz`` archive with ``x`` and ``y`` (or ``images``
            and ``labels``; or ``x_train``, ``y_train``, ``x_test``, ``y_test``, whose split is
            kept); or an ``.npy`` file, which is read in place.
        labels: the file of labels; by default the one beside an IDX file that is called like it.

    Raises:
        FileError: no such file, or a damaged one.
        SettingError: no labels.
        DataError: arrays that are no images and labels, or of different length.
    """
    file = Path(path)
    if not file.is_file():
        raise FileError(f"there is no file {str(file)!r}")
    if file.suffix.lower() == ".npz":
        if labels is not None:
            raise SettingError(f"{file.name} holds its own labels; leave --labels out")
        return _from_archive(file)
    x = _checked(file, read_array(file))
    found = labels if labels is not None else labels_beside(file)
    if found is None:
        raise SettingError(
            f"name the file of labels that belongs to {file.name} with --labels (in Python: "
            "labels=)"
        )
    y = read_array(found)
    if y.ndim != 1:
        raise DataError(f"{Path(found).name} holds an array of shape {y.shape}, no labels (N,)")
    return labelled_images(x, y, str(file))


def read_image_rows(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The images alone in a file of arrays, such as those to predict.

    Raises:
        FileError, DataError: as :func:`read_image_arrays`.
    """
    file = Path(path)
    if file.suffix.lower() != ".npz":
        return _checked(file, read_array(file))
    with _archive(file) as archive:
        name = _one_of(archive, (*_X, *_PARTS[2].x))
        if name is None:
            raise DataError(f"{file.name} holds no array of images called {', '.join(_X)}")
        return _checked(file, _member(file, archive, name))


def read_array(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array in an IDX or ``.npy`` file; the latter is left in the file and read in place.

    Raises:
        FileError: no such file, or a damaged one.
    """
    file = Path(path)
    if file.suffix.lower() != ".npy":
        return read_idx(file)
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FileError(f"{file.name} is damaged, or no array of numbers: {error}") from error


def _checked(file: Path, x: NDArray[Any]) -> NDArray[Any]:
    if x.ndim not in {3, 4}:
        hint = "; these may be the labels" if x.ndim == 1 else ""
        raise DataError(
            f"{file.name} holds an array of shape {x.shape}, no images (N, H, W), (N, H, W, C) or "
            f"(N, C, H, W){hint}"
        )
    return x


# ------------------------------------------------------------------ archives


def _archive(file: Path) -> zipfile.ZipFile:
    import zipfile

    try:
        return zipfile.ZipFile(file)
    except (OSError, zipfile.BadZipFile) as error:
        raise FileError(f"{file.name} is no NumPy archive, or a damaged one: {error}") from error


def _one_of(archive: zipfile.ZipFile, names: tuple[str, ...]) -> str | None:
    held = set(archive.namelist())
    return next((name for name in names if f"{name}.npy" in held), None)


def _from_archive(file: Path) -> ImageSet:
    with _archive(file) as archive:
        x, y = _one_of(archive, _X), _one_of(archive, _Y)
        if x is not None and y is not None:
            images = _checked(file, _member(file, archive, x))
            return labelled_images(images, _member(file, archive, y), str(file))
        parts = {
            item.part: (x_name, y_name)
            for item in _PARTS
            if (x_name := _one_of(archive, item.x)) and (y_name := _one_of(archive, item.y))
        }
        if 0 not in parts:
            held = ", ".join(name.removesuffix(".npy") for name in archive.namelist()[:20])
            raise DataError(
                f"{file.name} holds no arrays x and y (or images and labels, or x_train and "
                f"y_train); it has {held or 'nothing'}"
            )
        return _joined(file, archive, parts)


def _joined(file: Path, archive: zipfile.ZipFile, names: Mapping[int, tuple[str, str]]) -> ImageSet:
    """The parts of an archive behind each other, with the number of each image's part."""
    images = [_checked(file, _member(file, archive, x)) for x, _ in names.values()]
    labels = [_member(file, archive, y).reshape(-1) for _, y in names.values()]
    if len({(item.shape[1:], item.dtype.name) for item in images}) > 1:
        shapes = ", ".join(f"{item.dtype.name} {item.shape}" for item in images)
        raise DataError(f"{file.name}: the images of its parts differ in shape or type: {shapes}")
    for (x_name, y_name), x, y in zip(names.values(), images, labels, strict=True):
        if len(x) != len(y):
            raise DataError(f"{file.name}: {x_name} has {len(x):,} images, {y_name} {len(y):,}")
    counts = [len(item) for item in images]
    parts = np.repeat(np.array(list(names), np.int8), counts)
    x, y = np.concatenate(images), np.concatenate(labels)
    return labelled_images(x, y, str(file), parts=parts)


def _member(file: Path, archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """An array of an archive; its header is compared with its size before memory is taken."""
    import zipfile

    member = f"{name}.npy"
    try:
        with archive.open(member) as stream:
            shape, columns_first, dtype = _npy_header(stream)
            wanted = math.prod(shape) * dtype.itemsize
            doubt = _doubt(dtype, wanted, archive.getinfo(member).file_size)
            data = b"" if doubt else stream.read(wanted + 1)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise FileError(f"{file.name} is damaged: {error}") from error
    if doubt or len(data) != wanted:
        raise FileError(f"{file.name}: the array {name} {doubt or 'is cut off'}")
    array = np.frombuffer(data, dtype)
    return array.reshape(shape, order="F" if columns_first else "C")


def _doubt(dtype: np.dtype[Any], wanted: int, held: int) -> str:
    """What speaks against reading an array, or an empty text."""
    if dtype.hasobject or dtype.kind not in "biufUS":
        return f"holds {dtype.name}, not numbers or texts"
    if wanted > MOST_BYTES:
        return f"takes {wanted:,} bytes; at most {MOST_BYTES:,} are read"
    if not 0 <= held - wanted <= _LONGEST_HEADER:
        return f"takes {wanted:,} bytes, but {held:,} are there; get the file again"
    return ""


def _npy_header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, columns_first, dtype = read(stream)
    return shape, columns_first, dtype


__all__ = ["SUFFIXES", "is_array_file", "read_array", "read_image_arrays", "read_image_rows"]
