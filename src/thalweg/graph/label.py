"""Where in a training step a node belongs: its layer and its direction."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Label(NamedTuple):
    """Where in a training step a node belongs: the layer's path and the direction."""

    layer: str = ""
    direction: str = "forward"

    def __str__(self) -> str:
        return f"{self.layer or 'top'} {self.direction}"


_LABEL: ContextVar[Label] = ContextVar("label", default=Label())


@contextmanager
def labelled(layer: str | None = None, direction: str | None = None) -> Generator[None]:
    """Name the layer or the direction of the nodes made inside."""
    now = _LABEL.get()
    changed = Label(
        now.layer if layer is None else layer, now.direction if direction is None else direction
    )
    token = _LABEL.set(changed)
    try:
        yield
    finally:
        _LABEL.reset(token)


def current_label() -> Label:
    """The label that new nodes get."""
    return _LABEL.get()
