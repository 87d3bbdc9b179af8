"""``fit_table``: from a table to a trained and tested network."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from thalweg.data.metrics import Metrics
from thalweg.data.relations import Task
from thalweg.data.targets import ClassTarget
from thalweg.descriptions import Plain
from thalweg.errors import NonFiniteError
from thalweg.model import Model
from thalweg.nn.layer import Layer
from thalweg.optim.optimizers import Optimizer
from thalweg.optim.schedules import Schedule
from thalweg.tabular.judging import judge, judge_baselines
from thalweg.tabular.preparing import FRACTIONS, PreparedTable, prepare_table
from thalweg.tabular.run import TableRun
from thalweg.tabular.settings import TableSettings
from thalweg.training.fit import TrainedRun, fit
from thalweg.training.history import Callback, Display
from thalweg.training.stopping import EarlyStopping


def fit_table(
    source: Any,
    target: str,
    *,
    task: Literal["auto"] | Task = "auto",
    kinds: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    hidden: Sequence[int] = TableSettings.hidden,
    activation: str | Layer = TableSettings.activation,
    dropout: float | None = None,
    epochs: int = TableSettings.epochs,
    batch_size: int | None = None,
    learning_rate: float | Schedule | None = None,
    optimizer: str | Optimizer = TableSettings.optimizer,
    early_stopping: int | bool | EarlyStopping | None = TableSettings.early_stopping,
    clip: Any = None,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1,
    resume: bool = False,
    progress: bool | Display | None = None,
    callbacks: Sequence[Callback] = (),
) -> TableRun:
    """Train a network to predict one column of a table from the others.

    The table is read and typed, rows without a target are left out, the others are split
    (stratified by class); the encoding is learned from the training rows; training stops when the
    validation loss no longer falls; the test rows give the results.

    Args:
        source: a path (CSV, TSV, Parquet), a built-in name (``iris``, ``digits``, ``wine``,
            ``breast_cancer``, ``diabetes``), a pandas, polars or pyarrow frame, a dict of columns.
        target: the column to predict.
        task: ``classification``, ``regression``, or ``auto`` by the target's values.
        kinds: kinds of columns that overrule what is inferred, as in ``{"zip": "category"}``.
        drop: columns to leave out, such as one that is known only after the target.
        hidden: units of each hidden layer.
        activation: name or layer that follows each hidden layer.
        dropout: share of hidden units left out while training, in [0, 1); None chooses 0.2, and
            0.1 for large tables.
        epochs: passes over the training rows at most.
        batch_size: rows of a batch; None chooses by the number of training rows.
        learning_rate: number or schedule; None chooses a cosine that suits the batches.
        optimizer: name or optimiser.
        early_stopping: patience in epochs, a rule, or None.
        clip: bound of the gradient's norm, or a clipping.
        fractions: shares of training, validation and test rows; they add up to 1.
        seed: of the split, the starting weights, the shuffling and dropout.
        checkpoint: a file kept up to date, to resume from.
        checkpoint_every: epochs between checkpoints.
        resume: go on from the checkpoint where the file exists.
        progress: True or None shows progress when in a terminal, False is silent.
        callbacks: called with each finished :class:`Epoch`; returning True stops.

    Returns:
        Model, history, notes, and the results on the test rows beside baselines.

    Raises:
        SettingError: a setting outside its range.
        FileError, ColumnError, DataError: a file, column or table that cannot be learned from.
        NonFiniteError: training met NaN or infinity.

    >>> run = fit_table("diabetes", "target", epochs=30, progress=False)
    >>> run.prepared.task, sorted(run.test), list(run.baselines)
    ('regression', ['mae', 'r2', 'rmse'], ['mean', 'linear model'])
    """
    settings = TableSettings(
        tuple(hidden),
        activation,
        dropout,
        epochs,
        batch_size,
        learning_rate,
        optimizer,
        early_stopping,
        clip,
        seed,
    )
    settings.check()
    prepared = prepare_table(source, target, task=task, kinds=kinds, fractions=fractions, seed=seed)
    return fit_prepared(
        prepared,
        settings,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        resume=resume,
        progress=progress,
        callbacks=callbacks,
    )


def fit_prepared(
    prepared: PreparedTable,
    settings: TableSettings = TableSettings(),
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1,
    resume: bool = False,
    progress: bool | Display | None = None,
    callbacks: Sequence[Callback] = (),
) -> TableRun:
    """Train on a table that :func:`prepare_table` gave; see :func:`fit_table`."""
    train, validation, _ = prepared.split
    x, y = prepared.x, prepared.y
    try:
        run = fit(
            settings.network(prepared.outputs, len(train)),
            x[train],
            y[train],
            loss="cross_entropy" if prepared.task == "classification" else "squared_error",
            optimizer=settings.rule(len(train)),
            batch_size=settings.batch(len(train)),
            epochs=settings.epochs,
            validation=(x[validation], y[validation]) if len(validation) else None,
            early_stopping=settings.early_stopping,
            clip=settings.clip,
            seed=settings.seed,
            callbacks=callbacks,
            progress=progress,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            resume=resume,
        )
    except NonFiniteError as error:
        if error.run is not None:
            error.run = _table_run(error.run, prepared, settings, {}, {})
        raise
    model = _named(run.model, prepared)
    return _table_run(run, prepared, settings, judge(model, prepared), judge_baselines(prepared))


def _named(model: Model, prepared: PreparedTable) -> Model:
    """The model with the table's columns and classes."""
    target = prepared.target
    classes = target.classes if isinstance(target, ClassTarget) else None
    return dataclasses.replace(model, encoder=prepared.encoder, target=target, classes=classes)


def _table_run(
    run: TrainedRun,
    prepared: PreparedTable,
    settings: TableSettings,
    test: Metrics,
    baselines: Mapping[str, Metrics],
) -> TableRun:
    record = {**run.model.record, **_record(prepared, settings, test, baselines)}
    return TableRun(
        dataclasses.replace(_named(run.model, prepared), record=record),
        run.history,
        run.timing,
        prepared,
        test,
        baselines,
        run.stop_reason,
        run.best_epoch,
    )


def _record(
    prepared: PreparedTable,
    settings: TableSettings,
    test: Metrics,
    baselines: Mapping[str, Metrics],
) -> dict[str, Plain]:
    train, validation, held_out = (len(rows) for rows in prepared.split)
    return {
        "table": prepared.table.origin,
        "task": prepared.task,
        "split": {"train": train, "validation": validation, "test": held_out},
        "dropout": settings.dropout_rate(train),
        "test": _finite(test),
        "baselines": {name: _finite(metrics) for name, metrics in baselines.items()},
    }


def _finite(metrics: Metrics) -> dict[str, Plain]:
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
