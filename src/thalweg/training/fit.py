"""``fit``: from a network and arrays to a trained model."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.compiler.threads import one_blas_thread
from thalweg.descriptions import Plain
from thalweg.errors import FileError, NonFiniteError, SettingError
from thalweg.graph import Graph
from thalweg.model.model import Model
from thalweg.nn.augmentation import Augmentation, as_augmentation
from thalweg.nn.front import takes_missing
from thalweg.nn.layer import Network, blueprint
from thalweg.nn.losses import Loss
from thalweg.nn.penalties import as_penalty
from thalweg.optim.averaging import as_averaging
from thalweg.optim.clipping import as_clipping
from thalweg.optim.lbfgs import LBFGS
from thalweg.optim.optimizers import Adam, Optimizer, as_optimizer
from thalweg.training.backends import check_backend, executor_of
from thalweg.training.beginning import frozen_patterns, whole_number
from thalweg.training.checkpoint import (
    fingerprint,
    is_described,
    load_checkpoint,
    program_digest,
    save_checkpoint,
)
from thalweg.training.executor import Executor
from thalweg.training.finishing import finisher
from thalweg.training.full_batch import FullBatch, gradient_norm
from thalweg.training.history import Callback, Display
from thalweg.training.job import Job
from thalweg.training.lbfgs import check_whole_batch
from thalweg.training.loop import Ended, Loop, Plan, Standing
from thalweg.training.nonfinite import explain, replay
from thalweg.training.problem import Problem, problem, rows_of_a_batch
from thalweg.training.recipe import Recipe, check_augmentation, check_schedules, initial_slots
from thalweg.training.result import TrainedRun, trained_run
from thalweg.training.step import State
from thalweg.training.stopping import (
    EarlyStopping,
    Stopping,
    as_rules,
    as_stopping,
    needs_gradient,
)
from thalweg.training.targets import TargetCode
from thalweg.training.validation import validator


def fit(
    network: Network,
    x: Any,
    y: Any,
    *,
    loss: str | Loss | Callable[..., Any] | None = None,
    optimizer: str | Optimizer = Adam(),
    batch_size: int | None = None,
    epochs: int = 20,
    validation: float | tuple[Any, ...] | None = None,
    early_stopping: int | bool | EarlyStopping | None = None,
    stop: Stopping | Sequence[Stopping] | str | None = None,
    clip: Any = None,
    penalty: Any = None,
    average: Any = None,
    augment: Any = None,
    accumulate: int = 1,
    frozen: str | Sequence[str] = (),
    start: Model | Mapping[str, Any] | None = None,
    statistics: str = "running",
    scale_targets: bool = False,
    sample_weight: Any = None,
    class_weight: str | Mapping[Any, float] | None = None,
    classes: Sequence[Any] | None = None,
    shuffle: bool = True,
    seed: int = 0,
    dtype: str = "float32",
    callbacks: Sequence[Callback] = (),
    progress: bool | Display | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1,
    checkpoint_every_updates: int = 0,
    resume: bool = False,
    backend: str = "native",
    threads: int | None = None,
) -> TrainedRun:
    """Train a network by mini-batch gradient descent.

    Each epoch shuffles the rows, splits them in batches of n (the last may be shorter) and updates
    the parameters with the gradient of each batch's mean loss. The whole step is one graph.

    Args:
        network: a layer such as ``Sequential``, or a function ``(x, scope) -> Tensor``.
        x: inputs, (N, …), numbers; NaN only where the network begins with :class:`Impute`. Scale
            them with a first layer such as :class:`Standardise`, which learns from the training
            rows, or use ``fit_table``.
        y: targets: labels (N,) of any type, probabilities (N, K), or numbers (N,) or (N, outputs).
        loss: ``cross_entropy``, ``binary_cross_entropy``, ``squared_error``, ``absolute_error``, a
            loss, or a function ``(outputs, targets) -> loss of each row``. By default cross
            entropy for labels, squared error for numbers.
        optimizer: an optimiser such as ``Adam(1e-3)``, or a name.
        batch_size: rows of a batch, 1 … N; by default 128, or N where there are fewer rows.
        epochs: passes over the rows, ≥ 1.
        validation: None trains on every row; a share between 0 and 1 is split off (stratified for
            labels); a pair ``(x, y)`` is your own, or ``(x, y, weights)``.
        early_stopping: patience in epochs, True (10) or a rule; the best weights are restored.
            Without it the model has the last epoch's weights.
        stop: other rules that end the run after an epoch: :class:`SmallChange` of the loss,
            :class:`SmallGradient`, or several.
        clip: bound of the gradient's global norm, or a clipping.
        penalty: on the weights, added to the loss (``L1``, ``L2``, …), or a number as the factor of
            :class:`L2`. The history's losses are without it.
        average: of the weights (``EMA``, ``SWA``), or a number as the decay of an :class:`EMA`. The
            averages are what is validated, kept by early stopping, shown to callbacks and left in
            the model; batch normalisation then has the exact statistics of all training rows.
        augment: what changes training batches at random with their targets (``Mixup``).
        accumulate: batches whose gradients make one update, as if they were one batch; the last
            batches of an epoch may be fewer.
        frozen: parameters and layers that stay as they are, by path or pattern: ``"0"`` is all of
            the first layer of a Sequential, ``"*.bias"`` every bias. Frozen layers, and those all
            of whose parameters are frozen, act as in use: they draw no random numbers and use
            their running statistics.
        start: a trained model, or arrays by path, to start from; parameters that it lacks start as
            usual. To replace a layer, choose what is kept: ``start=model.weights("0", "2")``.
        statistics: what batch normalisation uses afterwards: ``running`` averages, or ``exact``
            statistics of all training rows, computed at the end.
        scale_targets: train on numeric targets of mean 0 and deviation 1 over the training rows;
            losses are in that unit, and the model predicts in the targets' own.
        sample_weight: (N,) weights ≥ 0 of the rows in the loss.
        class_weight: weight of each class in the training loss by label (others 1), or
            ``balanced``: N / (K · rows of the class), so that all classes count alike.
        classes: the labels in the order of the outputs, where y may lack some.
        shuffle: take the rows in a new random order in each epoch.
        seed: of the starting weights, the shuffling, the split and dropout.
        dtype: ``float32`` or ``float64``.
        callbacks: called with each finished :class:`Epoch`; returning True stops.
        progress: True or None shows progress when in a terminal, False is silent.
        checkpoint: a file kept up to date, to resume from.
        checkpoint_every: epochs between checkpoints.
        checkpoint_every_updates: updates between checkpoints, 0 for epochs only.
        resume: go on from the checkpoint where the file exists; the result is bit for bit that
            of a run that was never stopped.
        backend: ``native`` (machine code) or ``interpreter`` (NumPy, step by step).
        threads: the most that the native backend uses; by default it tries one and all cores, and
            keeps what is faster. Results do not depend on it.

    Returns:
        The run: model, history, timing, and why it ended. After Ctrl-C too.

    Raises:
        SettingError: a setting outside its range.
        DataError, ShapeError: data that does not fit.
        NonFiniteError: the loss, a gradient or a parameter became NaN or infinite; the error's
            ``run`` holds the model as it was before that update.

    >>> import numpy as np, thalweg as tw
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> run = tw.fit(tw.Sequential(tw.Linear(1)), x, 3 * x[:, 0], epochs=200, optimizer="sgd")
    >>> bool(run.history["train_loss"][-1] < run.history["train_loss"][0])
    True
    """
    _check_call(epochs, backend, checkpoint_every, checkpoint_every_updates, resume, checkpoint)
    most = None if threads is None else whole_number("threads", threads, 1)
    given = problem(
        network, x, y, loss=loss, classes=classes, sample_weight=sample_weight,
        class_weight=class_weight, validation=validation, scale_targets=scale_targets,
        start=start, seed=seed, dtype=dtype,
    )  # fmt: skip
    recipe = _recipe(
        network, given, optimizer=optimizer, clip=clip, penalty=penalty, average=average,
        augment=augment, accumulate=accumulate, frozen=frozen,
    )  # fmt: skip
    if isinstance(recipe.optimizer, LBFGS):
        batch_size, shuffle = check_whole_batch(recipe, batch_size, len(given.rows)), False
    size = rows_of_a_batch(batch_size, len(given.rows))
    job = Job(recipe, given.rows, epochs, size, seed, shuffle, given.held_out, most)
    check_schedules(recipe, job.total_steps, job.steps_per_epoch)
    plan = _plan(
        job, given, backend, early_stopping=early_stopping, callbacks=callbacks, stop=stop,
        progress=progress, statistics=statistics, every=checkpoint_every,
        every_updates=checkpoint_every_updates,
    )  # fmt: skip
    plan, standing = _beginning(plan, given, checkpoint, resume)
    return _train(plan, executor_of(job, backend), standing, given)


def _check_missing(augmentation: Augmentation, network: Network, x: Any) -> None:
    """Refuse to mix rows that lack values: what is mixed with NaN is NaN."""
    if takes_missing(network) and np.isnan(x[:]).any():
        raise SettingError(
            f"augment = {augmentation} mixes rows before missing values are filled, so a row mixed "
            "with one that lacks a value lacks it too; leave augment out, or fill the values in x"
        )


def _recipe(network: Network, given: Problem, **chosen: Any) -> Recipe:
    """What the step is made of, from :func:`fit`'s arguments."""
    augmentation = as_augmentation(chosen["augment"])
    check_augmentation(augmentation, blueprint(network, given.input_shape, given.dtype))
    if augmentation is not None and augmentation.changes_targets:
        _check_missing(augmentation, network, given.rows.x)
    return Recipe(
        network,
        given.code.loss,
        as_optimizer(chosen["optimizer"]),
        as_clipping(chosen["clip"]),
        as_penalty(chosen["penalty"]),
        as_averaging(chosen["average"]),
        augmentation,
        whole_number("accumulate", chosen["accumulate"], 1),
        frozen_patterns(chosen["frozen"], given.parameters),
    )


def _plan(job: Job, given: Problem, backend: str, **chosen: Any) -> Plan:
    """What happens around the steps, from :func:`fit`'s arguments."""
    rules = as_rules(chosen["stop"])
    return Plan(
        job,
        None if given.held_out is None else validator(given.code, given.held_out),
        as_stopping(chosen["early_stopping"]),
        tuple(chosen["callbacks"]),
        _display(chosen["progress"]),
        save_every=chosen["every"],
        save_every_updates=chosen["every_updates"],
        identity={"dtype": given.dtype.name, "start": given.digest},
        finish=finisher(chosen["statistics"], job.recipe, given.rows),
        rules=rules,
        gradient=gradient_norm(job, backend, given.parameters, given.states)
        if needs_gradient(rules)
        else None,
    )


def _check_call(
    epochs: Any,
    backend: str,
    every: Any,
    every_updates: Any,
    resume: bool,
    checkpoint: Any,
) -> None:
    whole_number("epochs", epochs, 1)
    whole_number("checkpoint_every", every, 1)
    whole_number("checkpoint_every_updates", every_updates, 0)
    if resume and checkpoint is None:
        raise SettingError("resume=True needs the checkpoint's path: checkpoint=...")
    check_backend(backend)


def _display(progress: bool | Display | None) -> Display:
    if isinstance(progress, Display):
        return progress
    if progress is False:
        return Display()
    from thalweg.training.display import terminal_display

    return terminal_display(always=progress is True)


def _beginning(
    plan: Plan, given: Problem, checkpoint: str | os.PathLike[str] | None, resume: bool
) -> tuple[Plan, Standing]:
    """Where the run begins, and the plan with its checkpoint, if any."""
    job = plan.job
    slots = initial_slots(job.recipe, given.parameters)
    start = State(given.parameters, slots, given.states, 0)
    if checkpoint is None:
        return plan, Standing(start)
    path = Path(checkpoint)
    if not path.parent.is_dir():
        raise FileError(f"checkpoint {path}: the folder {path.parent} does not exist; make it")
    marks = {**fingerprint(plan), "classes": _labels(given.code)}
    if not (is_described(job.recipe.network) and is_described(job.recipe.loss)):
        marks["program"] = program_digest(_program(job, start))
    plan = replace(plan, save=partial(save_checkpoint, path, marks))
    found = load_checkpoint(path, marks, start) if resume else None
    return plan, found or Standing(start)


def _program(job: Job, start: State) -> Graph:
    """What a step computes, as traced."""
    if not job.recipe.optimizer.whole_batch:
        return job.graph(start, job.batch_size).traced
    risk = FullBatch(job)
    return risk.graph(start.parameters, start.states, next(risk.batches(start.states)))


def _labels(code: TargetCode) -> Plain:
    return None if code.classes is None else list(code.classes)


def _train(plan: Plan, executor: Executor, standing: Standing, given: Problem) -> TrainedRun:
    loop = Loop(plan, executor, standing)

    def result(ended: Ended) -> TrainedRun:
        return trained_run(plan, ended, given.code, given.input_shape, loop.compile_seconds)

    with one_blas_thread():  # results must not depend on the number of threads
        try:
            ended = loop.run()
        except FileError as error:
            error.run = result(Ended(loop.standing(), "checkpoint"))
            raise
        if ended.reason == "non-finite":
            raise _failure(plan.job, ended, result(ended))
    return result(ended)


def _failure(job: Job, ended: Ended, run: TrainedRun) -> NonFiniteError:
    state = ended.standing.state
    whole = job.recipe.optimizer.whole_batch
    error = NonFiniteError(explain(replay(job, state), state.step + 1, whole))
    error.run = run
    return error
