"""``thalweg lr-find``: learning rates that suit a table, by a short rising run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from thalweg.cli import options
from thalweg.cli.console import say, say_entry, tell
from thalweg.cli.curves import check_picture, curve_text
from thalweg.cli.train import parse_hidden, parse_kinds
from thalweg.errors import SettingError
from thalweg.tabular.settings import TableSettings

if TYPE_CHECKING:
    from thalweg.tabular import PreparedTable
    from thalweg.training.range_test import LearningRateTest

_TABLE_LINES = 12

Low = Annotated[float, typer.Option("--low", help="First learning rate.")]
High = Annotated[float, typer.Option("--high", help="Last learning rate.")]
Steps = Annotated[int, typer.Option("--steps", help="Updates, each with a higher rate.")]
Picture = Annotated[
    str | None,
    typer.Option("--out", metavar="FILE", help="Picture to write: .svg, .png or .pdf."),
]


def lr_find(
    file: options.File,
    target: options.Target = None,
    task: options.Task = "auto",
    kind: options.Kinds = None,
    drop: options.Drop = None,
    categories: options.Categories = "one_hot",
    hidden: options.Hidden = options.HIDDEN,
    activation: options.Activation = options.ACTIVATION,
    initialiser: options.Initialiser = None,
    normalise: options.Normalise = None,
    dropout: options.Dropout = None,
    network: options.Network = None,
    loss: options.Loss = None,
    batch_size: options.BatchSize = None,
    optimizer: options.Optimizer = options.OPTIMIZER,
    penalty: options.Penalty = None,
    clip: options.Clip = None,
    seed: options.Seed = 0,
    low: Low = 1e-7,
    high: High = 10.0,
    steps: Steps = 100,
    out: Picture = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON line instead of text.")] = False,
) -> None:
    """Find a learning rate for a table: the rate rises until the loss diverges.

    The network, the batches and the training rows are those of `thalweg train` with the same
    options; nothing is saved. Two rates are suggested: where the loss falls most steeply, and a
    tenth of where it is least. Both are starting points for --learning-rate.
    """
    settings = TableSettings(
        hidden=parse_hidden(hidden),
        activation=activation,
        initialiser=initialiser,
        normalise=normalise,
        dropout=dropout,
        structure=network,
        loss=loss,
        batch_size=batch_size,
        optimizer=optimizer,
        penalty=penalty,
        clip=clip,
        seed=seed,
    )
    settings.check()
    check_picture(out)
    from thalweg.tabular import open_table, prepare_table

    table = open_table(file)
    wanted = cast("Any", task)
    prepared = prepare_table(
        table,
        _target(file, target, table.names),
        task=wanted,
        kinds=parse_kinds(kind or ()),
        drop=drop or (),
        categories=categories,
        seed=seed,
    )
    found = _tested(prepared, settings, low, high, steps)
    if out is not None:
        found.plot(out)
    if json:
        _write_json(found)
    else:
        _show(found, out)


def _target(file: str, target: str | None, names: Any) -> str:
    from thalweg.data.builtin import BUILTIN_NAMES

    if target is not None:
        return target
    if file in BUILTIN_NAMES:
        return "target"
    raise SettingError(
        f"name the column to predict with --target; {file} has {', '.join(list(names)[:20])}"
    )


def _tested(
    prepared: PreparedTable, settings: TableSettings, low: float, high: float, steps: int
) -> LearningRateTest:
    from thalweg.tabular.fitting import table_network, table_targets
    from thalweg.training.range_test import lr_find as find

    train = prepared.split.train
    count = len(train)
    return find(
        table_network(prepared, settings),
        prepared.x[train],
        table_targets(prepared, settings)[train],
        low=low,
        high=high,
        steps=steps,
        loss=settings.objective(prepared.task),
        classes=range(prepared.outputs) if prepared.task == "classification" else None,
        optimizer=settings.rule(count),
        batch_size=settings.batch(count),
        penalty=settings.weight_penalty(prepared.task),
        clip=settings.clip,
        seed=settings.seed,
    )


def _show(found: LearningRateTest, out: str | None) -> None:
    say("smoothed training loss over the learning rate")
    first, last = (f"{found.rates[place]:.2g}" for place in (0, -1))
    say(curve_text(found.smoothed.tolist(), first, last))
    say()
    say(f"{'learning rate':>13}  {'loss':>10}")
    every = max(-(-len(found.rates) // _TABLE_LINES), 1)
    for rate, loss in zip(found.rates[::every], found.smoothed[::every], strict=True):
        say(f"{rate:>13.2e}  {loss:>10.4g}")
    say()
    say_entry("ended", f"{found.stopped}, after {len(found.rates)} updates")
    if found.suggestion is None:
        tell("warning", "the loss never fell; try another --low and --high, or more --steps")
    else:
        say_entry("steepest", f"{found.suggestion:.2g}")
        say_entry("tenth", f"{found.tenth:.2g}, a tenth of the rate with the least loss")
        say_entry("use it", f"thalweg train … --learning-rate {found.suggestion:.2g}")
    if out is not None:
        say_entry("plot", out)


def _write_json(found: LearningRateTest) -> None:
    from thalweg.cli.console import Output
    from thalweg.training.display import write_json_line

    values: dict[str, object] = {
        "suggestion": found.suggestion,
        "tenth": found.tenth,
        "minimum": found.minimum,
        "stopped": found.stopped,
        "rates": found.rates.tolist(),
        "losses": found.losses.tolist(),
        "smoothed": found.smoothed.tolist(),
    }
    write_json_line(cast("Any", Output()), values)
