"""``thalweg summary``: what a model file holds."""

from __future__ import annotations

from typing import Annotated

import typer

from thalweg.cli.console import say_report
from thalweg.cli.models import load_model


def summary(
    model: Annotated[str, typer.Argument(help="Model file, or the folder of a run.")],
) -> None:
    """Show a model: its layers, what it predicts, how it was trained, how good it was."""
    say_report(load_model(model).summary())
