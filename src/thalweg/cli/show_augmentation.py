"""``thalweg show-augmentation``: what an augmentation makes of images, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from thalweg.cli.console import say_entry, tell
from thalweg.descriptions import members
from thalweg.errors import FileError, SettingError

_HELP = (
    'Such as "random_rotation(10)" or "augmentations(random_affine, random_noise(0.1))". '
    f"Augmentations: {', '.join(members('augmentation'))}."
)


def show_augmentation(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of images, an image file, an IDX, .npy or .npz file, or digits.",
        ),
    ],
    augment: Annotated[str, typer.Option("--augment", metavar="SPEC", help=_HELP)],
    out: Annotated[
        str, typer.Option("--out", metavar="FILE", help="Picture to write: .png.")
    ] = "augmentation.png",
    rows: Annotated[int, typer.Option("--rows", help="Images, spread over the source.")] = 8,
    columns: Annotated[int, typer.Option("--columns", help="Pictures of each image.")] = 8,
    seed: Annotated[int, typer.Option("--seed", help="Of the random numbers.")] = 0,
) -> None:
    """Draw a contact sheet: a row for each image, first as it is, then augmented.

    Images of other sizes than the first one's are brought to its size. Pixels are brought to 0 to
    1 before they are augmented, as the layer image_input does.
    """
    from PIL import Image

    from thalweg.nn.augmentation import as_augmentation
    from thalweg.nn.augmenting.sheet import contact_sheet

    if Path(out).suffix.lower() != ".png":
        raise SettingError(f"--out {out}: a contact sheet is written as .png")
    chosen = as_augmentation(augment)
    assert chosen is not None
    found = _images(source, max(rows, 1))
    sheet = contact_sheet(found, chosen, rows=rows, columns=columns, seed=seed)
    Image.fromarray(sheet).save(out)
    say_entry("sheet", out)
    say_entry("images", f"{min(rows, len(found))} of {source}, {columns - 1} draws of each")


def _images(source: str, count: int) -> Any:
    """A few images, spread over the source."""
    path = Path(source)
    if path.is_dir():
        from thalweg.data.image_folder import image_files

        files = image_files(path)
        if not files:
            raise FileError(f"{source}: the folder holds no image files")
        return _files(_readable(source, files, count))
    if not path.exists() and source == "digits":
        from thalweg.data.builtin import load_builtin

        table = load_builtin("digits")
        pixels = _pixels(table, count)
        return pixels.reshape(len(pixels), 8, 8)
    from thalweg.data.image_arrays import is_array_file, read_image_rows

    if not path.exists():
        raise FileError(f"{source} is not there; name a folder or file of images, or digits")
    if not is_array_file(path):
        return _files([path])
    images = read_image_rows(path)
    return images[_spread(len(images), count)]


def _readable(source: str, files: list[Path], count: int) -> list[Path]:
    """A few images at even distances; what is no image is said, and another one taken."""
    from thalweg.data.images import read_form, read_image

    first = [files[place] for place in _spread(len(files), count)]
    found: list[Path] = []
    for path in [*first, *(path for path in files if path not in first)]:
        if len(found) == count:
            break
        try:
            read_image(path, read_form(path))
        except FileError as error:
            tell("warning", f"left out: {error}")
        else:
            found.append(path)
    if not found:
        raise FileError(f"{source}: none of {len(files)} files is an image")
    return found


def _files(paths: list[Path]) -> Any:
    """Images in the size and mode of the first."""
    from thalweg.data.images import read_form, read_images

    form = read_form(paths[0])
    return read_images(paths, size=(form.width, form.height), mode=form.mode)


def _pixels(table: Any, count: int) -> Any:
    import numpy as np

    chosen = _spread(len(table), count)
    return np.stack([table.column(name)[chosen] for name in table.names[:-1]], axis=1)


def _spread(available: int, count: int) -> Any:
    """Places at even distances."""
    import numpy as np

    return np.unique(np.linspace(0, available - 1, count).round().astype(int))
