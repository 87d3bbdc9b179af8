"""A folder of images by class: ``FOLDER/class/…`` or ``FOLDER/train|test|val/class/…``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from thalweg.data.image_set import ImageSet
from thalweg.data.images import (
    SUFFIXES,
    Bytes,
    ImageForm,
    Watch,
    check_form,
    read_form,
    read_image,
    room,
    shared_form,
)
from thalweg.data.table import Note, plural
from thalweg.errors import DataError, FileError

PART_NAMES = {
    "train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "test": 2, "testing": 2,
}  # fmt: skip
"""Names of folders that are no classes but parts of a set: training, validation, test."""

_NAMED = 5
_DEEPEST = 32
"""Folders within folders at most."""


class _File(NamedTuple):
    """A file, the class that it lies in, and the number of its part."""

    path: Path
    label: str
    part: int


class _Listing(NamedTuple):
    """What a folder holds."""

    files: list[_File]
    strays: list[Path]
    classes: list[tuple[int, str]]
    split: bool


def read_folder(
    folder: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    mode: str | None = None,
    strict: bool = False,
    watch: Watch | None = None,
) -> ImageSet:
    """Images of a folder with a folder for each class, which may hold further folders.

    Where the folders are called ``train`` and ``test`` or ``val`` (or ``training``, ``testing``,
    ``valid``, ``validation``), they are parts of the set, and each holds the folders of the
    classes. Names are sorted; names that begin with a point are passed over.

    Args:
        folder: its path.
        size: (width, height) to which all images are brought; without it they must share one.
        mode: ``L`` or ``RGB``, to which all are brought; without it they must share one.
        strict: refuse files that are no images, or damaged, instead of leaving them out.
        watch: called with the number of files read so far and of all; each file is read twice,
            first its header.

    Returns:
        The images as uint8 (N, C, H, W), with the names of the files.

    Raises:
        FileError: no such folder; with ``strict``, files that are no images.
        DataError: no classes, a class without an image, or images of different sizes or modes.
    """
    place = Path(folder)
    check_form(size, mode)
    if not place.is_dir():
        raise FileError(f"the folder {str(place)!r} is not there")
    listing = _listed(place)
    wrong = [(path, "no name of an image file") for path in listing.strays]
    files, forms = _forms(listing.files, wrong, watch)
    _check_classes(place, listing, files, wrong)
    form = shared_form([file.path.relative_to(place) for file in files], forms, size, mode)
    files, x = _pixels(files, form, wrong, watch)
    _check_classes(place, listing, files, wrong)
    if wrong and strict:
        raise FileError(f"{place}: {_listed_wrong(place, wrong)}; take them away, or leave strict")
    notes = [Note("warning", f"{place}: left out {_listed_wrong(place, wrong)}")] if wrong else []
    classes = sorted({label for part, label in listing.classes if part == 0})
    codes = {label: code for code, label in enumerate(classes)}
    parts = np.array([file.part for file in files], np.int8) if listing.split else None
    y = np.array([codes[file.label] for file in files], np.int64)
    notes += _leaked(x, parts)
    names = tuple(file.path.relative_to(place).as_posix() for file in files)
    return ImageSet(x, y, tuple(classes), str(place), tuple(notes), parts, names)


def image_files(folder: str | os.PathLike[str]) -> list[Path]:
    """All image files in a folder and the folders within, by name, in order."""
    files = _walk(Path(folder), 0)
    return [path for path in files if path.suffix.lower() in SUFFIXES]


# ------------------------------------------------------------------ what a folder holds


def _listed(place: Path) -> _Listing:
    entries = _entries(place)
    folders = [entry for entry in entries if entry.is_dir()]
    strays = [entry for entry in entries if not entry.is_dir()]
    known = {folder.name.lower() for folder in folders}
    split = bool(known) and known <= PART_NAMES.keys() and any(not PART_NAMES[n] for n in known)
    parts = [(folder, PART_NAMES[folder.name.lower()]) for folder in folders] if split else []
    listing = _Listing([], strays, [], split)
    for part_folder, part in parts or [(place, 0)]:
        inside = _entries(part_folder) if split else folders
        for entry in inside:
            if not entry.is_dir():
                listing.strays.append(entry)
                continue
            listing.classes.append((part, entry.name))
            for path in _walk(entry, 0):
                if path.suffix.lower() in SUFFIXES and path.is_file():
                    listing.files.append(_File(path, entry.name, part))
                else:
                    listing.strays.append(path)
    return listing


def _entries(folder: Path) -> list[Path]:
    try:
        found = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise FileError(f"cannot list the folder {folder}: {error.strerror or error}") from error
    return [path for path in found if not path.name.startswith(".")]


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    """All files under a folder, by name."""
    if depth > _DEEPEST:
        raise DataError(
            f"{folder} lies more than {_DEEPEST} folders deep; is there a link to one above it?"
        )
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _walk(entry, depth + 1)
        else:
            yield entry


def _check_classes(
    place: Path, listing: _Listing, files: list[_File], wrong: list[tuple[Path, str]]
) -> None:
    """Refuse a folder from which nothing can be learned."""
    if not listing.classes:
        raise DataError(
            f"{place} holds no folders; put the images of each class into a folder of its name"
        )
    trained = {label for part, label in listing.classes if part == 0}
    strange = sorted({label for part, label in listing.classes if part} - trained)
    if strange:
        raise DataError(
            f"{place}: the class {strange[0]!r} is in the test or validation folder, but not in "
            "the training folder"
        )
    full = {(file.part, file.label) for file in files}
    for label in sorted(trained):
        if (0, label) not in full:
            why = f" ({_listed_wrong(place, wrong)})" if wrong else ""
            raise DataError(
                f"{place}: the class {label!r} has no image{why}; add some, or take its folder away"
            )
    if len(trained) < 2:
        hint = f"; did you mean {place / next(iter(trained))}?" if not listing.split else ""
        raise DataError(
            f"{place} holds one class only ({next(iter(trained))!r}); learning needs two{hint}"
        )


def _listed_wrong(place: Path, wrong: Sequence[tuple[Path, str]]) -> str:
    shown = ", ".join(f"{path.relative_to(place)} ({why})" for path, why in wrong[:_NAMED])
    more = f" and {len(wrong) - _NAMED:,} more" if len(wrong) > _NAMED else ""
    count = plural(len(wrong), "file that is no whole image", "files that are no whole images")
    return f"{count}: {shown}{more}"


# ------------------------------------------------------------------ what files hold


def _forms(
    files: list[_File], wrong: list[tuple[Path, str]], watch: Watch | None
) -> tuple[list[_File], list[ImageForm]]:
    """The files whose header is that of an image, with sizes and modes."""
    good: list[_File] = []
    forms: list[ImageForm] = []
    for count, file in enumerate(files, 1):
        try:
            forms.append(read_form(file.path))
            good.append(file)
        except FileError as error:
            wrong.append((file.path, _why(error)))
        if watch is not None:
            watch(count, 2 * len(files))
    return good, forms


def _pixels(
    files: list[_File], form: ImageForm, wrong: list[tuple[Path, str]], watch: Watch | None
) -> tuple[list[_File], Bytes]:
    """The files that are whole, and their pixels (N, C, H, W)."""
    x = room((len(files), form.channels, form.height, form.width))
    good: list[_File] = []
    for count, file in enumerate(files, 1):
        try:
            x[len(good)] = read_image(file.path, form).transpose(2, 0, 1)
            good.append(file)
        except FileError as error:
            wrong.append((file.path, _why(error)))
        if watch is not None:
            watch(len(files) + count, 2 * len(files))
    return good, x[: len(good)]


def _why(error: FileError) -> str:
    text = str(error)
    return (
        "a damaged image"
        if "damaged image" in text
        else ("too many pixels" if "pixels" in text else "damaged, or another format")
    )


def _leaked(x: Bytes, parts: NDArray[np.int8] | None) -> list[Note]:
    """A warning where images of the test are among those of training."""
    if parts is None or not (parts == 2).any():
        return []
    known = {_digest(image) for image in x[parts == 0]}
    count = sum(_digest(image) in known for image in x[parts == 2])
    if not count:
        return []
    tested = plural(int((parts == 2).sum()), "test image")
    return [
        Note(
            "warning",
            f"{count:,} of {tested} are also among the training images, so that the results "
            "look better than they are",
        )
    ]


def _digest(image: Bytes) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()


__all__ = ["PART_NAMES", "image_files", "read_folder"]
