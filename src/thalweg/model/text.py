"""A model as text: what it takes, what it predicts, how it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from thalweg.nn.summary import summarise

if TYPE_CHECKING:
    from thalweg.descriptions import Plain
    from thalweg.model.model import Model


def describe(model: Model) -> str:
    """Layers, inputs, outputs, training record."""
    lines = [str(summarise(model.network, model.input_shape)), ""]
    if model.encoder is not None:
        columns = ", ".join(model.encoder.columns)
        lines.append(f"columns     {columns} ({len(model.encoder.feature_names)} inputs)")
    lines.append(f"predicts    {_predicts(model)}")
    lines += _record_lines(model.record)
    return "\n".join(lines)


def _predicts(model: Model) -> str:
    name = f"{model.target.name}: " if model.target is not None else ""
    if model.classes is None:
        return f"{name}numbers"
    labels = [str(label) for label in model.classes]
    shown = ", ".join(labels[:12]) + (", …" if len(labels) > 12 else "")
    return f"{name}one of {len(labels)} classes ({shown})"


def _record_lines(record: Mapping[str, Plain], prefix: str = "") -> list[str]:
    lines: list[str] = []
    for key, value in record.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            lines += _record_lines(value, f"{name}.")
        elif not isinstance(value, list):
            shown = f"{value:.6g}" if isinstance(value, float) else str(value)
            lines.append(f"{name:<12}{shown}")
    return lines
