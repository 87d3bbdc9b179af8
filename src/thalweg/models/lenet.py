"""LeNet-5: the modern form, and the form of 1998."""

from __future__ import annotations

from thalweg.nn.activations import ReLU
from thalweg.nn.containers import Sequential
from thalweg.nn.convolution import Conv2d
from thalweg.nn.gaussian_units import GaussianUnits
from thalweg.nn.lenet import C3_CONNECTIONS, InverseFanIn, MaskedConv2d, ScaledTanh, Subsample2d
from thalweg.nn.linear import Linear
from thalweg.nn.padding import Padding
from thalweg.nn.pooling import MaxPool2d
from thalweg.nn.structure import Flatten


def lenet5(classes: int = 10, *, padding: Padding = 2) -> Sequential:
    """LeNet-5 as it is built today: ReLU in place of tanh, max pooling, softmax by the loss.

    Args:
        classes: number of outputs.
        padding: of the first convolution: 2 for 28 × 28 images, so that its maps are 28 × 28; 0
            for 32 × 32 images. Other sizes from 12 × 12 on work too.

    Returns:
        Layers for images (N, C, H, W); 61,706 parameters for 1 × 28 × 28 and ten classes.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
    recognition", 1998.

    >>> lenet5().summary((1, 28, 28)).parameters
    61706
    """
    return Sequential(
        Conv2d(6, 5, padding=padding),
        ReLU(),
        MaxPool2d(2),
        Conv2d(16, 5),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Linear(120),
        ReLU(),
        Linear(84),
        ReLU(),
        Linear(classes),
    )


def lenet5_1998(
    classes: int = 10,
    *,
    padding: Padding = 2,
    prototypes: str | None = None,
    learned: bool = False,
) -> Sequential:
    """LeNet-5 as it was published: scaled tanh, trainable subsampling, table I, Gaussian outputs.

    The output is minus the squared distance to each class's prototype, so that cross entropy
    applies; the publication's loss, ``tw.MaximumAPosteriori``, trains fixed prototypes better. With
    fixed prototypes and one channel it has 60,000 parameters, weights drawn from
    U(-2.4 / M, 2.4 / M).

    Args:
        classes: number of outputs.
        padding: of the first convolution: 2 for 28 × 28 images, 0 for 32 × 32.
        prototypes: ``digits`` (drawings of 0 … 9) or ``random`` (±1); None takes digits for ten
            classes.
        learned: whether prototypes are trained.

    Returns:
        Layers for images (N, C, 28, 28) or (N, C, 32, 32).

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
    recognition", 1998.

    >>> [row.parameters for row in lenet5_1998().summary((1, 28, 28)).rows if row.parameters]
    [156, 12, 1516, 32, 48120, 10164]
    """
    start = InverseFanIn()
    kind = prototypes or ("digits" if classes == 10 else "random")
    return Sequential(
        Conv2d(6, 5, padding=padding, weight=start),
        ScaledTanh(),
        Subsample2d(2),
        ScaledTanh(),
        MaskedConv2d(C3_CONNECTIONS, 5, weight=start),
        ScaledTanh(),
        Subsample2d(2),
        ScaledTanh(),
        Conv2d(120, 5, weight=start),
        ScaledTanh(),
        Flatten(),
        Linear(84, weight=start),
        ScaledTanh(),
        GaussianUnits(classes, kind, learned=learned),
    )
