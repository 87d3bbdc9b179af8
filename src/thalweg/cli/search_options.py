"""The options of ``thalweg search`` that ``thalweg train`` does not have."""

from __future__ import annotations

import math
import re
from typing import Annotated

import typer

from thalweg.descriptions import members
from thalweg.errors import SettingError
from thalweg.searching.samplers import as_sampler
from thalweg.searching.schedulers import as_scheduler

_SPEC = "SPEC"
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def _names(family: str) -> str:
    return ", ".join(members(family))


SpaceFile = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="FILE",
        help="What to search, as TOML; by default a space that suits most tables, written to "
        "DIR/space.toml to be edited.",
    ),
]
Trials = Annotated[
    int,
    typer.Option(
        "--trials", metavar="N", help="Networks to try in all; those of the journal count."
    ),
]
Sampler = Annotated[
    str,
    typer.Option("--sampler", metavar=_SPEC, help=f"What proposes settings: {_names('sampler')}."),
]
Scheduler = Annotated[
    str,
    typer.Option(
        "--scheduler",
        metavar=_SPEC,
        help=f"What drops weak networks early: {_names('scheduler')}, as in asha(lowest=2).",
    ),
]
Metric = Annotated[
    str,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="What decides: validation_loss, validation_accuracy or train_loss.",
    ),
]
Epochs = Annotated[
    int, typer.Option("--epochs", metavar="N", help="Passes over the training rows at most.")
]
Patience = Annotated[
    int,
    typer.Option(
        "--early-stopping",
        metavar="EPOCHS",
        help="Stop a network after so many epochs without a lower validation loss; 0 never does.",
    ),
]
TimeLimit = Annotated[
    str | None,
    typer.Option("--time-limit", metavar="TIME", help="End after, for example, 90s, 10m, 1h30m."),
]
Population = Annotated[
    int | None,
    typer.Option(
        "--population",
        metavar="K",
        help="Networks that are proposed together; results depend on it. By default 16; 4 with tpe "
        "or gaussian_process, which learn from networks that have ended, from the ninth on.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", help="Networks trained at once; one for each core."),
]
Seed = Annotated[int, typer.Option("--seed", help="Of the split, the proposals and the networks.")]
Out = Annotated[
    str | None,
    typer.Option("--out", metavar="DIR", help="Folder of the search; by default a new runs/NAME."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the search in --out.")]
Json = Annotated[
    bool, typer.Option("--json", help="One JSON line for each trial, and one for the results.")
]


def parse_time(text: str | None) -> float | None:
    """Seconds from a text such as ``90s``, ``10m``, ``1h30m``; a number alone is seconds.

    >>> parse_time("90"), parse_time("1h30m"), parse_time("1.5m"), parse_time(None)
    (90.0, 5400.0, 90.0, None)

    Raises:
        SettingError: anything else, or no time at all.
    """
    if text is None:
        return None
    bare = text.strip().lower().replace(" ", "")
    parts = _PART.findall(bare)
    if parts and "".join(map("".join, parts)) == bare:
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    else:
        seconds = float(bare) if re.fullmatch(r"\d+(\.\d+)?", bare) else math.nan
    if not 0 < seconds < math.inf:
        raise SettingError(f"--time-limit takes a time such as 90s, 10m or 1h30m, got {text!r}")
    return seconds


def check_specs(sampler: str, scheduler: str, epochs: int) -> None:
    """Refuse names that are none, before any data is read.

    Raises:
        SettingError: naming the option; the nearest name is offered.
    """
    for option, work in (
        ("--sampler", lambda: as_sampler(sampler)),
        ("--scheduler", lambda: as_scheduler(scheduler).check(epochs)),
    ):
        try:
            work()
        except SettingError as error:
            raise SettingError(f"{option}: {error}") from error
