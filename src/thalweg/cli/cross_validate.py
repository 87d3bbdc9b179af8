"""``thalweg cross-validate``: how well a table's network would do on new rows."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from thalweg.cli import options
from thalweg.cli.console import Output, say, say_report, tell, tell_notes
from thalweg.cli.predict import cells, write_csv
from thalweg.cli.train import default_target, holds_images, parse_kinds, table_settings
from thalweg.errors import FileError, SettingError
from thalweg.tabular.settings import TableSettings

if TYPE_CHECKING:
    from typing import TextIO

    from thalweg.tabular.cross_validation import TableCrossValidation

_Folds = Annotated[
    int, typer.Option("--folds", metavar="N", help="Parts that the rows are divided into.")
]
_Repeats = Annotated[
    int, typer.Option("--repeats", metavar="N", help="How often all rows are divided.")
]
_Groups = Annotated[
    str | None,
    typer.Option(
        "--groups",
        metavar="COLUMN",
        help="Rows of the same value are held out together; the column is no input.",
    ),
]
_Stratify = Annotated[
    bool,
    typer.Option(
        "--stratify/--no-stratify", help="Whether each fold holds out its share of every class."
    ),
]
_Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="NAME", help="Show only this; give it repeatedly."),
]
_Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="N", help="Networks trained at once; by default one for each core."
    ),
]
_Patience = Annotated[
    int,
    typer.Option(
        "--early-stopping",
        metavar="EPOCHS",
        help="Stop a network after so many epochs without a lower loss on a fifth of its training "
        "rows, which are set apart for that; 0 trains on all of them to the last epoch.",
    ),
]
_Out = Annotated[
    str | None,
    typer.Option("--out", metavar="FILE", help="CSV file for the predictions of all rows."),
]
_Json = Annotated[bool, typer.Option("--json", help="One JSON line with the results.")]


def cross_validate(
    context: typer.Context,
    file: options.File,
    target: options.Target = None,
    folds: _Folds = 10,
    repeats: _Repeats = 1,
    groups: _Groups = None,
    stratify: _Stratify = True,
    metric: _Metrics = None,
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
    epochs: options.Epochs = options.EPOCHS,
    early_stopping: _Patience = options.PATIENCE,
    stop: options.Stop = None,
    batch_size: options.BatchSize = None,
    accumulate: options.Accumulate = 1,
    optimizer: options.Optimizer = options.OPTIMIZER,
    learning_rate: options.LearningRate = None,
    penalty: options.Penalty = None,
    clip: options.Clip = None,
    class_weight: options.ClassWeight = None,
    average: options.Average = None,
    augment: options.Augment = None,
    statistics: options.Statistics = TableSettings.statistics,
    seed: options.Seed = 0,
    threads: _Threads = None,
    out: _Out = None,
    json: _Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Estimate how well a network would do on new rows of a table.

    The rows are divided into folds. For each fold a network is trained on the other rows, from
    their encoding on, and judged on the rows of the fold. Mean and deviation over all folds are
    shown; --out writes the prediction for each row by the network that did not see it.

    Ctrl-C shows the networks that are finished; the exit code is then 1, as where a network met
    values that are not finite.
    """
    if holds_images(file):
        raise SettingError("cross-validate is for tables; train images with thalweg train")
    _check_out(out, file)
    found = _run(file, context.params)
    if json or quiet:
        tell_notes(found.notes, warnings_only=True)
    _show(found, json=json, quiet=quiet)
    if out is not None:
        write_csv(out, *_predictions(found))
        if not json and not quiet:
            say(f"\npredictions  {out}")
    if found.stop_reason == "interrupted":
        tell("note", "interrupted; the figures are of the networks that are finished")
    for place, why in found.failures.items():
        tell("warning", f"network {place}: {why}")
    if found.stop_reason == "interrupted" or found.failures:
        raise typer.Exit(1)


def _run(file: str, given: dict[str, Any]) -> TableCrossValidation:
    from thalweg.tabular import open_table
    from thalweg.tabular.cross_validation import cross_validate_table
    from thalweg.training.display import terminal_display

    settings = table_settings({**given, "members": None, "ensemble": None})
    if not given["early_stopping"]:
        settings = _without_stopping(settings)
    table = open_table(file)
    target = given["target"]
    silent = given["json"] or given["quiet"]
    return cross_validate_table(
        table,
        default_target(file, table.names) if target is None else target,
        folds=given["folds"],
        repeats=given["repeats"],
        stratify=given["stratify"],
        groups=given["groups"],
        metrics=given["metric"] or None,
        settings=settings,
        task=given["task"],
        kinds=parse_kinds(given["kind"] or ()),
        drop=given["drop"] or (),
        categories=given["categories"],
        threads=given["threads"],
        progress=False if silent else terminal_display(always=True),
    )


def _without_stopping(settings: TableSettings) -> TableSettings:
    from dataclasses import replace

    return replace(settings, early_stopping=None)


def _check_out(out: str | None, file: str) -> None:
    """Refuse a file that cannot be, before anything is trained.

    Raises:
        FileError: a folder, or in a folder that is not there.
        SettingError: the table itself.
    """
    if out is None:
        return
    place = Path(out)
    if place.is_dir():
        raise FileError(f"--out {out} is a folder; name a file, such as {place / 'folds.csv'}")
    if not place.parent.is_dir():
        raise FileError(f"--out {out}: the folder {place.parent} does not exist; make it")
    if place.exists() and Path(file).exists() and place.samefile(file):
        raise SettingError(f"--out {out} would replace {file}, which is read; name another")


def _show(found: TableCrossValidation, *, json: bool, quiet: bool) -> None:
    if json:
        from thalweg.training.display import write_json_line

        write_json_line(cast("TextIO", Output()), _summary(found))
    elif not quiet:
        say_report(dataclasses.replace(found.schema, notes=found.notes).report())
        say()
        say(f"{len(found.table):,} rows, target {found.target} ({found.task})\n\n{found.summary()}")


def _summary(found: TableCrossValidation) -> dict[str, object]:
    return {
        "target": found.target,
        "task": found.task,
        "rows": len(found.table),
        "folds": found.folds,
        "repeats": found.repeats,
        "stop_reason": found.stop_reason,
        "failed": list(found.failures),
        "seconds": round(found.seconds, 3),
        "mean": found.mean,
        "deviation": found.deviation,
        "scores": {name: values.tolist() for name, values in found.scores.items()},
    }


def _predictions(found: TableCrossValidation) -> tuple[list[str], list[list[Any]]]:
    """The header, and a list of cells for each column: where the row stands, target, prediction."""
    import numpy as np

    values = found.predictions
    header = [found.table.unit, found.target, "prediction"]
    columns = [found.table.numbers.tolist(), cells(found.truth)]
    if found.classes is None:
        return header, [*columns, _cells(values)]
    known = np.isfinite(values[:, 0])
    chosen = np.argmax(np.nan_to_num(values), axis=1)
    labels = np.where(known, np.array(found.classes, object)[chosen], "")
    header += [f"probability_{label}" for label in found.classes]
    return header, [*columns, cells(labels), *(_cells(column) for column in values.T)]


def _cells(values: Any) -> list[str]:
    """Numbers as text; empty where there is no prediction."""
    return ["" if math.isnan(value) else str(value) for value in values.tolist()]
