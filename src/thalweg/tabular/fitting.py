"""``fit_table``: from a table to a trained and tested network."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from numpy.typing import NDArray

from thalweg.data.metrics import Metrics
from thalweg.data.relations import Task
from thalweg.data.targets import ClassTarget, NumberTarget
from thalweg.descriptions import Description, Plain, to_plain
from thalweg.errors import NonFiniteError, SettingError, ShapeError
from thalweg.model import Model
from thalweg.nn.initialisers import Initialiser
from thalweg.nn.layer import Layer, blueprint
from thalweg.nn.losses import Loss
from thalweg.optim.optimizers import Optimizer
from thalweg.optim.schedules import Schedule
from thalweg.tabular.ensembles import Learned, joined, learn, of_table, scores_of
from thalweg.tabular.judging import judge, judge_baselines
from thalweg.tabular.preparing import FRACTIONS, PreparedTable, prepare_table
from thalweg.tabular.run import TableRun
from thalweg.tabular.settings import TableSettings
from thalweg.tabular.vectors import with_vectors
from thalweg.training.ensemble_run import EnsembleRun
from thalweg.training.history import Callback, Display
from thalweg.training.stopping import EarlyStopping, Stopping, as_stopping


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
    learning_rate: float | str | Schedule | None = None,
    optimizer: str | Optimizer = TableSettings.optimizer,
    early_stopping: int | bool | EarlyStopping | None = TableSettings.early_stopping,
    stop: str | Stopping | None = None,
    clip: Any = None,
    initialiser: str | Initialiser | None = None,
    normalise: str | Layer | None = None,
    network: str | Layer | None = None,
    loss: str | Loss | None = None,
    penalty: Any = None,
    class_weight: str | Mapping[Any, float] | None = None,
    average: Any = None,
    augment: Any = None,
    accumulate: int = 1,
    statistics: str = TableSettings.statistics,
    members: int | None = None,
    ensemble: str | None = None,
    categories: str = "one_hot",
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
    validation loss no longer falls; the test rows give the results. Wherever a description is
    taken, its text is too, as in ``optimizer="adam(0.01, beta2=0.99)"``.

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
        stop: a rule beside it that ends training, such as ``"small_change(0.001)"``.
        clip: bound of the gradient's norm, or a clipping.
        initialiser: of the hidden layers' weights; None is what the activation prefers.
        normalise: a normalisation behind each hidden Linear (``"batch_norm"``, ``"layer_norm"``,
            …), or around it (``"weight_norm"``, ``"spectral_norm"``); or a layer, which stands
            behind it.
        network: a whole network, output layer and all, in place of what is built from hidden,
            activation, initialiser, normalise and dropout.
        loss: None is cross entropy for classes and squared error for numbers.
        penalty: on the weights, or the factor of an L2 penalty, 0 for none; None chooses one.
        class_weight: ``"balanced"``, or weights by class, 1 for those that are not named.
        average: of the weights (``"ema"``, ``"swa"``), or the decay of an exponential moving one.
        augment: a random change of training batches, such as ``"mixup"``.
        accumulate: batches whose gradients make one update.
        statistics: what batch normalisation uses afterwards: ``running`` averages, or ``exact``
            statistics of all training rows.
        members: networks to train and combine; None: 5 where an ensemble is chosen, else one.
        ensemble: ``mean`` of networks with seeds of their own, their ``vote`` on classes,
            ``bagging`` on samples of the rows, or ``snapshots`` of one run with warm restarts.
        categories: how they reach the network: ``one_hot``, an input for each; or ``embedding``, a
            vector for each that is learned, of √categories numbers.
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
        hidden=tuple(hidden), activation=activation, dropout=dropout, epochs=epochs,
        batch_size=batch_size, learning_rate=learning_rate, optimizer=optimizer,
        early_stopping=early_stopping, clip=clip, seed=seed, initialiser=initialiser,
        normalise=normalise, structure=network, loss=loss, penalty=penalty,
        class_weight=class_weight, average=average, augment=augment, accumulate=accumulate,
        statistics=statistics, stop=stop, members=members, ensemble=ensemble,
    )  # fmt: skip
    settings.check()
    prepared = prepare_table(
        source, target, task=task, kinds=kinds, drop=drop, categories=categories,
        fractions=fractions, seed=seed,
    )  # fmt: skip
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
    train = prepared.split.train
    x, y = prepared.x, table_targets(prepared, settings)
    network = table_network(prepared, settings)
    options = {
        **fit_options(prepared, settings),
        "callbacks": callbacks,
        "progress": progress,
        "checkpoint": checkpoint,
        "checkpoint_every": checkpoint_every,
        "resume": resume,
    }
    try:
        learned = learn(network, x[train], y[train], settings, options)
    except NonFiniteError as error:
        if error.run is not None:
            failed = joined(error.run) if isinstance(error.run, EnsembleRun) else Learned(error.run)
            error.run = without_results(failed, prepared, settings)
        raise
    return with_results(learned, prepared, settings)


def with_results(learned: Learned, prepared: PreparedTable, settings: TableSettings) -> TableRun:
    """What was trained on a prepared table, with its results on the test rows beside baselines.

    Raises:
        NonFiniteError: the predictions are NaN or infinite.
    """
    model = named_model(learned.run.model, prepared, settings)
    test, baselines = judge(model, prepared), judge_baselines(prepared)
    return _table_run(learned, prepared, settings, test, baselines)


def without_results(learned: Learned, prepared: PreparedTable, settings: TableSettings) -> TableRun:
    """What was trained on a prepared table, without a look at the test rows."""
    return _table_run(learned, prepared, settings, {}, {})


def fit_options(prepared: PreparedTable, settings: TableSettings) -> dict[str, Any]:
    """How the network of a prepared table is trained, as ``fit`` takes it."""
    train, validation, _ = prepared.split
    x, y = prepared.x, table_targets(prepared, settings)
    return {
        "loss": settings.objective(prepared.task),
        "classes": range(prepared.outputs) if prepared.task == "classification" else None,
        "class_weight": class_weights(prepared, settings),
        "optimizer": settings.rule(len(train)),
        "batch_size": settings.batch(len(train)),
        "epochs": settings.epochs,
        "validation": (x[validation], y[validation]) if len(validation) else None,
        "early_stopping": settings.early_stopping,
        "stop": settings.stop,
        "clip": settings.clip,
        "penalty": settings.weight_penalty(prepared.task),
        "average": settings.average,
        "augment": settings.augment,
        "accumulate": settings.accumulate,
        "statistics": settings.statistics,
        "seed": settings.seed,
    }


def table_network(prepared: PreparedTable, settings: TableSettings) -> Layer:
    """The network for a table.

    Raises:
        SettingError: a layer that does not take its input, or another number of outputs.
    """
    outputs = settings.outputs(prepared.task, prepared.outputs)
    network = settings.network(outputs, len(prepared.split.train))
    network = with_vectors(network, prepared.encoder)
    try:
        found = blueprint(network, prepared.x.shape[1:]).output_shape
    except ShapeError as error:
        raise SettingError(f"the network does not fit the table: {error}") from error
    if found != (outputs,):
        raise SettingError(
            f"the network has outputs of shape {found}, the target {prepared.target.name!r} "
            f"needs ({outputs},): end the network with linear({outputs})"
        )
    return network


def class_weights(
    prepared: PreparedTable, settings: TableSettings
) -> str | dict[int, float] | None:
    """The weights of classes as ``fit`` takes them, by the classes' numbers.

    Raises:
        SettingError: no classes, or one that the target does not have.
    """
    given = settings.class_weight
    if given is None or isinstance(given, str):
        return given
    target = prepared.target
    if not isinstance(target, ClassTarget):
        raise SettingError(f"class_weight is for classes, but {target.name!r} holds numbers")
    places = {str(label): place for place, label in enumerate(target.classes)}
    for label in given:
        if str(label) not in places:
            raise SettingError(
                f"class_weight names {label!r}; the target {target.name!r} has "
                f"{', '.join(map(str, target.classes[:20]))}"
            )
    return {places[str(label)]: weight for label, weight in given.items()}


def _keeps_unit(prepared: PreparedTable, settings: TableSettings) -> bool:
    """Whether the loss takes numbers as they are, such as counts."""
    return not settings.objective(prepared.task).standardised


def table_targets(prepared: PreparedTable, settings: TableSettings) -> NDArray[Any]:
    """The targets of all rows as the loss takes them."""
    return prepared.values if _keeps_unit(prepared, settings) else prepared.y


def named_model(model: Model, prepared: PreparedTable, settings: TableSettings) -> Model:
    """The model with the table's columns and classes."""
    target = prepared.target
    classes = target.classes if isinstance(target, ClassTarget) else None
    if isinstance(target, NumberTarget) and _keeps_unit(prepared, settings):
        target = dataclasses.replace(target, mean=0.0, scale=1.0)
    return dataclasses.replace(model, encoder=prepared.encoder, target=target, classes=classes)


def _table_run(
    learned: Learned,
    prepared: PreparedTable,
    settings: TableSettings,
    test: Metrics,
    baselines: Mapping[str, Metrics],
) -> TableRun:
    run, ensemble = learned
    model = named_model(run.model, prepared, settings)
    record = {**run.model.record, **_record(prepared, settings, test, baselines)}
    if ensemble is not None:
        ensemble = of_table(ensemble, prepared, lambda one: named_model(one, prepared, settings))
        record |= {"seed": settings.seed, "stop_reason": run.stop_reason}
        record |= {"epochs": len(run.history.rows), "scores": scores_of(ensemble)}
    return TableRun(
        dataclasses.replace(model, record=record),
        run.history,
        run.timing,
        prepared,
        test,
        baselines,
        run.stop_reason,
        run.best_epoch,
        ensemble,
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
        "dropout": settings.dropout_rate(train) if settings.has_hidden_layers else None,
        "class_weight": _plain_weights(settings.class_weight),
        "statistics": settings.statistics,
        "early_stopping": _plain(as_stopping(settings.early_stopping)),
        "stop": _plain(settings.stop),
        "test": _finite(test),
        "baselines": {name: _finite(metrics) for name, metrics in baselines.items()},
    }


def _plain(rule: Any) -> Plain:
    return to_plain(rule) if isinstance(rule, Description) else None


def _plain_weights(given: str | Mapping[Any, float] | None) -> Plain:
    if given is None or isinstance(given, str):
        return given
    return {str(label): float(weight) for label, weight in given.items()}


def _finite(metrics: Metrics) -> dict[str, Plain]:
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
