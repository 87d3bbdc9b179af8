"""Images turned, scaled, shifted, sheared, flipped and cropped at random."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from thalweg.descriptions import option, register, setting, size
from thalweg.graph import Shape, Tensor
from thalweg.nn.augmentation import Augmentation, Augmented
from thalweg.nn.augmenting.sampling import (
    Maps,
    between,
    check_images,
    draws,
    index_type,
    inverse_maps,
    picked,
    places,
    resampled,
)
from thalweg.ops.functions import arange, astype, floor, where

INTERPOLATIONS = ("bilinear", "nearest")
_RADIANS = math.pi / 180.0


@dataclass(frozen=True)
class ImageAugmentation(Augmentation):
    """A random change of images (N, C, H, W), each by random numbers of its own."""

    def __call__(self, x: Tensor, key: Tensor) -> Augmented:
        """The changed images.

        Raises:
            ShapeError, DTypeError: x are no images (N, C, H, W) of floating-point numbers.
        """
        check_images(type(self).__name__, x)
        return Augmented(self.changed(x, key))

    def changed(self, x: Tensor, key: Tensor) -> Tensor:
        """The changed images; x is checked."""
        raise NotImplementedError(f"{type(self).__name__} has no changed method")


@dataclass(frozen=True)
class _Resampled(ImageAugmentation):
    """An affine map of each image's plane about its centre, in one resampling."""

    def maps(self, key: Tensor, shape: Shape) -> Maps:
        """Where the pixels of images (N, C, H, W) come from."""
        raise NotImplementedError(f"{type(self).__name__} has no maps method")

    def changed(self, x: Tensor, key: Tensor) -> Tensor:
        """The resampled images."""
        own: Any = self
        rows, columns = places(self.maps(key, x.shape), x.shape[2], x.shape[3], x.dtype)
        return resampled(x, rows, columns, own.fill, own.interpolation)


def _interpolation() -> Any:
    return option("bilinear", options=INTERPOLATIONS, help="how pixels are read in between")


def _fill() -> Any:
    return setting(0.0, help="the value outside the image")


@register("augmentation", "random_affine")
@dataclass(frozen=True)
class RandomAffine(_Resampled):
    """Turns, scales, shears and shifts each image at random, in one resampling.

    place = R(θ) · shear(φ) · s · (source - c) + c + t about the centre c, with θ ~ U(-degrees,
    degrees), φ ~ U(-shear, shear), s ~ U(scale_low, scale_high), t ~ U(-shift, shift) of the
    height and of the width. One resampling blurs less than several after each other.

    Args:
        degrees: the largest angle, ≥ 0.
        shift: the largest shift as a share of height and width, ≥ 0.
        scale_low: the least factor, > 0; below 1 the image becomes smaller.
        scale_high: the largest factor.
        shear: the largest angle in degrees by which columns lean, in [0, 90).
        interpolation: ``bilinear`` mixes four pixels, ``nearest`` takes one.
        fill: the value outside the image, in the units of the pixels after the network's input
            layer.

    Shape:
        (N, C, H, W) → the same.

    Source: Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied
    to visual document analysis", 2003.

    >>> RandomAffine(degrees=10, shift=0.1).scale_high
    1.1
    """

    degrees: float = setting(10.0, low=0, high=180, help="largest angle")
    shift: float = setting(0.1, low=0, help="largest shift, as a share of height and width")
    scale_low: float = setting(0.9, low=0, low_open=True, at_most="scale_high", help="least factor")
    scale_high: float = setting(1.1, low=0, low_open=True, help="largest factor")
    shear: float = setting(0.0, low=0, high=90, high_open=True, help="largest lean in degrees")
    interpolation: str = _interpolation()
    fill: float = _fill()

    def maps(self, key: Tensor, shape: Shape) -> Maps:
        """Five numbers for each image make its map."""
        images, _, height, width = shape
        turn, scale, shear, down, right = draws(key, images, 5)
        return inverse_maps(
            _around(turn, self.degrees) * _RADIANS,
            between(scale, self.scale_low, self.scale_high),
            _around(shear, self.shear) * _RADIANS,
            _around(down, self.shift) * height,
            _around(right, self.shift) * width,
        )


def _around(share: Tensor, limit: Any) -> Tensor:
    """Uniform numbers in [0, 1) as numbers in [-limit, limit)."""
    return (2.0 * share - 1.0) * limit


@register("augmentation", "random_rotation")
@dataclass(frozen=True)
class RandomRotation(_Resampled):
    """Turns each image about its centre by an angle θ ~ U(-degrees, degrees).

    Args:
        degrees: the largest angle, in [0, 180]. Digits bear about 15; 6 and 9 meet beyond 90.
        interpolation: ``bilinear`` mixes four pixels, ``nearest`` takes one (torchvision's
            default).
        fill: the value of the corners that come from outside.

    Shape:
        (N, C, H, W) → the same.

    Source: Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied
    to visual document analysis", 2003.

    >>> RandomRotation(15)
    RandomRotation(degrees=15, interpolation='bilinear', fill=0.0)
    """

    degrees: float = setting(10.0, low=0, high=180, help="largest angle")
    interpolation: str = _interpolation()
    fill: float = _fill()

    def maps(self, key: Tensor, shape: Shape) -> Maps:
        """Turned about the centre."""
        (turn,) = draws(key, shape[0], 1)
        return inverse_maps(_around(turn, self.degrees) * _RADIANS, 1.0, 0.0, 0.0, 0.0)


@register("augmentation", "random_scale")
@dataclass(frozen=True)
class RandomScale(_Resampled):
    """Scales each image about its centre by a factor s ~ U(low, high), the same in both axes.

    The image keeps its size: what grows beyond it is cut off, and around what shrinks is the fill.

    Args:
        low: the least factor, > 0.
        high: the largest factor.
        interpolation: ``bilinear`` mixes four pixels, ``nearest`` takes one.
        fill: the value outside the image.

    Shape:
        (N, C, H, W) → the same.

    Source: Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied
    to visual document analysis", 2003.

    >>> RandomScale(0.8, 1.2).low
    0.8
    """

    low: float = setting(0.9, low=0, low_open=True, at_most="high", help="least factor")
    high: float = setting(1.1, low=0, low_open=True, help="largest factor")
    interpolation: str = _interpolation()
    fill: float = _fill()

    def maps(self, key: Tensor, shape: Shape) -> Maps:
        """Scaled about the centre."""
        (share,) = draws(key, shape[0], 1)
        return inverse_maps(0.0 * share, between(share, self.low, self.high), 0.0, 0.0, 0.0)


@register("augmentation", "random_shift")
@dataclass(frozen=True)
class RandomShift(_Resampled):
    """Shifts each image by t ~ U(-limit, limit), down and sideways alone.

    Args:
        limit: the largest shift, ≥ 0.
        unit: ``fraction`` of height and width (torchvision's translate), or ``pixels``.
        interpolation: ``bilinear`` mixes four pixels, ``nearest`` shifts by whole pixels.
        fill: the value outside the image.

    Shape:
        (N, C, H, W) → the same.

    Source: Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied
    to visual document analysis", 2003.

    >>> RandomShift(2, unit="pixels").limit
    2
    """

    limit: float = setting(0.1, low=0, help="largest shift")
    unit: str = option("fraction", options=("fraction", "pixels"), help="what limit counts")
    interpolation: str = _interpolation()
    fill: float = _fill()

    def maps(self, key: Tensor, shape: Shape) -> Maps:
        """Shifted."""
        images, _, height, width = shape
        down, right = (_around(share, self.limit) for share in draws(key, images, 2))
        if self.unit == "fraction":
            down, right = down * height, right * width
        return inverse_maps(0.0 * down, 1.0, 0.0, down, right)


# ------------------------------------------------------------------ whole pixels


@register("augmentation", "random_horizontal_flip")
@dataclass(frozen=True)
class RandomHorizontalFlip(ImageAugmentation):
    """Mirrors each image with probability p: left becomes right.

    Args:
        p: in [0, 1].

    Shape:
        (N, C, H, W) → the same.

    Source: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional
    neural networks", 2012.

    >>> RandomHorizontalFlip().p
    0.5
    """

    p: float = setting(0.5, low=0, high=1, help="probability of a flip")

    def changed(self, x: Tensor, key: Tensor) -> Tensor:
        """Images, some of them mirrored."""
        height, width = x.shape[2:]
        columns = _mirrored(key, x, width, self.p)[:, None, :]
        return picked(x, arange(height, index_type(x))[None, :, None], columns)


@register("augmentation", "random_vertical_flip")
@dataclass(frozen=True)
class RandomVerticalFlip(ImageAugmentation):
    """Turns each image upside down with probability p: a mirror image, top becomes bottom.

    Args:
        p: in [0, 1].

    Shape:
        (N, C, H, W) → the same.

    Source: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional
    neural networks", 2012, for the other direction.

    >>> RandomVerticalFlip(0.1).p
    0.1
    """

    p: float = setting(0.5, low=0, high=1, help="probability of a flip")

    def changed(self, x: Tensor, key: Tensor) -> Tensor:
        """Images, some of them upside down."""
        height, width = x.shape[2:]
        rows = _mirrored(key, x, height, self.p)[:, :, None]
        return picked(x, rows, arange(width, index_type(x))[None, None, :])


def _mirrored(key: Tensor, x: Tensor, length: int, p: Any) -> Tensor:
    """For each image the places 0 … length - 1, backwards with probability p; (N, length)."""
    (share,) = draws(key, x.shape[0], 1)
    place = arange(length, index_type(x))
    return where((share < p)[:, None], length - 1 - place, place)


@register("augmentation", "random_crop")
@dataclass(frozen=True)
class RandomCrop(ImageAugmentation):
    """Cuts each image at a random place out of itself with a border: a shift by whole pixels.

    With a border of k pixels there are (2k + 1)² equally likely places. Nothing is interpolated.

    Args:
        padding: k ≥ 0.
        fill: the value of the border.

    Shape:
        (N, C, H, W) → the same.

    Source: Lee, Xie, Gallagher, Zhang and Tu, "Deeply-supervised nets", 2015.

    >>> RandomCrop(4)
    RandomCrop(padding=4, fill=0.0)
    """

    padding: int = size(4, low=0, help="pixels of the border on each side")
    fill: float = setting(0.0, help="the value of the border")

    def changed(self, x: Tensor, key: Tensor) -> Tensor:
        """Images shifted by whole pixels."""
        images, _, height, width = x.shape
        kind = index_type(x)
        down, right = (
            astype(floor(share * (2 * self.padding + 1)), kind) - self.padding
            for share in draws(key, images, 2)
        )
        rows = (arange(height, kind) + down[:, None])[:, :, None]
        columns = (arange(width, kind) + right[:, None])[:, None, :]
        return picked(x, rows, columns, self.fill)


__all__ = [
    "ImageAugmentation",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomScale",
    "RandomShift",
    "RandomVerticalFlip",
]
