"""``thalweg plot-schedule``: a learning-rate schedule as a picture."""

from __future__ import annotations

from typing import Annotated

import typer

from thalweg.cli.console import say, say_entry
from thalweg.cli.curves import check_picture, curve_text
from thalweg.descriptions import members
from thalweg.errors import SettingError

_HELP = (
    'Such as "cosine(0.1)" or "warm_up(then=cosine_restarts(0.1, length=10), length=5)". '
    f"Schedules: {', '.join(members('schedule'))}."
)


def plot_schedule(
    schedule: Annotated[str, typer.Argument(metavar="SPEC", help=_HELP)],
    steps: Annotated[int, typer.Option("--steps", help="Updates of the whole run.")] = 1000,
    per_epoch: Annotated[int, typer.Option("--per-epoch", help="Updates of one epoch.")] = 1,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="Picture to write: .svg, .png or .pdf."),
    ] = None,
) -> None:
    """Draw how a learning rate changes over a run, in the terminal or to a file.

    A schedule is written as its name with its settings in brackets; schedules may stand inside
    each other. A schedule that counts epochs needs --per-epoch.
    """
    for option, value in (("--steps", steps), ("--per-epoch", per_epoch)):
        if value < 1:
            raise SettingError(f"{option} must be at least 1, got {value}")
    check_picture(out)
    from thalweg.descriptions.spec import parse_spec
    from thalweg.optim.plotting import plot_schedule as draw

    chosen = parse_spec("schedule", schedule)
    if out is not None:
        draw(chosen, steps, per_epoch, out, title=schedule)
        say_entry("plot", out)
        return
    rates = chosen.rates(steps, per_epoch)
    epochs = f", {steps / per_epoch:g} epochs" if per_epoch > 1 else ""
    say(f"learning rate: {schedule}")
    say(curve_text(rates.tolist(), "0", f"{steps} updates{epochs}"))
    say_entry("first", f"{rates[0]:.4g}")
    say_entry("largest", f"{rates.max():.4g} before update {int(rates.argmax())}")
    say_entry("last", f"{rates[-1]:.4g}")
