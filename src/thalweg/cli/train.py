"""``thalweg train``: from a table to a trained, tested and saved model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from thalweg.cli import options
from thalweg.cli.console import tell
from thalweg.cli.folders import CHECKPOINT, check_former, checkpoints, claimed, new_folder
from thalweg.cli.keeping import CHECKPOINT_EVERY, kept_run
from thalweg.cli.talk import Talk
from thalweg.data.builtin import BUILTIN_NAMES
from thalweg.errors import FileError, SettingError
from thalweg.tabular.settings import TableSettings

if TYPE_CHECKING:
    from thalweg.tabular import PreparedTable, TableRun


def train(
    context: typer.Context,
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
    model: options.Model = None,
    labels: options.Labels = None,
    resize: options.Resize = None,
    mode: options.Mode = None,
    strict: options.Strict = False,
    standardise: options.Standardise = False,
    loss: options.Loss = None,
    epochs: options.Epochs = options.EPOCHS,
    early_stopping: options.Patience = options.PATIENCE,
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
    members: options.Members = None,
    ensemble: options.Ensemble = None,
    seed: options.Seed = 0,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    resume: options.Resume = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a network to predict one column of a table from the others, or classes of images.

    FILE is a table, or a folder of images (FOLDER/class/...), or a file of images as arrays.

    Rows are split in training, validation and test rows (60, 20 and 20 %). The model with the
    lowest validation loss is tested beside simple baselines and saved as DIR/model.safetensors.

    SPEC is a name with its settings, such as adam, adam(0.01, beta2=0.99), or
    sgd(learning_rate=warm_up(then=cosine(0.1), length=5)); docs/reference lists them.

    Ctrl-C stops training: what was learned so far is tested and saved, and the exit code is 1.
    A second Ctrl-C gives up at once; --resume goes on with either, bit for bit.
    """
    if holds_images(file):
        from thalweg.cli.images import train_images

        train_images(file, context.params, given_options(context))
        return
    given = given_options(context)
    is_there = file in BUILTIN_NAMES or Path(file).exists()
    if given.intersection(options.OF_IMAGES) and not is_there:
        raise FileError(f"there is no file or folder {file!r}")
    refuse_options(given, options.OF_IMAGES, "images", f"{file} is a table")
    _train_table(file, context.params)


def _train_table(file: str, given: dict[str, Any]) -> None:
    """Train on a table with the command's parameters."""
    settings = table_settings(given)
    settings.check()
    talk = Talk(json=given["json"], quiet=given["quiet"])
    resume = given["resume"]
    place = place_of(file, given["out"], resume=resume)
    with claimed(place):
        prepared = prepared_table(
            file,
            given["target"],
            given["task"],
            given["kind"] or (),
            given["drop"] or (),
            given["categories"],
            given["seed"],
        )
        talk.table(prepared)
        _check_place(place, prepared, overwrite=given["overwrite"], resume=resume)
        talk.plan(prepared, settings)
        run = _run(prepared, settings, talk, place, resume=resume)
    talk.results(run, file, place)
    if run.stop_reason == "interrupted":
        raise typer.Exit(1)


_AS_GIVEN = (
    "activation", "dropout", "epochs", "batch_size", "learning_rate", "optimizer", "clip", "seed",
    "initialiser", "normalise", "loss", "penalty", "class_weight", "average", "augment",
    "accumulate", "statistics", "stop", "members", "ensemble",
)  # fmt: skip


def table_settings(given: dict[str, Any]) -> TableSettings:
    """How a network is trained, from the command's parameters."""
    return TableSettings(
        hidden=parse_hidden(given["hidden"]),
        early_stopping=parse_patience(given["early_stopping"]),
        structure=given["network"],
        **{name: given[name] for name in _AS_GIVEN},
    )


def holds_images(file: str) -> bool:
    """Whether images are meant: a folder, or a file of arrays.

    >>> holds_images("iris"), holds_images("digits.npz"), holds_images(".")
    (False, True, True)
    """
    from thalweg.data.image_arrays import is_array_file

    return Path(file).is_dir() or is_array_file(file)


def given_options(context: typer.Context) -> frozenset[str]:
    """The options that the user gave."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return frozenset(name for name, source in sources.items() if source and not _default(source))


def _default(source: Any) -> bool:
    return source.name in {"DEFAULT", "DEFAULT_MAP"}


def refuse_options(given: frozenset[str], names: Sequence[str], what: str, fact: str) -> None:
    """Refuse options that are for something else.

    Raises:
        SettingError: naming the first of them.
    """
    wrong = [name for name in names if name in given]
    if wrong:
        raise SettingError(f"--{wrong[0].replace('_', '-')} is for {what}, but {fact}")


def parse_hidden(text: str) -> tuple[int, ...]:
    """Layer sizes from text; empty text gives no hidden layer.

    >>> parse_hidden("64, 32"), parse_hidden("")
    ((64, 32), ())

    Raises:
        SettingError: anything but whole numbers between commas.
    """
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    try:
        return tuple(int(word) for word in words)
    except ValueError as error:
        raise SettingError(
            f"--hidden takes whole numbers between commas, such as 64,64, got {text!r}"
        ) from error


NEVER = 2**31 - 1
"""A patience that no run uses up."""


def parse_patience(epochs: int) -> int:
    """The patience of early stopping; 0 never stops, and keeps the best epoch all the same.

    Raises:
        SettingError: a negative number.
    """
    if epochs < 0:
        raise SettingError(f"--early-stopping {epochs} is negative; 0 turns it off")
    return epochs or NEVER


def parse_kinds(given: Sequence[str]) -> dict[str, str]:
    """Kinds by column.

    >>> parse_kinds(["zip=category"])
    {'zip': 'category'}

    Raises:
        SettingError: no ``=``.
    """
    pairs = [item.rpartition("=") for item in given]
    for item, (column, _, kind) in zip(given, pairs, strict=True):
        if not column or not kind:
            raise SettingError(f"--kind takes COLUMN=KIND, such as zip=category, got {item!r}")
    return {column: kind for column, _, kind in pairs}


def place_of(file: str, out: str | None, *, resume: bool) -> Path:
    """The folder of a run.

    Raises:
        SettingError: a run is to be resumed, and its folder is not named.
    """
    if out is not None:
        return Path(out)
    if resume:
        raise SettingError("--resume needs the folder of the run: --out DIR")
    return new_folder(file)


def prepared_table(
    file: str,
    target: str | None,
    task: str,
    kinds: Sequence[str],
    drop: Sequence[str],
    categories: str,
    seed: int,
) -> PreparedTable:
    """The table of a command, with its target: built-in tables have one of their own.

    Raises:
        SettingError: no target, or one that cannot be.
        FileError, ColumnError, DataError: a table that cannot be learned from.
    """
    from thalweg.tabular import open_table, prepare_table

    table = open_table(file)
    if target is None:
        target = default_target(file, table.names)
    wanted = cast("Any", task)
    return prepare_table(
        table,
        target,
        task=wanted,
        kinds=parse_kinds(kinds),
        drop=drop,
        categories=categories,
        seed=seed,
    )


def default_target(file: str, names: Sequence[str]) -> str:
    """The target of a built-in table.

    Raises:
        SettingError: another table; its columns are named.
    """
    from thalweg.data.builtin import BUILTIN_NAMES

    if file in BUILTIN_NAMES:
        return "target"
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    raise SettingError(f"name the column to predict with --target; {file} has {shown}")


def _check_place(place: Path, prepared: PreparedTable, *, overwrite: bool, resume: bool) -> None:
    if not overwrite:
        said = check_former(place, prepared.table.origin, prepared.target.name)
        if said and not resume:
            tell("note", said)
    checkpoint = next(iter(checkpoints(place)), place / CHECKPOINT)
    if resume and not checkpoint.exists():
        tell("note", f"{checkpoint} is not there, so that training starts from the beginning")
    if not resume and checkpoint.exists():
        tell("note", f"{checkpoint}, of an unfinished run, will be replaced; --resume uses it")


def _run(
    prepared: PreparedTable, settings: TableSettings, talk: Talk, place: Path, *, resume: bool
) -> TableRun:
    from thalweg.tabular import fit_prepared

    def fit(checkpoint: Path) -> TableRun:
        return fit_prepared(
            prepared,
            settings,
            checkpoint=checkpoint,
            checkpoint_every=CHECKPOINT_EVERY,
            resume=resume,
            progress=talk.display(),
        )

    return kept_run(place, fit, resume=resume)
