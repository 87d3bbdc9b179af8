"""How images reach a model: their size, channels and layout, kept with it for prediction."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from thalweg.data.images import MODES, ImageForm, read_form, read_image, room
from thalweg.data.plain import plain_number, plain_object, plain_text
from thalweg.descriptions import Plain
from thalweg.errors import DataError, DescriptionError, ShapeError

LAYOUTS = ("plain", "channels_first", "channels_last")
_KEYS = ("width", "height", "channels", "layout", "white")
_MOST = 2**31 - 1
_REMEDY = "resize=True (on the command line --resize) brings it to that"


@dataclass(frozen=True)
class ImageEncoder:
    """What images a model takes.

    Attributes:
        width: in pixels.
        height: in pixels.
        channels: 1 for grey, 3 for red, green and blue.
        layout: of an array of images: ``plain`` (N, H, W), ``channels_first`` (N, C, H, W), or
            ``channels_last`` (N, H, W, C).
        white: the largest value that a pixel can have.

    >>> ImageEncoder(32, 24, 3, "channels_last", 255.0).input_shape
    (24, 32, 3)
    """

    width: int
    height: int
    channels: int
    layout: str
    white: float

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {self.kind}"

    @property
    def kind(self) -> str:
        """The mode of files, or the number of channels where files have no such mode."""
        return self.mode or f"with {self.channels} channels"

    @property
    def mode(self) -> str | None:
        """The mode of image files with as many channels, if there is one."""
        return next((mode for mode, count in MODES.items() if count == self.channels), None)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return self._shape(self.layout)

    def _shape(self, layout: str) -> tuple[int, ...]:
        return {
            "plain": (self.height, self.width),
            "channels_first": (self.channels, self.height, self.width),
            "channels_last": (self.height, self.width, self.channels),
        }[layout]

    # -------------------------------------------------------------- images to rows

    def rows(self, images: Any, *, resize: bool = False) -> NDArray[Any]:
        """Images as the model takes them.

        Args:
            images: a path, a list of paths, or an array of images in any layout.
            resize: bring images of another size or mode to the model's.

        Raises:
            FileError: a file that is damaged, no image, or not there.
            DataError: an image of another size or mode, or values in another range.
            ShapeError: an array that holds no images.
        """
        if is_path(images):
            return self.from_files([images], resize=resize)
        if isinstance(images, (list, tuple)) and images and all(map(is_path, images)):
            return self.from_files(cast("Sequence[Any]", images), resize=resize)
        return self.from_array(np.asarray(images), resize=resize)

    def from_files(self, files: Sequence[Any], *, resize: bool = False) -> NDArray[np.uint8]:
        """Image files, in their order; see :meth:`rows`."""
        if self.mode is None or self.white != 255.0:
            raise DataError(
                f"this model was trained on arrays ({self.channels} channels, pixels up to "
                f"{self.white:g}), which no image file holds; give it such arrays"
            )
        form = ImageForm(self.width, self.height, self.mode)
        if not resize:
            self._check_forms(files, form)
        rows = room((len(files), *self.input_shape))
        for place, file in enumerate(files):
            image = read_image(file, form)
            if self.layout == "channels_first":
                image = image.transpose(2, 0, 1)
            rows[place] = image.reshape(self.input_shape) if self.layout == "plain" else image
        return rows

    @staticmethod
    def _check_forms(files: Sequence[Any], form: ImageForm) -> None:
        for file in files:
            found = read_form(file)
            if found != form:
                raise DataError(
                    f"{os.fspath(file)} is {found}, but the model was trained on images of {form}; "
                    f"{_REMEDY}"
                )

    def from_array(self, images: NDArray[Any], *, resize: bool = False) -> NDArray[Any]:
        """An array of images, in place where it has the model's layout; see :meth:`rows`."""
        self._check_values(images)
        for layout in (self.layout, *LAYOUTS):
            if images.shape[1:] == self._shape(layout) and (
                layout != "plain" or self.channels == 1
            ):
                return self._arranged(images, layout)
        last = _channels_last(images, self)
        given = ImageEncoder(last.shape[2], last.shape[1], last.shape[3], "channels_last", 1.0)
        if not resize:
            raise DataError(
                f"the images are {given} (array of shape {images.shape}), but the model was "
                f"trained on images of {self}; {_REMEDY}"
            )
        return self._arranged(
            resized(last, self.width, self.height, self.channels), "channels_last"
        )

    def _check_values(self, images: NDArray[Any]) -> None:
        """Refuse fractions from 0 to 1 where the model knows bytes."""
        if images.dtype.kind == "f" and images.size and self.white > 1:
            most = float(np.max(images))
            if 0 < most <= 1:
                raise DataError(
                    f"the pixels go up to {most:.9g} only, but the model was trained on pixels up "
                    f"to {self.white:g}; multiply them by {self.white:g}"
                )

    def _arranged(self, images: NDArray[Any], layout: str) -> NDArray[Any]:
        if layout == self.layout:
            return images
        moved = images
        if layout == "channels_last" and self.layout == "channels_first":
            moved = np.moveaxis(images, 3, 1)
        if layout == "channels_first" and self.layout == "channels_last":
            moved = np.moveaxis(images, 1, 3)
        return moved.reshape(len(images), *self.input_shape)

    # -------------------------------------------------------------- files

    def to_plain(self) -> dict[str, Plain]:
        """The encoder as JSON data."""
        return {name: getattr(self, name) for name in _KEYS}

    @classmethod
    def from_plain(cls, plain: Plain) -> ImageEncoder:
        """The encoder that JSON data describes.

        Raises:
            DescriptionError: anything but such data.
        """
        given = plain_object(plain, _KEYS, "images")
        lengths = [_length(given, name) for name in ("width", "height", "channels")]
        layout = plain_text(given["layout"], "images.layout", LAYOUTS)
        if layout == "plain" and lengths[2] != 1:
            raise DescriptionError(f"images without an axis of channels have {lengths[2]} of them")
        white = plain_number(given["white"], "images.white", positive=True)
        return cls(lengths[0], lengths[1], lengths[2], layout, white)


def is_path(value: Any) -> bool:
    """Whether a value names a file."""
    return isinstance(value, (str, os.PathLike))


def _length(given: Mapping[str, Plain], name: str) -> int:
    value = given[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
        raise DescriptionError(f"images.{name} holds {value!r:.40}")
    return value


def _channels_last(images: NDArray[Any], encoder: ImageEncoder) -> NDArray[Any]:
    """Images of any size as (N, H, W, C).

    Raises:
        ShapeError: they are none.
    """
    if images.ndim == 3:
        return images[..., None]
    if images.ndim == 4 and images.shape[3] in {1, 3, 4}:
        return images
    if images.ndim == 4:
        return np.moveaxis(images, 1, 3)
    expected = ", ".join(map(str, encoder.input_shape))
    raise ShapeError(
        f"an array of shape {images.shape} holds no images; the model takes (N, {expected})"
    )


def resized(images: NDArray[Any], width: int, height: int, channels: int) -> NDArray[Any]:
    """Images (N, H, W, C) brought to another size (smoothed) and to grey or colours.

    Grey is 0.299 red + 0.587 green + 0.114 blue; a fourth channel is left out.

    Raises:
        DataError: channels that cannot be made from those that are there.

    >>> resized(np.full((1, 4, 4, 3), 9, np.uint8), 2, 2, 1)[0, 0, 0]
    array([9], dtype=uint8)
    """
    from PIL import Image

    if images.shape[3] == 4 and channels != 4:
        images = images[..., :3]
    values = images.astype(np.float32)
    if images.shape[3] == 3 and channels == 1:
        values = (values @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    if images.shape[3] == 1 and channels == 3:
        values = np.repeat(values, 3, axis=3)
    if values.shape[3] != channels:
        raise DataError(f"images with {images.shape[3]} channels cannot be given {channels}")
    found = np.empty((len(values), height, width, channels), np.float32)
    for place, image in enumerate(values):
        for channel in range(channels):
            plane = Image.fromarray(np.ascontiguousarray(image[..., channel]))
            smooth = plane.resize((width, height), Image.Resampling.BILINEAR)
            found[place, :, :, channel] = np.asarray(smooth)
    return found if images.dtype.kind == "f" else np.rint(found).astype(images.dtype)


__all__ = ["LAYOUTS", "ImageEncoder", "is_path", "resized"]
