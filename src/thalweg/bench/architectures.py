"""Image networks in words that belong to no library; every peer builds its own from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Convolution:
    """Cross-correlation with square kernels.

    Attributes:
        inputs, outputs: channels.
        taps: height and width of the kernel.
        size: height and width of the result.
        stride: in both directions.
        padding: zeros on each side.
        bias: whether a number is added to each channel.
    """

    inputs: int
    outputs: int
    taps: int
    size: int
    stride: int = 1
    padding: int = 0
    bias: bool = True

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of the kernel, and of the bias."""
        kernel = (self.taps, self.taps, self.inputs, self.outputs)
        return [kernel, (self.outputs,)] if self.bias else [kernel]

    @property
    def products(self) -> int:
        """Multiply-adds for one row, those with padding counted."""
        return self.size**2 * self.taps**2 * self.inputs * self.outputs


@dataclass(frozen=True)
class Dense:
    """A matrix product and a bias."""

    inputs: int
    outputs: int

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of the matrix and the bias."""
        return [(self.inputs, self.outputs), (self.outputs,)]

    @property
    def products(self) -> int:
        """Multiply-adds for one row."""
        return self.inputs * self.outputs


@dataclass(frozen=True)
class Norm:
    """Batch normalisation of each channel, ε = 10⁻⁵."""

    features: int

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of factor and term."""
        return [(self.features,), (self.features,)]


@dataclass(frozen=True)
class Pool:
    """The maximum of squares that touch."""

    taps: int


@dataclass(frozen=True)
class ReLU:
    """max(x, 0)."""


@dataclass(frozen=True)
class Flatten:
    """Channels, rows, columns in one axis, in this order."""


@dataclass(frozen=True)
class Average:
    """The mean of each channel."""


@dataclass(frozen=True)
class Residual:
    """body(x) + shortcut(x); a shortcut without layers is x itself."""

    body: tuple[Part, ...]
    shortcut: tuple[Part, ...] = ()


Plain = Convolution | Dense | Norm | Pool | ReLU | Flatten | Average
Part = Plain | Residual
Weighted = Convolution | Dense | Norm
EPSILON = 1e-5


@dataclass(frozen=True)
class Architecture:
    """A network for images.

    Attributes:
        title: for tables.
        shape: channels, height and width of an image.
        parts: one after the other.
    """

    title: str
    shape: tuple[int, int, int]
    parts: tuple[Part, ...]

    @property
    def weighted(self) -> list[Weighted]:
        """What has parameters, in order; of a residual block the body first."""
        return [part for part in flat(self.parts) if isinstance(part, Weighted)]

    @property
    def parameters(self) -> int:
        """Numbers that are trained."""
        found = 0
        for part in self.weighted:
            for shape in part.shapes:
                count = 1
                for size in shape:
                    count *= size
                found += count
        return found

    @property
    def products(self) -> int:
        """Multiply-adds of a step for one row: forward, two transposes, no gradient of the images.

        >>> ARCHITECTURES["lenet"].products
        1131960
        """
        each = [part.products for part in self.weighted if not isinstance(part, Norm)]
        return 3 * sum(each) - each[0]


def flat(parts: Sequence[Part]) -> Iterator[Plain]:
    """All parts, those inside residual blocks too."""
    for part in parts:
        if isinstance(part, Residual):
            yield from flat(part.body)
            yield from flat(part.shortcut)
        else:
            yield part


def lenet() -> Architecture:
    """LeNet-5 with ReLU, the largest of each window, and cross entropy.

    Source: LeCun, Bottou, Bengio, Haffner, Gradient-Based Learning Applied to Document
    Recognition, 1998; in the form in which it is taught today.
    """
    parts = (
        Convolution(1, 6, 5, 28, padding=2), ReLU(), Pool(2),
        Convolution(6, 16, 5, 10), ReLU(), Pool(2),
        Flatten(),
        Dense(400, 120), ReLU(),
        Dense(120, 84), ReLU(),
        Dense(84, 10),
    )  # fmt: skip
    return Architecture("LeNet-5", (1, 28, 28), parts)


def resnet(widths: Sequence[int] = (16, 32, 64), blocks: int = 1) -> Architecture:
    """Stem, stages of residual blocks, mean of each channel, ten outputs.

    Source: He, Zhang, Ren, Sun, Deep Residual Learning for Image Recognition, 2016; section 4.2.

    Args:
        widths: channels of each stage; all but the first begin with stride 2.
        blocks: of each stage.
    """
    size, before = 32, widths[0]
    parts: list[Part] = [*_normalised(3, before, 3, size), ReLU()]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            size //= stride
            parts += _block(before, width, size, stride)
            before = width
    return Architecture("ResNet-style", (3, 32, 32), (*parts, Average(), Dense(widths[-1], 10)))


def _normalised(
    inputs: int, outputs: int, taps: int, size: int, stride: int = 1
) -> tuple[Part, ...]:
    kernel = Convolution(inputs, outputs, taps, size, stride, taps // 2, bias=False)
    return kernel, Norm(outputs)


def _block(inputs: int, outputs: int, size: int, stride: int) -> list[Part]:
    body = (
        *_normalised(inputs, outputs, 3, size, stride),
        ReLU(),
        *_normalised(outputs, outputs, 3, size),
    )
    same = inputs == outputs and stride == 1
    shortcut = () if same else _normalised(inputs, outputs, 1, size, stride)
    return [Residual(body, shortcut), ReLU()]


ARCHITECTURES = {"lenet": lenet(), "resnet": resnet()}
"""By the word of ``--cases``."""
