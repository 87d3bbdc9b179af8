"""Networks from settings of their architecture, so that a search can vary it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thalweg.errors import SettingError
from thalweg.nn.containers import Sequential
from thalweg.nn.dropout import Dropout
from thalweg.nn.layer import Layer
from thalweg.nn.linear import Linear
from thalweg.nn.structure import Concatenated, Residual
from thalweg.tabular.choices import hidden_layer, read_activation
from thalweg.training.beginning import whole_number

SKIPS = ("none", "residual", "dense")
"""How a block may be passed by: not, by addition, by concatenation."""

_MOST_LAYERS, _MOST_UNITS = 1024, 2**20


def stacked(settings: Mapping[str, Any], outputs: int) -> Sequential:
    """A network of fully connected blocks, whose depth, widths and kind are settings.

    Each block is Linear, normalisation, activation and dropout; at the end stands a Linear.

    Args:
        settings: of these names, each of which may be left out: ``depth`` (blocks, ≥ 0; default
            2), ``width`` (units of each block, 64), or ``width_1``, ``width_2``, … of their own,
            ``activation`` (``"relu"``, its name or text), ``normalise`` (None, or the text of a
            normalisation such as ``"batch_norm"``, ``"layer_norm"``, ``"weight_norm"``),
            ``dropout`` (rate in [0, 1), default 0), ``skip`` (``"none"``; ``"residual"`` or True: x
            + f(x), with a Linear on x where widths differ; ``"dense"``: x beside f(x)). Others are
            left alone.
        outputs: of the last layer, ≥ 1.

    Raises:
        SettingError: a value outside its range, or an unknown name; the nearest is offered.

    Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2016, for
    residual blocks; Huang and others, "Densely connected convolutional networks", 2017, for dense
    ones.

    >>> import thalweg as tw
    >>> tw.stacked({"depth": 2, "width": 8, "skip": "residual"}, outputs=3).summary(8).parameters
    243
    >>> [type(layer).__name__ for layer in tw.stacked({"depth": 1, "dropout": 0.1}, 1)]
    ['Linear', 'ReLU', 'Dropout', 'Linear']
    """
    whole_number("outputs", outputs, 1)
    depth = whole_number("depth", settings.get("depth", 2), 0, _MOST_LAYERS)
    skip = _skip(settings.get("skip"))
    layers: list[Layer] = []
    before: int | None = None
    for place in range(1, depth + 1):
        width = _width(settings, place)
        layers += _passed(_block(settings, width), skip, before, width)
        before = width
    return Sequential(*layers, Linear(outputs))


def _width(settings: Mapping[str, Any], place: int) -> int:
    name = f"width_{place}" if f"width_{place}" in settings else "width"
    return whole_number(name, settings.get(name, 64), 1, _MOST_UNITS)


def _skip(value: Any) -> str:
    if value is None or value is False:
        return "none"
    if value is True:
        return "residual"
    if value not in SKIPS:
        raise SettingError(f"skip = {value!r} is not one of {', '.join(SKIPS)}")
    return str(value)


def _block(settings: Mapping[str, Any], width: int) -> tuple[Layer, ...]:
    normalise = settings.get("normalise")
    rate = settings.get("dropout") or 0.0
    layers = hidden_layer(width, None, None if normalise == "none" else normalise)
    activation = read_activation(settings.get("activation", "relu"))
    return (*layers, activation, *([Dropout(rate)] if rate else []))


def _passed(
    block: tuple[Layer, ...], skip: str, before: int | None, width: int
) -> tuple[Layer, ...]:
    """A block with what passes it by."""
    if skip == "none":
        return block
    inner = Sequential(*block)
    if skip == "dense":
        return (Concatenated(inner),)
    return (Residual(inner, projection=None if before == width else Linear(width)),)


__all__ = ["SKIPS", "stacked"]
