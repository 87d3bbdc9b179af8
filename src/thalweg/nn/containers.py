"""Layers made of layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from thalweg.descriptions import parts, register
from thalweg.errors import SettingError
from thalweg.graph import Tensor
from thalweg.nn.layer import Layer, Scope


@register("layer", "sequential")
@dataclass(frozen=True, init=False)
class Sequential(Layer):
    """Layers one after the other: the output of each is the input of the next.

    Args:
        layers: any number of layers; each is named by its position.

    >>> import thalweg as tw
    >>> net = tw.Sequential(tw.Linear(4), tw.ReLU(), tw.Linear(2))
    >>> len(net)
    3
    """

    layers: tuple[Layer, ...] = parts(family="layer")

    def __init__(self, *layers: Layer | tuple[Layer, ...]) -> None:
        given = layers[0] if len(layers) == 1 and isinstance(layers[0], tuple) else layers
        for place, layer in enumerate(given):
            if not isinstance(layer, Layer):
                hint = " (write it with parentheses)" if isinstance(layer, type) else ""
                raise SettingError(f"layer {place} of Sequential is {layer!r}, no layer{hint}")
        object.__setattr__(self, "layers", given)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __getitem__(self, place: int) -> Layer:
        return self.layers[place]

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The last layer's output."""
        for place, layer in enumerate(self.layers):
            following = self.layers[place + 1] if place + 1 < len(self.layers) else scope.following
            x = scope.apply(str(place), layer, x, following)
        return x
