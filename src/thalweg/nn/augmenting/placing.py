"""Where augmentation acts in a network: as a layer, or behind the layers that read images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from thalweg.descriptions import part, register
from thalweg.errors import SettingError
from thalweg.graph import Tensor
from thalweg.nn.activations import Identity
from thalweg.nn.augmentation import Augmentation
from thalweg.nn.containers import Sequential
from thalweg.nn.image_input import ImageInput
from thalweg.nn.layer import Layer, Network, Scope
from thalweg.nn.structure import Reshape

READERS = (ImageInput, Reshape)
"""Layers that bring rows in the form of images."""


@register("layer", "augment")
@dataclass(frozen=True)
class Augment(Layer):
    """Changes its inputs at random in training, y = augmentation(x), and leaves them in use.

    ``fit(..., augment=...)`` does the same behind the layers ``ImageInput`` and ``Reshape`` at the
    front of the network, and can change targets too; a layer becomes part of the model.

    Args:
        augmentation: one that leaves targets alone (:class:`Mixup` does not).

    Shape:
        (N, C, H, W) → the same, or what the augmentation takes.

    Raises:
        SettingError: the augmentation changes targets.

    Source: Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied
    to visual document analysis", 2003.

    >>> import thalweg as tw
    >>> net = tw.Sequential(tw.ImageInput(), tw.Augment(tw.RandomRotation(10)), tw.Flatten())
    >>> net.summary((28, 28)).rows[-1].output_shape
    (784,)
    """

    transparent: ClassVar[bool] = True

    augmentation: Augmentation = part(family="augmentation", help="what changes the inputs")

    def __post_init__(self) -> None:
        """Refuse what a layer cannot do."""
        super().__post_init__()
        if self.augmentation.changes_targets:
            raise SettingError(
                f"Augment.augmentation = {self.augmentation} changes targets, which a layer does "
                "not see; pass it to fit(augment=...)"
            )

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X changed, in training."""
        return self.augmentation(x, scope.random_key()).x if scope.training else x


def split_readers(network: Network) -> tuple[Layer, Network]:
    """The layers at the front that read images, and the network without them under equal paths.

    >>> import thalweg as tw
    >>> front, rest = split_readers(tw.Sequential(tw.Reshape((1, 2, 3)), tw.Flatten()))
    >>> front
    Sequential(layers=(Reshape(shape=(1, 2, 3)),))
    >>> rest
    Sequential(layers=(Identity(), Flatten()))
    """
    if not isinstance(network, Layer):
        return Identity(), network
    front, rest = _split(network)
    return front or Identity(), rest or Identity()


def _split(layer: Layer) -> tuple[Layer | None, Layer | None]:
    """What reads images, and what comes behind; None where there is nothing of it."""
    if isinstance(layer, READERS):
        return layer, None
    if not isinstance(layer, Sequential):
        return None, layer
    before: list[Layer] = []
    for place, item in enumerate(layer):
        front, rest = _split(item)
        before += [] if front is None else [front]
        if rest is not None:
            read = [Identity()] * place
            behind = Sequential([*read, rest, *layer.layers[place + 1 :]])
            return (Sequential(before), behind) if before else (None, layer)
    return layer, None


__all__ = ["READERS", "Augment", "split_readers"]
