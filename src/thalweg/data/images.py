"""Images from files: PNG, JPEG, BMP, GIF and WebP as bytes, upright, of one size and mode.

What a file holds becomes ``L`` (grey, one channel) or ``RGB`` (three), eight bits each:

- ``1`` (black and white) becomes 0 and 255;
- grey of 16 bits keeps the upper eight;
- palettes become RGB;
- what is transparent is laid over white;
- CMYK and other colour spaces become RGB;
- of an animation the first image counts;
- an EXIF orientation is applied.
"""

from __future__ import annotations

import contextlib
import os
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import DataError, FileError, SettingError

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
"""Ends of the names of image files, in lower case."""

MODES = {"L": 1, "RGB": 3}
"""Modes of images as they are learned from, with their channels."""

MOST_PIXELS = 2**26
"""Pixels of one file at most, 8192 × 8192; more is taken for a decompression bomb."""

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError,
    TypeError, OverflowError, AttributeError, ZeroDivisionError, NotImplementedError,
)  # fmt: skip
"""What Pillow's decoders raise for damaged files."""

_NAMED = 5
"""How many files a message names."""

Bytes = NDArray[np.uint8]
Watch = Callable[[int, int], None]
"""Told how many files are read, and of how many."""


class ImageForm(NamedTuple):
    """What images must share: their width and height in pixels, and their mode.

    >>> str(ImageForm(28, 32, "L"))
    '28x32 L'
    """

    width: int
    height: int
    mode: str

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {self.mode}"

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colours."""
        return MODES[self.mode]


def read_images(
    paths: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    mode: str | None = None,
    watch: Watch | None = None,
) -> Bytes:
    """Image files as one array of bytes.

    Args:
        paths: the files, or one file.
        size: (width, height) to which all are brought (stretched, with smoothing); without it all
            must have one size.
        mode: ``L`` or ``RGB``, to which all are brought; without it all must have one mode.
        watch: called with the number of files read and of all files.

    Returns:
        uint8 (N, H, W, C), C = 1 for L and 3 for RGB.

    Raises:
        FileError: no such file, or one that is damaged or no image.
        DataError: sizes or modes differ; the first few files are named.
        SettingError: a size or mode that is none.

    >>> import tempfile, PIL.Image
    >>> path = tempfile.mkdtemp() + "/grey.png"
    >>> PIL.Image.new("L", (5, 3), 7).save(path)
    >>> read_images([path]).shape, read_images([path], size=(2, 2), mode="RGB")[0, 0, 0]
    ((1, 3, 5, 1), array([7, 7, 7], dtype=uint8))
    """
    files = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not files:
        raise DataError("there are no image files to read")
    check_form(size, mode)
    form = shared_form(files, [read_form(file) for file in files], size, mode)
    rows = room((len(files), form.height, form.width, form.channels))
    for place, file in enumerate(files):
        rows[place] = read_image(file, form)
        if watch is not None:
            watch(place + 1, len(files))
    return rows


def check_form(size: Any, mode: Any) -> None:
    """Refuse a size or mode to which images cannot be brought.

    Raises:
        SettingError: with what is allowed.
    """
    if size is not None:
        lengths: list[Any] = list(size) if isinstance(size, (tuple, list)) else []
        whole = all(isinstance(item, (int, np.integer)) and item >= 1 for item in lengths)
        if len(lengths) != 2 or not whole or lengths[0] * lengths[1] > MOST_PIXELS:
            raise SettingError(
                f"size takes (width, height) in whole pixels, {MOST_PIXELS:,} in all at most, "
                f"got {size!r}"
            )
    if mode is not None and mode not in MODES:
        raise SettingError(f"mode = {mode!r} is not one of {', '.join(MODES)}")


def shared_form(
    files: Sequence[Any],
    forms: Sequence[ImageForm],
    size: tuple[int, int] | None = None,
    mode: str | None = None,
) -> ImageForm:
    """The one size and mode of all images, or those that they are brought to.

    Args:
        files: their names, for messages.
        forms: what each has, in the same order.
        size: (width, height) to which all are brought.
        mode: to which all are brought.

    Raises:
        DataError: images that differ from the most frequent size and mode; the first are named.

    >>> shared_form(["a", "b"], [ImageForm(4, 4, "L"), ImageForm(4, 6, "L")], size=(2, 2))
    ImageForm(width=2, height=2, mode='L')
    """
    wanted = [ImageForm(*(size or (form.width, form.height)), mode or form.mode) for form in forms]
    usual = Counter(wanted).most_common(1)[0][0]
    others = [place for place, form in enumerate(wanted) if form != usual]
    if not others:
        return usual
    named = ", ".join(f"{files[place]} ({forms[place]})" for place in others[:_NAMED])
    more = f" and {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
    sizes = {(form.width, form.height) for form in wanted}
    modes = {form.mode for form in wanted}
    remedies = [f"--resize {usual.width}x{usual.height}"] if len(sizes) > 1 else []
    remedies += [f"--mode {'RGB' if 'RGB' in modes else 'L'}"] if len(modes) > 1 else []
    plain = [f"size=({usual.width}, {usual.height})"] if len(sizes) > 1 else []
    plain += [f"mode={'RGB' if 'RGB' in modes else 'L'!r}"] if len(modes) > 1 else []
    raise DataError(
        f"images must share one size and mode: most of the {len(files):,} have {usual}, but "
        f"{len(others):,} have another: {named}{more}. To bring all to one, add "
        f"{' '.join(remedies)} (in Python: {', '.join(plain)})"
    )


def room(shape: tuple[int, ...]) -> Bytes:
    """Memory for images.

    Raises:
        DataError: there is not enough of it.
    """
    try:
        return np.empty(shape, np.uint8)
    except (MemoryError, ValueError) as error:
        count = " x ".join(map(str, shape))
        raise DataError(
            f"images of {count} bytes do not fit in memory; make them smaller with --resize WxH "
            "(in Python: size=(W, H)), or use fewer"
        ) from error


def read_form(path: str | os.PathLike[str]) -> ImageForm:
    """The size (upright) and mode of an image file, from its header alone.

    Raises:
        FileError: no such file, no image, or too many pixels.
    """
    with _opened(path) as image:
        width, height = image.size
        if _is_turned(image):
            width, height = height, width
        return ImageForm(width, height, _mode_of(image))


def read_image(path: str | os.PathLike[str], form: ImageForm) -> Bytes:
    """An image file as bytes (H, W, C), upright, brought to a size and mode.

    Raises:
        FileError: no such file, or one that is damaged or no image.
    """
    with _opened(path) as image:
        plain = _plain(_upright(image))
        if plain.mode != form.mode:
            plain = plain.convert(form.mode)
        if plain.size != (form.width, form.height):
            from PIL.Image import Resampling

            plain = plain.resize((form.width, form.height), Resampling.BILINEAR)
        return np.asarray(plain, np.uint8).reshape(form.height, form.width, form.channels)


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Generator[Image.Image]:
    """An image file, opened; whatever goes wrong with it is an error that names it."""
    from PIL import Image

    place = Path(path)
    if not place.is_file():
        what = "is a folder" if place.is_dir() else "is no file that is there"
        raise FileError(f"{os.fspath(path)} {what}; name an image file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(place, formats=_FORMATS) as image:
                _check_pixels(image, path)
                yield image
    except Image.UnidentifiedImageError as error:
        raise FileError(
            f"{os.fspath(path)} is damaged, or no image of a known format (PNG, JPEG, BMP, GIF, "
            "WebP)"
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_large(path, "far more") from error
    except FileError:
        raise
    except _BROKEN as error:
        raise FileError(f"{os.fspath(path)} is a damaged image: {error or 'cut off'}") from error


def _check_pixels(image: Image.Image, path: str | os.PathLike[str]) -> None:
    pixels = image.width * image.height
    if pixels > MOST_PIXELS:
        raise _too_large(path, f"{pixels:,}")
    if not pixels:
        raise FileError(f"{os.fspath(path)} is an image without pixels")


def _too_large(path: str | os.PathLike[str], pixels: str) -> FileError:
    return FileError(
        f"{os.fspath(path)} says that it has {pixels} pixels, more than the {MOST_PIXELS:,} that "
        "are unpacked (it may be a decompression bomb); make it smaller if it is not"
    )


_ORIENTATION = 0x0112
_TURNED = frozenset({5, 6, 7, 8})


def _is_turned(image: Image.Image) -> bool:
    """Whether the EXIF orientation exchanges width and height."""
    try:
        return image.getexif().get(_ORIENTATION) in _TURNED
    except _BROKEN:
        return False


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says; a damaged one says nothing."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except _BROKEN:
        return image


def _mode_of(image: Image.Image) -> str:
    """``L`` for grey images of any depth, ``RGB`` for all others."""
    return "L" if image.mode in {"1", "L", "LA", "La", "I"} or _is_deep(image) else "RGB"


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I;16")


def _plain(image: Image.Image) -> Image.Image:
    """The image in ``L`` or ``RGB``, with what is transparent laid over white."""
    mode = _mode_of(image)
    found = _shallow(image) if image.mode == "I" or _is_deep(image) else image
    if found.has_transparency_data:
        found = _over_white(found)
    return found if found.mode == mode else found.convert(mode)


def _shallow(image: Image.Image) -> Image.Image:
    """Grey of 16 bits with the upper eight of them."""
    from PIL import Image as Images

    values = np.asarray(image)
    return Images.fromarray((np.clip(values, 0, 2**16 - 1).astype(np.int32) >> 8).astype(np.uint8))


def _over_white(image: Image.Image) -> Image.Image:
    from PIL import Image as Images

    clear = image.convert("RGBA")
    white = Images.new("RGBA", clear.size, (255, 255, 255, 255))
    return Images.alpha_composite(white, clear)


__all__ = [
    "MODES",
    "MOST_PIXELS",
    "SUFFIXES",
    "Bytes",
    "ImageForm",
    "Watch",
    "check_form",
    "read_form",
    "read_image",
    "read_images",
    "room",
    "shared_form",
]
