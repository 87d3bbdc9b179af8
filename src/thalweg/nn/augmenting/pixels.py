"""Images with noise, with a rectangle erased, brighter or darker, of more or less contrast."""

from __future__ import annotations

import math
from dataclasses import dataclass

from thalweg.descriptions import option, register, setting
from thalweg.graph import Tensor
from thalweg.nn.augmentation import Augmentation, Augmented
from thalweg.nn.augmenting.geometry import ImageAugmentation
from thalweg.nn.augmenting.sampling import between, draws
from thalweg.ops.functions import (
    arange,
    astype,
    clip,
    exp,
    floor,
    fold_in,
    log,
    maximum,
    minimum,
    normal,
    round_,
    uniform,
    where,
)


@register("augmentation", "random_noise")
@dataclass(frozen=True)
class RandomNoise(Augmentation):
    """Adds Gaussian noise: y = x + σn, n ~ N(0, 1) for each pixel of each channel.

    Values are not clipped. As a layer it is :class:`thalweg.GaussianNoise`.

    Args:
        deviation: σ ≥ 0, in the units of the pixels after the network's input layer (of 0 to 1).

    Shape:
        any → the same.

    Source: Bishop, "Training with noise is equivalent to Tikhonov regularization", 1995.

    >>> RandomNoise(0.1).deviation
    0.1
    """

    deviation: float = setting(0.05, low=0, help="standard deviation of the noise")

    def __call__(self, x: Tensor, key: Tensor) -> Augmented:
        """X with noise."""
        return Augmented(x + normal(key, x.shape, x.dtype) * self.deviation)


@register("augmentation", "random_erasing")
@dataclass(frozen=True)
class RandomErasing(ImageAugmentation):
    """Erases a rectangle of each image with probability p.

    Its share of the image's area is U(area_low, area_high); the logarithm of its height over its
    width is uniform between those of ratio_low and ratio_high, as far as the rectangle fits in the
    image; its place is uniform. Sides are rounded to whole pixels. (The paper draws area and ratio
    again until the rectangle fits, which makes small areas likelier, and draws the ratio itself
    uniformly; torchvision draws its logarithm, and leaves the image after ten misfits.)

    Args:
        p: in [0, 1].
        area_low: the least share of the area, in (0, 1].
        area_high: the largest share.
        ratio_low: the least height over width, > 0.
        ratio_high: the largest.
        filling: ``constant``, or ``noise``: U(0, 1) for each pixel, the paper's choice for pixels
            of 0 to 1.
        fill: the constant.

    Shape:
        (N, C, H, W) → the same.

    Source: Zhong, Zheng, Kang, Li and Yang, "Random erasing data augmentation", 2020.

    >>> RandomErasing(0.25).area_high
    0.4
    """

    p: float = setting(0.5, low=0, high=1, help="probability of erasing")
    area_low: float = setting(
        0.02, low=0, high=1, low_open=True, at_most="area_high", help="least share of the area"
    )
    area_high: float = setting(0.4, low=0, high=1, low_open=True, help="largest share of the area")
    ratio_low: float = setting(
        0.3, low=0, low_open=True, at_most="ratio_high", help="least height over width"
    )
    ratio_high: float = setting(10 / 3, low=0, low_open=True, help="largest height over width")
    filling: str = option("constant", options=("constant", "noise"), help="what is put in")
    fill: float = setting(0.0, help="the constant")

    def changed(self, x: Tensor, key: Tensor) -> Tensor:
        """Images, some of them with a rectangle erased."""
        images, _, height, width = x.shape
        chance, area, ratio, top, left = draws(fold_in(key, 0), images, 5)
        tall, wide = self._sides(area, ratio, height, width)
        rows = _covered(top, tall, height)[:, None, :, None]
        columns = _covered(left, wide, width)[:, None, None, :]
        erased = (chance < self.p)[:, None, None, None] & rows & columns
        if self.filling == "noise":
            return where(erased, uniform(fold_in(key, 1), x.shape, x.dtype), x)
        return where(erased, astype(self.fill, x.dtype), x)

    def _sides(self, area: Tensor, ratio: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Height and width of the rectangles in pixels, from two uniform numbers each."""
        size = log(between(area, self.area_low, self.area_high)) + math.log(height * width)
        most = 2.0 * math.log(height) - size  # beyond it the rectangle is too tall
        least = size - 2.0 * math.log(width)
        low = minimum(maximum(log(self.ratio_low), least), most)
        high = maximum(minimum(log(self.ratio_high), most), low)
        slope = between(ratio, low, high)
        tall, wide = exp((size + slope) * 0.5), exp((size - slope) * 0.5)
        return clip(round_(tall), 1.0, height), clip(round_(wide), 1.0, width)


def _covered(share: Tensor, length: Tensor, whole: int) -> Tensor:
    """Which of ``whole`` places an interval of a length at a random place covers, (N, whole)."""
    first = floor(share * (whole - length + 1.0))[:, None]
    place = arange(whole, "float64")
    return (place >= first) & (place < first + length[:, None])


@register("augmentation", "random_brightness")
@dataclass(frozen=True)
class RandomBrightness(ImageAugmentation):
    """Makes each image brighter or darker: y = x + b, or y = x(1 + b), b ~ U(-strength, strength).

    Values are not clipped. ``multiplicative`` is torchvision's ColorJitter and Keras' form is
    additive.

    Args:
        strength: ≥ 0, in the units of the pixels after the network's input layer (of 0 to 1), or,
            multiplicative, as a share of them.
        form: ``additive`` or ``multiplicative``.

    Shape:
        (N, C, H, W) → the same.

    Source: Howard, "Some improvements on deep convolutional neural network based image
    classification", 2013.

    >>> RandomBrightness(0.2).form
    'additive'
    """

    strength: float = setting(0.2, low=0, help="largest change")
    form: str = option("additive", options=("additive", "multiplicative"), help="x + b or x(1 + b)")

    def changed(self, x: Tensor, key: Tensor) -> Tensor:
        """Brighter and darker images."""
        change = _of_each(x, key, self.strength)
        return x + change if self.form == "additive" else x * (1.0 + change)


@register("augmentation", "random_contrast")
@dataclass(frozen=True)
class RandomContrast(ImageAugmentation):
    """Changes each image's contrast: y = m + (x - m)(1 + b), b ~ U(-strength, strength).

    m is the image's mean over all pixels and channels. Values are not clipped.

    Args:
        strength: ≥ 0; above 1 some images become negatives.

    Shape:
        (N, C, H, W) → the same.

    Source: Howard, "Some improvements on deep convolutional neural network based image
    classification", 2013.

    >>> RandomContrast(0.3).strength
    0.3
    """

    strength: float = setting(0.2, low=0, help="largest change, as a share")

    def changed(self, x: Tensor, key: Tensor) -> Tensor:
        """Images of more and of less contrast."""
        mean = x.mean((1, 2, 3))[:, None, None, None]
        return mean + (x - mean) * (1.0 + _of_each(x, key, self.strength))


def _of_each(x: Tensor, key: Tensor, strength: Tensor | float) -> Tensor:
    """A number in [-strength, strength) for each image, (N, 1, 1, 1) in the images' type."""
    (share,) = draws(key, x.shape[0], 1)
    return astype((2.0 * share - 1.0) * strength, x.dtype)[:, None, None, None]


__all__ = [
    "RandomBrightness",
    "RandomContrast",
    "RandomErasing",
    "RandomNoise",
]
