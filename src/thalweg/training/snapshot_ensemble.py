"""An ensemble from one run: the weights at the ends of its warm restarts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from thalweg.errors import SettingError
from thalweg.model.ensemble import ensemble
from thalweg.nn.layer import Layer
from thalweg.optim.accumulation import updates_of
from thalweg.optim.optimizers import Optimizer, as_optimizer
from thalweg.optim.schedules import CosineRestarts, Rate, Schedule
from thalweg.training.beginning import whole_number
from thalweg.training.ensemble_run import EnsembleRun
from thalweg.training.fit import fit
from thalweg.training.history import Epoch
from thalweg.training.members import material
from thalweg.training.problem import rows_of_a_batch


def snapshots(
    network: Layer,
    x: Any,
    y: Any,
    *,
    cycles: int = 5,
    epochs_per_cycle: int = 10,
    epochs: int | None = None,
    keep: int | Sequence[int] | None = None,
    combine: str = "mean",
    optimizer: str | Optimizer = "adam",
    seed: int = 0,
    **options: Any,
) -> EnsembleRun:
    """Train once with warm restarts, and combine the weights at the end of the cycles.

    The learning rate falls along a cosine to 0 in each cycle and starts again: the network settles
    in a minimum, leaves it, and settles in another one. So one run gives several members, for the
    time of one. The optimiser's own rate is where each cycle begins, with several rules each one's.

    Args:
        network: a layer.
        x: inputs, as for :func:`fit`.
        y: targets, as for :func:`fit`.
        cycles: how many, ≥ 1.
        epochs_per_cycle: the length of each, ≥ 1.
        epochs: of the whole run, in place of ``epochs_per_cycle``; a multiple of ``cycles``.
        keep: how many of the last cycles are members, or which, counted from 1; by default all.
        combine: ``mean``, ``vote`` or ``mean_outputs``, see :func:`ensemble`.
        optimizer: a rule with a number as its learning rate, or a name.
        seed: of the run, and of the split.
        options: of :func:`fit`, without early stopping, checkpoints and exact statistics.

    Returns:
        The run. After Ctrl-C too, with the cycles that were finished, or, before the first, the
        weights as they are.

    Raises:
        SettingError: cycles that do not fit, a schedule of your own, or options that cannot be.
        DataError, ShapeError, NonFiniteError: as :func:`fit`.

    Source: Huang, Li, Pleiss, Liu, Hopcroft and Weinberger, "Snapshot ensembles: train 1, get M for
    free", 2017.

    >>> import numpy as np, thalweg as tw
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> net = tw.Sequential(tw.Linear(4), tw.Tanh(), tw.Linear(1))
    >>> run = tw.snapshots(net, x, x[:, 0] ** 2, cycles=4, epochs_per_cycle=3, keep=2)
    >>> len(run.members), len(run.runs[0].history["train_loss"])
    (2, 12)
    """
    length = _cycle_length(cycles, epochs_per_cycle, epochs)
    kept = _kept(keep, cycles)
    _check_options(options)
    rows = material(network, x, y, seed, combine, options)
    size = rows_of_a_batch(options.get("batch_size"), len(rows.y))
    batches = -(-len(rows.y) // size)
    updates = updates_of(batches, whole_number("accumulate", options.get("accumulate", 1), 1))
    taken: dict[int, Epoch] = {}

    def take(event: Epoch) -> None:
        if event.number % length == 0 and event.number // length in kept:
            taken[event.number // length] = _copied(event)

    callbacks = (take, *options.pop("callbacks", ()))
    run = fit(
        network, rows.x, rows.y, optimizer=restarting(optimizer, length * updates), seed=seed,
        epochs=cycles * length, callbacks=callbacks, **options, **rows.arguments(),
    )  # fmt: skip
    models = tuple(
        replace(run.model, parameters=event.parameters, states=event.states)
        for event in taken.values()
    )
    members = models or (run.model,)
    whole = ensemble(members, combine)
    return EnsembleRun(whole, members, (run,), (seed,), run.stop_reason, rows.judged)


def _copied(event: Epoch) -> Epoch:
    parameters, states = (
        {path: value.copy() for path, value in group.items()}
        for group in (event.parameters, event.states)
    )
    return replace(event, parameters=parameters, states=states)


def _cycle_length(cycles: Any, epochs_per_cycle: Any, epochs: Any) -> int:
    """Epochs of a cycle."""
    whole_number("cycles", cycles, 1)
    if epochs is None:
        return whole_number("epochs_per_cycle", epochs_per_cycle, 1)
    whole_number("epochs", epochs, 1)
    if epochs % cycles or epochs < cycles:
        near = max(cycles, round(epochs / cycles) * cycles)
        raise SettingError(
            f"epochs = {epochs} is no multiple of cycles = {cycles}; choose {near}, or give "
            "epochs_per_cycle"
        )
    return epochs // cycles


def _kept(keep: Any, cycles: int) -> set[int]:
    """The cycles whose ends are members, from 1."""
    if keep is None:
        return set(range(1, cycles + 1))
    if isinstance(keep, (list, tuple)):
        chosen = {whole_number("keep", item, 1, cycles) for item in cast("list[Any]", keep)}
        if not chosen:
            raise SettingError("keep names no cycle; leave it out to keep all")
        return chosen
    return set(range(cycles - whole_number("keep", keep, 1, cycles) + 1, cycles + 1))


def _check_options(options: dict[str, Any]) -> None:
    """Refuse options of :func:`fit` that snapshots have no use for."""
    reasons = {
        "early_stopping": "members are taken at the ends of cycles",
        "checkpoint": "the members of an interrupted run would be lost",
        "resume": "snapshots have no checkpoint",
    }
    for name, reason in reasons.items():
        if options.get(name) not in {None, False}:
            raise SettingError(f"snapshots take no {name}: {reason}; leave it out")
    if options.get("statistics", "running") != "running":
        raise SettingError(
            f"snapshots use statistics='running', got {options['statistics']!r}: each has its own"
        )


def restarting(optimizer: str | Optimizer, length: int) -> Optimizer:
    """An optimiser whose rates fall along a cosine and start again.

    Args:
        optimizer: with numbers as its rates, with which each cycle begins.
        length: updates of a cycle.

    Raises:
        SettingError: an optimiser that has a schedule already, or no rate.
    """
    rule = as_optimizer(optimizer)
    if rule.whole_batch:
        raise SettingError(f"{type(rule).__name__} has no rate that could fall and start again")

    def cycling(rate: Rate) -> Rate:
        if isinstance(rate, Schedule):
            raise SettingError(
                f"snapshots bring their own schedule, but the optimizer has {type(rate).__name__}; "
                "give it the rate with which cycles begin, such as adam(0.01)"
            )
        return CosineRestarts(rate, length=length, per="update")

    return rule.with_rates(cycling)


__all__ = ["restarting", "snapshots"]
