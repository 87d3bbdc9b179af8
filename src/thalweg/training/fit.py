"""``fit``: from a network and arrays to a trained model."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack, overload

from thalweg.compiler.threads import one_blas_thread
from thalweg.errors import FileError, SettingError
from thalweg.model.model import Model
from thalweg.nn.layer import Network
from thalweg.nn.losses import Loss
from thalweg.optim.optimizers import Adam, Optimizer
from thalweg.training.arguments import Arguments, Options
from thalweg.training.backends import executor_of
from thalweg.training.failure import Failure
from thalweg.training.history import Callback, Display
from thalweg.training.loop import Ended, Loop
from thalweg.training.population.result import Population
from thalweg.training.population.training import train_population
from thalweg.training.preparing import Prepared, prepared
from thalweg.training.result import TrainedRun, trained_run
from thalweg.training.stopping import (
    EarlyStopping,
    Stopping,
)

if TYPE_CHECKING:
    from concurrent.futures import Executor


@overload
def fit(
    network: Network,
    x: Any,
    y: Any,
    *,
    members: int,
    executor: Executor | None = None,
    **options: Unpack[Options],
) -> Population: ...


@overload
def fit(
    network: Network, x: Any, y: Any, *, members: None = None, **options: Unpack[Options]
) -> TrainedRun: ...


def fit(
    network: Any,
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
    rows: Any = None,
    shuffle: bool = True,
    seed: Any = 0,
    dtype: str = "float32",
    callbacks: Sequence[Callback] = (),
    progress: bool | Display | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1,
    checkpoint_every_updates: int = 0,
    resume: bool = False,
    backend: str = "native",
    threads: int | None = None,
    members: int | None = None,
    executor: Executor | None = None,
) -> TrainedRun | Population:
    """Train a network by mini-batch gradient descent, or many networks at once.

    Each epoch shuffles the rows, splits them in batches of n (the last may be shorter) and updates
    the parameters with the gradient of each batch's mean loss. The whole step is one graph.

    With ``members=K``, K networks are trained at once, as many at a time as there are cores. A
    number is then shared by all of them; an array of K numbers is one for each, in any numeric
    setting: ``optimizer=Adam(np.geomspace(1e-4, 1e-1, K))``, ``Dropout(np.linspace(0, 0.5, K))``,
    ``batch_size``, ``epochs``, ``seed`` and so on; ``sample_weight`` (K, N) and ``rows`` of K
    arrays too. :class:`PerMember` gives each member a value of any other kind: networks,
    optimisers, labels. Where nothing varies, the members' seeds are seed … seed + K - 1. Member k
    is bit for bit the network that its own settings give alone; a member whose values are no
    longer finite stops alone.

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
        rows: the rows of x and y to work with, by number or as a truth value for each row; they
            are left where they are. None for all.
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
            keeps what is faster; of a population the members that are trained at a time. Results
            do not depend on it.
        members: K, how many networks to train; None for one, which gives a run of its own. Their
            callbacks are called from several threads, one at a time for each member.
        executor: of ``concurrent.futures``, whose tasks train the members: processes, or other
            machines. Each task takes some members, with the data; what comes back is bit for bit
            what this process would give. Functions among the arguments must be ones that workers
            can import.

    Returns:
        The run: model, history, timing, and why it ended. With members a :class:`Population`:
        history (K, epochs), models, failures, the best. After Ctrl-C too.

    Raises:
        SettingError: a setting outside its range.
        DataError, ShapeError: data that does not fit.
        NonFiniteError: the loss, a gradient or a parameter became NaN or infinite; the error's
            ``run`` holds the model as it was before that update.
        WorkerError: a worker of the executor ended; ``run`` holds the members that are done.

    >>> import numpy as np, thalweg as tw
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> run = tw.fit(tw.Sequential(tw.Linear(1)), x, 3 * x[:, 0], epochs=200, optimizer="sgd")
    >>> bool(run.history["train_loss"][-1] < run.history["train_loss"][0])
    True
    >>> rates = np.array([0.01, 0.1, 0.03])
    >>> many = tw.fit(tw.Linear(1), x, 3 * x[:, 0], members=3, optimizer=tw.SGD(rates))
    >>> many.history["train_loss"].shape, many.best("train_loss").number
    ((3, 20), 1)
    """
    arguments = Arguments(
        network, x, y, loss=loss, optimizer=optimizer, batch_size=batch_size, epochs=epochs,
        validation=validation, early_stopping=early_stopping, stop=stop, clip=clip,
        penalty=penalty, average=average, augment=augment, accumulate=accumulate, frozen=frozen,
        start=start, statistics=statistics, scale_targets=scale_targets,
        sample_weight=sample_weight, class_weight=class_weight, classes=classes, rows=rows,
        shuffle=shuffle, seed=seed, dtype=dtype, callbacks=callbacks, checkpoint=checkpoint,
        checkpoint_every=checkpoint_every, checkpoint_every_updates=checkpoint_every_updates,
        resume=resume, backend=backend, threads=threads,
    )  # fmt: skip
    if members is not None:
        return train_population(arguments, members, _display(progress), executor=executor)
    if executor is not None:
        raise SettingError("executor is for the members of a population: members=K")
    return _train(prepared(arguments, display=_display(progress)))


def _display(progress: bool | Display | None) -> Display:
    if isinstance(progress, Display):
        return progress
    if progress is False:
        return Display()
    from thalweg.training.display import terminal_display

    return terminal_display(always=progress is True)


def _train(run: Prepared) -> TrainedRun:
    plan, given = run.plan, run.given
    loop = Loop(plan, executor_of(plan.job, run.backend), run.standing)

    def result(ended: Ended) -> TrainedRun:
        return trained_run(plan, ended, given.code, given.input_shape, loop.compile_seconds)

    with one_blas_thread():  # results must not depend on the number of threads
        try:
            ended = loop.run()
        except FileError as error:
            error.run = result(Ended(loop.standing(), "checkpoint"))
            raise
        if ended.reason == "non-finite":
            error = Failure(plan.job, ended.standing.state).error()
            error.run = result(ended)
            raise error
    return result(ended)
