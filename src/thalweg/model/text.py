"""A model as text: what it takes, what it predicts, how it was trained."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from thalweg.nn.summary import summarise

if TYPE_CHECKING:
    from thalweg.descriptions import Plain
    from thalweg.model.model import Model

_WIDTH, _INDENT = 90, 21


def describe(model: Model) -> str:
    """Layers, inputs, outputs, training record."""
    lines = [str(summarise(model.network, model.input_shape)), ""]
    if model.encoder is not None:
        columns = ", ".join(model.encoder.columns)
        inputs = len(model.encoder.feature_names)
        lines.append(_entry("columns", f"{columns} ({inputs} inputs in all)"))
    if model.images is not None:
        lines.append(_entry("images", str(model.images)))
    lines.append(_entry("predicts", _predicts(model)))
    lines += [_entry(name, text) for name, text in _record_entries(model.record)]
    return "\n".join(lines)


def _entry(name: str, text: str) -> str:
    """A name and a text, wrapped, the text aligned with those of other entries."""
    width = max(_INDENT, len(name) + 2)
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=name.ljust(width),
        subsequent_indent=" " * width,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _predicts(model: Model) -> str:
    name = f"{model.target.name}: " if model.target is not None and model.target.name else ""
    if model.classes is None:
        return f"{name}numbers"
    labels = [str(label) for label in model.classes]
    shown = ", ".join(labels[:12]) + (", …" if len(labels) > 12 else "")
    return f"{name}one of {len(labels)} classes ({shown})"


def _record_entries(record: Mapping[str, Plain]) -> Iterator[tuple[str, str]]:
    """What the record holds, an entry for each part; histories (lists) are left out."""
    for name, value in record.items():
        if not isinstance(value, dict):
            if value is not None and not isinstance(value, list):
                yield name.replace("_", " "), _inline(value)
        elif value and all(isinstance(item, dict) for item in value.values()):
            yield from _record_entries(value)
        elif value and not any(isinstance(item, list) for item in value.values()):
            yield name.replace("_", " "), _inline(value)


def _inline(value: Plain) -> str:
    """A value in one line: ``accuracy 0.95, auc 0.99``, or ``adam (beta1 0.9, …)``."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if not isinstance(value, dict):
        return str(value)
    parts = cast("dict[str, Any]", value)
    texts = [
        f"{key.replace('_', ' ')} {_inline(part)}" for key, part in parts.items() if key != "type"
    ]
    inside = ", ".join(texts)
    return f"{parts['type']} ({inside})" if "type" in parts else inside
