"""An architecture as PyTorch's modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thalweg.bench.architectures import (
    EPSILON,
    Average,
    Convolution,
    Dense,
    Flatten,
    Norm,
    Part,
    Pool,
    ReLU,
    Residual,
)
from thalweg.bench.problem import Floats


def image_modules(parts: Sequence[Part]) -> Any:
    """The parts one after the other."""
    from torch import nn  # pyright: ignore[reportMissingImports]

    return nn.Sequential(*map(_module, parts))


def _module(part: Part) -> Any:
    from torch import nn  # pyright: ignore[reportMissingImports]

    match part:
        case Convolution(inputs, outputs, taps, _, stride, padding, bias):
            made: Any = nn.Conv2d(inputs, outputs, taps, stride, padding, bias=bias)
        case Dense(inputs, outputs):
            made = nn.Linear(inputs, outputs)
        case Norm(features):
            made = nn.BatchNorm2d(features, eps=EPSILON)
        case Pool(taps):
            made = nn.MaxPool2d(taps)
        case ReLU():
            made = nn.ReLU()
        case Flatten():
            made = nn.Flatten()
        case Average():
            made = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case Residual(body, shortcut):
            made = _residual(image_modules(body), image_modules(shortcut))
    return made


def _residual(body: Any, shortcut: Any) -> Any:
    from torch import nn  # pyright: ignore[reportMissingImports]

    class Sum(nn.Module):  # pyright: ignore[reportUntypedBaseClass]
        """body(x) + shortcut(x)."""

        def __init__(self) -> None:
            super().__init__()
            self.body, self.shortcut = body, shortcut

        def forward(self, x: Any) -> Any:
            """Both branches."""
            return self.body(x) + self.shortcut(x)

    return Sum()


def torch_layout(value: Floats) -> Floats:
    """A kernel or matrix in PyTorch's order of axes: outputs first."""
    if value.ndim == 4:
        return value.transpose(3, 2, 0, 1)
    return value.T
