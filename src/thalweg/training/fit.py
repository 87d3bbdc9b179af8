"""``fit``: from a network and arrays to a trained model."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from thalweg.compiler.threads import one_blas_thread
from thalweg.data.splits import split_rows
from thalweg.descriptions import Plain, to_plain
from thalweg.errors import (
    DataError,
    DescriptionError,
    FileError,
    NonFiniteError,
    SettingError,
    ShapeError,
)
from thalweg.graph import Array, Shape, as_dtype, constant
from thalweg.model import Forward, Model
from thalweg.model.model import numeric_rows
from thalweg.nn.layer import Network, blueprint, initial_states, initialise
from thalweg.nn.losses import Loss
from thalweg.optim.clipping import as_clipping
from thalweg.optim.optimizers import Adam, Optimizer, as_optimizer
from thalweg.training.checkpoint import (
    data_digest,
    fingerprint,
    is_described,
    load_checkpoint,
    program_digest,
    save_checkpoint,
)
from thalweg.training.executor import InterpreterExecutor, Rows
from thalweg.training.history import Callback, Display, History, Timing
from thalweg.training.loop import Ended, Loop, Plan, Standing
from thalweg.training.nonfinite import explain, find_origin
from thalweg.training.step import Recipe, State, initial_slots
from thalweg.training.stopping import EarlyStopping, as_stopping
from thalweg.training.targets import TargetCode, fit_targets

BACKENDS = ("interpreter",)
_DEFAULT_BATCH = 128
_LARGEST = 2**31
"""Parameters that a network may have: beyond, the machine's memory ends before training begins."""


@dataclass(frozen=True, eq=False, repr=False)
class TrainedRun:
    """What :func:`fit` gives.

    Attributes:
        model: predicts, is saved and loaded.
        history: numbers by epoch: ``train_loss``, ``learning_rate``, with validation rows
            ``validation_loss`` and for classes ``validation_accuracy``.
        timing: compile_seconds, seconds, updates, updates_per_second.
        stop_reason: ``epochs``, ``early stopping``, ``callback`` or ``interrupted``; in the run
            that an error holds ``non-finite``, or ``checkpoint`` where it could not be written.
        best_epoch: whose weights the model has, from 1; None where they are the last.
    """

    model: Model
    history: History
    timing: Timing
    stop_reason: str
    best_epoch: int | None

    def __repr__(self) -> str:
        last = {name: round(float(self.history[name][-1]), 6) for name in self.history}
        return (
            f"TrainedRun({len(self.history.rows)} epochs, {self.timing.updates} updates, ended by "
            f"{self.stop_reason}, best epoch {self.best_epoch}, last epoch {last})"
        )


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
    clip: Any = None,
    sample_weight: Any = None,
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
    backend: str = "interpreter",
) -> TrainedRun:
    """Train a network by mini-batch gradient descent.

    Each epoch shuffles the rows, splits them in batches of n (the last may be shorter) and updates
    the parameters with the gradient of each batch's mean loss. The whole step is one graph.

    Args:
        network: a layer such as ``Sequential``, or a function ``(x, scope) -> Tensor``.
        x: inputs, (N, …), numbers without NaN or infinity; scale them yourself, or use
            ``fit_table``.
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
        clip: bound of the gradient's global norm, or a clipping.
        sample_weight: (N,) weights ≥ 0 of the rows in the loss.
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
        backend: ``interpreter``.

    Returns:
        The run: model, history, timing, and why it ended. After Ctrl-C too.

    Raises:
        SettingError: a setting outside its range.
        DataError, ShapeError: data that does not fit.
        NonFiniteError: the loss, a gradient or a parameter became NaN or infinite; the error's
            ``run`` holds the model as it was before that update.

    >>> import thalweg as tw
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> run = tw.fit(tw.Sequential(tw.Linear(1)), x, 3 * x[:, 0], epochs=200, optimizer="sgd")
    >>> bool(run.history["train_loss"][-1] < run.history["train_loss"][0])
    True
    """
    kind = _float_dtype(dtype)
    inputs = numeric_rows(x)
    _check_call(
        epochs, seed, backend, checkpoint_every, checkpoint_every_updates, resume, checkpoint
    )
    targets = np.asarray(y)
    _check_rows(inputs, targets)
    shape = inputs.shape[1:]
    code, parameters, states = _prepare(network, shape, targets, loss, kind, classes, seed)
    weights = _weights(sample_weight, len(inputs), kind)
    whole = Rows(inputs, code.encode(targets), weights)
    rows, held_out = _split(whole, code, validation, shape, seed)
    recipe = Recipe(network, code.loss, as_optimizer(optimizer), as_clipping(clip))
    start = State(parameters, initial_slots(recipe.optimizer, parameters), states, 0)
    plan = Plan(
        recipe,
        rows,
        _validator(network, code, held_out),
        epochs,
        _batch_size(batch_size, len(rows)),
        seed,
        shuffle,
        as_stopping(early_stopping),
        tuple(callbacks),
        _display(progress),
        save_every=checkpoint_every,
        save_every_updates=checkpoint_every_updates,
        identity={
            "dtype": kind.name,
            "validation": None if held_out is None else data_digest(held_out),
        },
    )
    return _train(plan, start, code, shape, checkpoint, resume)


def _check_call(
    epochs: Any,
    seed: Any,
    backend: str,
    every: Any,
    every_updates: Any,
    resume: bool,
    checkpoint: Any,
) -> None:
    _whole_number("epochs", epochs, 1)
    _whole_number("seed", seed, 0)
    _whole_number("checkpoint_every", every, 1)
    _whole_number("checkpoint_every_updates", every_updates, 0)
    if resume and checkpoint is None:
        raise SettingError("resume=True needs the checkpoint's path: checkpoint=...")
    if backend not in BACKENDS:
        raise SettingError(f"backend {backend!r} is not one of {', '.join(BACKENDS)}")


def _check_rows(inputs: Array, targets: Array) -> None:
    rows = len(targets) if targets.ndim else 0
    if len(inputs) != rows:
        raise ShapeError(f"x has {len(inputs)} rows, y has {rows}")
    if not rows:
        raise DataError("x has no rows; there is nothing to learn from")


def _whole_number(name: str, value: Any, low: int, high: int = 2**63 - 1) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise SettingError(f"{name} must be a whole number, got {value!r}")
    if not low <= value <= high:
        limit = f"[{low}, {high}]" if high < 2**63 - 1 else f"at least {low}"
        raise SettingError(f"{name} = {value} is outside its range: {limit}")
    return int(value)


def _float_dtype(dtype: Any) -> np.dtype[Any]:
    kind = as_dtype(dtype)
    if kind.kind != "f":
        raise SettingError(f"dtype must be float32 or float64, got {kind.name}")
    return kind


def _batch_size(wanted: int | None, rows: int) -> int:
    if wanted is None:
        return min(_DEFAULT_BATCH, rows)
    size = _whole_number("batch_size", wanted, 1)
    if size > rows:
        raise SettingError(f"batch_size = {size} is beyond the {rows} training rows")
    return size


def _prepare(
    network: Network,
    shape: Shape,
    targets: Array,
    loss: Any,
    dtype: np.dtype[Any],
    classes: Sequence[Any] | None,
    seed: int,
) -> tuple[TargetCode, dict[str, Array], dict[str, Array]]:
    if not callable(network) and not hasattr(network, "forward"):
        raise SettingError(f"network must be a layer or a function (x, scope), got {network!r}")
    plan = blueprint(network, shape, dtype)
    total = sum(int(np.prod(item.shape, dtype=object)) for item in plan.parameters.values())
    if total > _LARGEST:
        raise SettingError(
            f"the network has {total:,} parameters, more than this version trains ({_LARGEST:,}); "
            "choose smaller layers"
        )
    if not plan.parameters:
        raise SettingError("the network has no parameters, so there is nothing to train")
    code = fit_targets(targets, loss, plan.output_shape, dtype, classes)
    return code, initialise(network, shape, seed, dtype), initial_states(plan, dtype)


def _weights(
    given: Any, count: int, dtype: np.dtype[Any], name: str = "sample_weight"
) -> Array | None:
    if given is None:
        return None
    weights = np.asarray(given, dtype=dtype)
    if weights.shape != (count,):
        raise ShapeError(f"{name} has shape {weights.shape}, expected ({count},)")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise DataError(f"{name} must be finite, nowhere negative, and somewhere positive")
    return weights


def _split(
    rows: Rows, code: TargetCode, validation: Any, shape: Shape, seed: int
) -> tuple[Rows, Rows | None]:
    if validation is None:
        return rows, None
    if isinstance(validation, (tuple, list)):
        return rows, _own_validation(cast("Sequence[Any]", validation), code, shape)
    if isinstance(validation, bool) or not isinstance(validation, (int, float, np.floating)):
        raise SettingError(f"validation must be None, a share or a pair (x, y), got {validation!r}")
    if not 0 < validation < 1:
        raise SettingError(f"validation = {validation!r} is outside (0, 1)")
    are_labels = code.classes is not None and rows.y.size == len(rows)
    labels = rows.y.reshape(len(rows)) if are_labels else None
    shares = (1 - float(validation), float(validation), 0.0)
    train, held_out, _ = split_rows(len(rows), shares, labels=labels, seed=seed % 2**32)
    return Rows(*rows.take(train)), Rows(*rows.take(held_out))


def _own_validation(given: Sequence[Any], code: TargetCode, shape: Shape) -> Rows:
    if len(given) not in {2, 3}:
        raise SettingError(f"validation takes (x, y) or (x, y, weights), got {len(given)} parts")
    x = numeric_rows(given[0], shape, "validation x")
    y = code.encode(given[1], "validation y")
    if len(x) != len(y) or not len(x):
        raise ShapeError(f"validation x has {len(x)} rows, y has {len(y)}; both need the same, ≥ 1")
    weights = None
    if len(given) == 3:
        weights = _weights(given[2], len(x), code.dtype, "validation weights")
    return Rows(x, y, weights)


def _validator(
    network: Network, code: TargetCode, rows: Rows | None
) -> Callable[[State], dict[str, float]] | None:
    if rows is None:
        return None
    forward = Forward(network)

    def validate(state: State) -> dict[str, float]:
        outputs = forward(state.parameters, state.states, rows.x)
        weights = None if rows.weights is None else constant(rows.weights)
        value = float(code.loss(constant(outputs), constant(rows.y), weights))
        values = {"validation_loss": value}
        if code.classes is not None:
            values["validation_accuracy"] = _accuracy(code, outputs, rows)
        return values

    return validate


def _accuracy(code: TargetCode, outputs: Array, rows: Rows) -> float:
    if code.loss.kind == "binary":
        right = (outputs > 0).reshape(-1) == (rows.y > 0.5).reshape(-1)
    else:
        truth = rows.y if rows.y.ndim == 1 else np.argmax(rows.y, axis=1)
        right = np.argmax(outputs, axis=1) == truth
    if rows.weights is not None and not rows.weights.any():
        return float("nan")
    return float(np.average(right, weights=rows.weights))


def _display(progress: bool | Display | None) -> Display:
    if isinstance(progress, Display):
        return progress
    if progress is False:
        return Display()
    from thalweg.training.display import terminal_display

    return terminal_display(always=progress is True)


def _train(
    plan: Plan,
    start: State,
    code: TargetCode,
    shape: Shape,
    checkpoint: str | os.PathLike[str] | None,
    resume: bool,
) -> TrainedRun:
    import dataclasses

    standing = Standing(start)
    executor = InterpreterExecutor(plan.recipe, plan.rows, plan.run)
    began = time.perf_counter()
    step, _ = executor.graph(start, plan.rows.take(np.arange(plan.batch_size)))
    compiled = time.perf_counter() - began
    if checkpoint is not None:
        _check_folder(checkpoint)
        marks = {**fingerprint(plan), "classes": _labels(code)}
        if not (is_described(plan.recipe.network) and is_described(plan.recipe.loss)):
            marks["program"] = program_digest(step.traced)
        plan = dataclasses.replace(plan, save=partial(save_checkpoint, checkpoint, marks))
        if resume:
            standing = load_checkpoint(checkpoint, marks, start) or standing
    loop = Loop(plan, executor, standing)
    with one_blas_thread():  # results must not depend on the number of threads
        try:
            ended = loop.run()
        except FileError as error:
            error.run = _result(plan, Ended(loop.standing, "checkpoint"), code, shape, compiled)
            raise
        run = _result(plan, ended, code, shape, compiled)
        if ended.failed is not None:
            raise _failure(plan, executor, ended, run)
    return run


def _check_folder(checkpoint: str | os.PathLike[str]) -> None:
    folder = Path(checkpoint).parent
    if not folder.is_dir():
        raise FileError(f"checkpoint {checkpoint}: the folder {folder} does not exist; make it")


def _labels(code: TargetCode) -> Plain:
    return None if code.classes is None else list(code.classes)


def _result(
    plan: Plan, ended: Ended, code: TargetCode, shape: Shape, compiled: float
) -> TrainedRun:
    standing = ended.standing
    state, best = standing.state, standing.best
    restore = plan.stopping is not None and plan.stopping.restore_best and best.epoch > 0
    parameters, states = state.parameters, state.states
    if restore and best.parameters is not None:
        parameters, states = best.parameters, best.states or {}
    record = _record(plan, ended, best.epoch if restore else None)
    model = Model(
        plan.recipe.network,
        parameters,
        states,
        shape,
        code.loss,
        code.classes,
        code.single,
        record=record,
    )
    timing = Timing(compiled, standing.seconds, state.step)
    best_epoch = best.epoch if restore else None
    return TrainedRun(model, standing.history, timing, ended.reason, best_epoch)


def _record(plan: Plan, ended: Ended, best_epoch: int | None) -> dict[str, Plain]:
    standing = ended.standing
    history: dict[str, Plain] = {
        name: [float(value) if np.isfinite(value) else None for value in standing.history[name]]
        for name in standing.history
    }
    return {
        "optimizer": _described(plan.recipe.optimizer),
        "clip": _described(plan.recipe.clipping) if plan.recipe.clipping else None,
        "rows": len(plan.rows),
        "batch_size": plan.batch_size,
        "epochs": len(standing.history.rows),
        "updates": standing.state.step,
        "seed": plan.seed,
        "stop_reason": ended.reason,
        "best_epoch": best_epoch,
        "seconds": standing.seconds,
        "history": history,
    }


def _described(description: Any) -> Plain:
    try:
        return to_plain(description)
    except DescriptionError:
        return repr(description)


def _failure(
    plan: Plan, executor: InterpreterExecutor, ended: Ended, run: TrainedRun
) -> NonFiniteError:
    assert ended.failed is not None
    state = ended.standing.state
    graph, _ = executor.graph(state, ended.failed)
    origin = find_origin(graph, state, ended.failed, plan.run)
    error = NonFiniteError(explain(origin, state.step + 1))
    error.run = run
    return error
