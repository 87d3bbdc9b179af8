"""Residual networks for small images."""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.errors import SettingError
from thalweg.nn.activations import ReLU
from thalweg.nn.adaptive_pooling import GlobalAvgPool2d
from thalweg.nn.containers import Sequential
from thalweg.nn.convolution import Conv2d
from thalweg.nn.feature_maps import BatchNorm2d
from thalweg.nn.layer import Layer
from thalweg.nn.linear import Linear
from thalweg.nn.structure import Residual


def resnet(
    classes: int = 10, *, blocks: int = 1, widths: Sequence[int] = (16, 32, 64)
) -> Sequential:
    """A residual network: a 3 × 3 convolution, stages of blocks, global average pooling, a line.

    A block is convolution, batch normalisation, ReLU, convolution, batch normalisation, plus its
    input, then ReLU. Each stage but the first halves height and width; there the input goes
    through a 1 × 1 convolution of stride 2 with batch normalisation. 6 · blocks + 2 layers have
    weights: ``blocks=3`` is ResNet-20 (272,474 parameters for three channels and ten classes;
    269,722 in the publication's form, whose shortcuts pad with zeros), 5 ResNet-32, 9 ResNet-56.

    Args:
        classes: number of outputs.
        blocks: in each stage, ≥ 1.
        widths: maps of each stage, one stage or more.

    Returns:
        Layers for images (N, C, H, W), meant for 3 × 32 × 32.

    Raises:
        SettingError: no blocks, or no widths.

    Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2016.

    >>> resnet(blocks=3).summary((3, 32, 32)).parameters
    272474
    """
    _check(blocks, widths)
    layers: list[Layer] = [*_normalised(widths[0], 3, 1), ReLU()]
    before = widths[0]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            layers += _block(width, stride, is_same=stride == 1 and width == before)
            before = width
    return Sequential(*layers, GlobalAvgPool2d(), Linear(classes))


def _check(blocks: object, widths: object) -> None:
    if type(blocks) is not int or blocks < 1:
        raise SettingError(f"resnet: blocks is a whole number ≥ 1, got {blocks!r}")
    if not isinstance(widths, (list, tuple)) or not widths:
        raise SettingError(
            f"resnet: widths holds the maps of each stage, such as (16, 32, 64), got {widths!r}"
        )


def _block(width: int, stride: int, *, is_same: bool) -> tuple[Layer, Layer]:
    """A residual block; one that keeps the shape adds its input as it is."""
    inner = Sequential(*_normalised(width, 3, stride), ReLU(), *_normalised(width, 3, 1))
    projection = None if is_same else Sequential(*_normalised(width, 1, stride))
    return Residual(inner, projection), ReLU()


def _normalised(width: int, side: int, stride: int) -> tuple[Layer, Layer]:
    return Conv2d(width, side, stride=stride, padding=side // 2), BatchNorm2d()
