"""Layers made of layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from thalweg.descriptions import parts, register
from thalweg.errors import SettingError
from thalweg.graph import Tensor
from thalweg.nn.initialisers import Initialiser
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

    layers: tuple[Layer, ...] = parts(family="layer", help="one after the other")

    def __init__(self, *given: Layer | Sequence[Layer], layers: Sequence[Layer] = ()) -> None:
        if not isinstance(layers, (list, tuple)):
            raise SettingError(f"Sequential.layers takes a list of layers, got {layers!r:.80}")
        alone = given[0] if len(given) == 1 and isinstance(given[0], (list, tuple)) else given
        checked = tuple(_layer(place, item) for place, item in enumerate((*alone, *layers)))
        object.__setattr__(self, "layers", checked)

    @property
    def preferred_initialiser(self) -> Initialiser | None:
        """What the first layer that is not transparent prefers."""
        first = next((layer for layer in self.layers if not layer.transparent), None)
        return None if first is None else first.preferred_initialiser

    @property
    def removes_bias(self) -> bool:
        """Whether the first layer does."""
        return bool(self.layers) and self.layers[0].removes_bias

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __getitem__(self, place: int) -> Layer:
        return self.layers[place]

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The last layer's output."""
        following = followers(self.layers, scope.following)
        successors = (*self.layers[1:], scope.successor)
        for place, layer in enumerate(self.layers):
            x = scope.apply(str(place), layer, x, following[place], successors[place])
        return x


def _layer(place: int, item: object) -> Layer:
    if isinstance(item, Layer):
        return item
    hint = f": write {item.__name__}() with parentheses" if isinstance(item, type) else ""
    raise SettingError(f"layer {place} of Sequential is {item!r}, which is no layer{hint}")


def followers(layers: Sequence[Layer], otherwise: Layer | None) -> list[Layer | None]:
    """For each layer the first one behind it that initialisers do not look past."""
    found: list[Layer | None] = []
    for layer in reversed(layers):
        found.append(otherwise)
        otherwise = otherwise if layer.transparent else layer
    return found[::-1]
