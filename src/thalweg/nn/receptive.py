"""What a layer that slides a window says of it, from which receptive fields are computed."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable


class Receptive(NamedTuple):
    """The window behind one output of a layer, along height and width.

    Attributes:
        extent: how many inputs it spans, gaps of a dilation included.
        stride: how far it moves from one output to the next.
    """

    extent: tuple[int, int]
    stride: tuple[int, int]


@runtime_checkable
class HasReceptive(Protocol):
    """A layer whose outputs each see a window of its input."""

    def receptive(self) -> Receptive:
        """The window."""
        ...
