"""What ``fit`` gives: the model, and what happened on the way to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.descriptions import Plain, to_plain
from thalweg.errors import DescriptionError
from thalweg.graph import Shape
from thalweg.model import Model
from thalweg.training.history import History, Timing
from thalweg.training.loop import Ended, Plan
from thalweg.training.recipe import Recipe
from thalweg.training.targets import TargetCode


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


def trained_run(
    plan: Plan, ended: Ended, code: TargetCode, shape: Shape, compile_seconds: float
) -> TrainedRun:
    """The run that ended so, with its model.

    Args:
        plan: what was asked for.
        ended: where and why.
        code: what the targets mean.
        shape: of one row of inputs.
        compile_seconds: for the timing.
    """
    standing = ended.standing
    state, best = standing.state, standing.best
    restore = plan.stopping is not None and plan.stopping.restore_best and best.epoch > 0
    parameters = plan.job.recipe.used(state.parameters, state.slots)
    states = state.states
    if restore and best.parameters is not None:
        parameters, states = best.parameters, best.states or {}
    if plan.finish is not None and ended.reason != "non-finite":
        states = plan.finish(parameters, states)
    record = _record(plan, ended, best.epoch if restore else None)
    model = Model(
        plan.job.recipe.network,
        parameters,
        states,
        shape,
        code.loss,
        code.classes,
        code.single,
        target=code.scale,
        record=record,
    )
    timing = Timing(compile_seconds, standing.seconds, state.step)
    best_epoch = best.epoch if restore else None
    return TrainedRun(model, standing.history, timing, ended.reason, best_epoch)


def _record(plan: Plan, ended: Ended, best_epoch: int | None) -> dict[str, Plain]:
    standing = ended.standing
    history: dict[str, Plain] = {
        name: [float(value) if np.isfinite(value) else None for value in standing.history[name]]
        for name in standing.history
    }
    return {
        **described(plan.job.recipe),
        "rows": len(plan.job.rows),
        "batch_size": plan.job.batch_size,
        "epochs": len(standing.history.rows),
        "updates": standing.state.step,
        "seed": plan.job.seed,
        "stop_reason": ended.reason,
        "best_epoch": best_epoch,
        "seconds": standing.seconds,
        "history": history,
    }


def described(recipe: Recipe) -> dict[str, Plain]:
    """How a recipe trains, beside its network and loss, as JSON data."""
    parts = {
        "optimizer": recipe.optimizer,
        "clip": recipe.clipping,
        "penalty": recipe.penalty,
        "average": recipe.average,
        "augment": recipe.augmentation,
    }
    plain: dict[str, Plain] = {name: _described(part) for name, part in parts.items()}
    return {**plain, "accumulate": recipe.accumulate, "frozen": list(recipe.frozen)}


def _described(description: Any) -> Plain:
    if description is None:
        return None
    try:
        return to_plain(description)
    except DescriptionError:
        return repr(description)
