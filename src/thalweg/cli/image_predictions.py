"""What ``thalweg predict`` says of images: path, class and probability of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from thalweg.cli.console import Output, say
from thalweg.cli.predict import cells, safe_text, write_csv
from thalweg.errors import DataError, FileError

if TYPE_CHECKING:
    from typing import TextIO

    from thalweg.model import Model

_TOGETHER = 1024
"""Image files that are read before they are predicted."""


class _Block(NamedTuple):
    """Some images with their names."""

    names: list[str]
    images: Any


def predict_images(
    model: Model, given: Sequence[str], *, out: str | None, resize: bool, json: bool
) -> None:
    """Print or write the predictions for images, in the order in which they are given.

    Args:
        model: of images.
        given: image files, folders, and files of arrays.
        out: CSV file to write, with a probability for each class.
        resize: bring images of another size or mode to the model's.
        json: print JSON lines.

    Raises:
        FileError, DataError: naming the first image that cannot be predicted; then nothing is
            written to ``out``.
    """
    names: list[str] = []
    found: list[NDArray[Any]] = []
    for block in _blocks(given):
        shares = model.predict_proba(block.images, resize=resize)
        if out is None:
            _say(model, block.names, shares, json=json)
        else:
            names += block.names
            found.append(shares)
    if out is not None:
        _write(model, names, np.concatenate(found), out)


def _blocks(given: Sequence[str]) -> Iterator[_Block]:
    """All images in blocks that memory holds; what is not there is refused before the first."""
    from thalweg.data.image_arrays import is_array_file, read_image_rows
    from thalweg.data.image_folder import image_files

    for name in given:
        if not Path(name).exists():
            raise FileError(f"there is no file or folder {name!r}")
    files: list[str] = []
    for name in given:
        if Path(name).is_dir():
            inside = [str(path) for path in image_files(name)]
            if not inside:
                raise DataError(f"the folder {name} holds no image files")
            files += inside
        elif is_array_file(name):
            yield from _file_blocks(files)
            files = []
            rows = read_image_rows(name)
            for start in range(0, len(rows), _TOGETHER):
                part = rows[start : start + _TOGETHER]
                yield _Block([f"{name}[{start + place}]" for place in range(len(part))], part)
        else:
            files.append(name)
    yield from _file_blocks(files)


def _file_blocks(files: list[str]) -> Iterator[_Block]:
    for start in range(0, len(files), _TOGETHER):
        part = files[start : start + _TOGETHER]
        yield _Block(part, part)


def _say(model: Model, names: list[str], shares: NDArray[Any], *, json: bool) -> None:
    labels = [str(label) for label in model.classes or ()]
    width = max(map(len, names))
    wide = max(map(len, labels))
    for name, row in zip(names, shares, strict=True):
        place = int(np.argmax(row))
        if not json:
            say(f"{name:<{width}}  {labels[place]:<{wide}}  {row[place]:.4f}")
            continue
        from thalweg.training.display import write_json_line

        values = {
            "path": name,
            "class": (model.classes or ())[place],
            "probability": float(row[place]),
            "probabilities": {label: float(v) for label, v in zip(labels, row, strict=True)},
        }
        write_json_line(cast("TextIO", Output()), values)


def _write(model: Model, names: list[str], shares: NDArray[Any], out: str) -> None:
    header = ["path", "prediction", *(f"probability_{label}" for label in model.classes or ())]
    columns: list[list[Any]] = [[safe_text(name) for name in names]]
    columns += [cells(model.decide(shares)), *(cells(column) for column in shares.T)]
    write_csv(out, header, columns)


__all__ = ["predict_images"]
