"""A small network in the style of AlexNet."""

from __future__ import annotations

from thalweg.errors import SettingError
from thalweg.nn.activations import ReLU
from thalweg.nn.containers import Sequential
from thalweg.nn.convolution import Conv2d
from thalweg.nn.dropout import Dropout
from thalweg.nn.feature_maps import LocalResponseNorm
from thalweg.nn.layer import Layer
from thalweg.nn.linear import Linear
from thalweg.nn.pooling import MaxPool2d
from thalweg.nn.structure import Flatten


def alexnet(classes: int = 10, *, width: int = 32) -> Sequential:
    """AlexNet's design for small images: five convolutions, local response, overlapping pooling.

    Convolutions have width, 2, 3, 3 and 2 times width maps; the first two are followed by local
    response normalisation (k 2, n 5, α 10⁻⁴, β 0.75) and pooling of 3 × 3 windows at stride 2, the
    last by pooling. Two dense layers of 16 times width units follow, with dropout ½ in front of
    each. The publication's network had width about 96, kernels of 11 × 11 at stride 4 first, and
    224 × 224 images.

    Args:
        classes: number of outputs.
        width: maps of the first convolution, at least 1.

    Returns:
        Layers for images (N, C, H, W) of 16 × 16 or larger, meant for 3 × 32 × 32.

    Raises:
        SettingError: a width that is no whole number of at least 1.

    Source: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional
    neural networks", 2012.

    >>> alexnet().summary((3, 32, 32)).rows[-1].output_shape
    (10,)
    """
    if not isinstance(width, int) or width < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SettingError(
            f"alexnet: width must be a whole number of maps of at least 1, got {width!r}"
        )
    return Sequential(
        *_convolution(width, 5),
        LocalResponseNorm(5, k=2.0, squares="sum"),
        MaxPool2d(3, stride=2),
        *_convolution(2 * width, 5),
        LocalResponseNorm(5, k=2.0, squares="sum"),
        MaxPool2d(3, stride=2),
        *_convolution(3 * width, 3),
        *_convolution(3 * width, 3),
        *_convolution(2 * width, 3),
        MaxPool2d(3, stride=2),
        Flatten(),
        Dropout(0.5),
        Linear(16 * width),
        ReLU(),
        Dropout(0.5),
        Linear(16 * width),
        ReLU(),
        Linear(classes),
    )


def _convolution(maps: int, side: int) -> tuple[Layer, Layer]:
    return Conv2d(maps, side, padding=side // 2), ReLU()
