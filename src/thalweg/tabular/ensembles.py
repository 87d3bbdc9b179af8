"""One network for a table, or several whose predictions are combined."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thalweg.data.targets import ClassTarget, NumberTarget
from thalweg.descriptions import Plain
from thalweg.errors import SettingError
from thalweg.model import Model
from thalweg.nn.layer import Layer
from thalweg.optim.optimizers import Optimizer
from thalweg.optim.schedules import Cosine
from thalweg.tabular.preparing import PreparedTable
from thalweg.tabular.settings import TableSettings
from thalweg.training.ensemble_run import EnsembleRun, Judged
from thalweg.training.ensembles import bagging, fit_ensemble
from thalweg.training.fit import TrainedRun, fit
from thalweg.training.history import History, Timing
from thalweg.training.snapshot_ensemble import snapshots

_CHECKPOINT = ("checkpoint", "checkpoint_every", "resume")


class Learned(NamedTuple):
    """A run, and the ensemble that it stands for, if any."""

    run: TrainedRun
    ensemble: EnsembleRun | None = None


def learn(
    network: Layer, x: Any, y: Any, settings: TableSettings, options: dict[str, Any]
) -> Learned:
    """Train a network, or as many as the settings ask for.

    Args:
        network: what is trained.
        x: training rows.
        y: their targets.
        settings: with the number of members.
        options: of :func:`fit`.

    Raises:
        SettingError: options that an ensemble cannot have.
    """
    count, kind = settings.size_of_ensemble, settings.ensemble or "mean"
    if not count:
        return Learned(fit(network, x, y, **options))
    if kind == "snapshots":
        return joined(_snapshots(network, x, y, count, options))
    if kind == "bagging":
        return joined(bagging(network, x, y, members=count, **options))
    return joined(fit_ensemble(network, x, y, members=count, combine=kind, **options))


def _snapshots(network: Layer, x: Any, y: Any, count: int, options: dict[str, Any]) -> EnsembleRun:
    """Snapshots of one run: no early stopping, no checkpoint; a rate that falls starts again."""
    if options["resume"]:
        raise SettingError("an ensemble of snapshots has no checkpoint to resume from; train again")
    kept = {name: value for name, value in options.items() if name not in _CHECKPOINT}
    rule: Optimizer = options["optimizer"]
    rate = rule.chosen_rate
    if isinstance(rate, Cosine) and rate == Cosine(rate.initial):
        kept["optimizer"] = rule.with_rate(rate.initial)
    kept["early_stopping"] = None
    return snapshots(network, x, y, cycles=count, **kept)


def joined(run: EnsembleRun) -> Learned:
    """The ensemble as one run: its epochs are those of all members, one after the other."""
    rows = [
        {**row, "member": float(place)} if len(run.runs) > 1 else row
        for place, one in enumerate(run.runs)
        for row in one.history.rows
    ]
    timing = Timing(
        sum(one.timing.compile_seconds for one in run.runs),
        sum(one.timing.seconds for one in run.runs),
        sum(one.timing.updates for one in run.runs),
    )
    return Learned(TrainedRun(run.model, History(rows), timing, run.stop_reason, None), run)


def of_table(
    run: EnsembleRun, prepared: PreparedTable, named: Callable[[Model], Model]
) -> EnsembleRun:
    """The ensemble with the table's columns and classes, judged in the target's own unit.

    Members are compared on the test rows; where there are none, on the validation rows.

    Args:
        run: as training left it.
        prepared: the table.
        named: gives a model the table's columns and classes.
    """
    parts = {"test rows": prepared.split.test, "validation rows": prepared.split.validation}
    parts["training rows"] = prepared.split.train
    name, rows = next((name, rows) for name, rows in parts.items() if len(rows))
    truth: NDArray[Any] = prepared.values[rows]
    if isinstance(prepared.target, ClassTarget):
        truth = np.array(prepared.target.classes, dtype=object)[truth]
    model = named(run.model)
    bag = run.out_of_bag
    if bag is not None and isinstance(model.target, NumberTarget):
        metrics = {**bag.metrics, "rmse": bag.metrics["rmse"] * model.target.scale}
        bag = replace(bag, predictions=model.target.decode(bag.predictions), metrics=metrics)
    return replace(
        run,
        model=model,
        members=tuple(named(member) for member in run.members),
        judged=Judged(prepared.x[rows], truth, name),
        out_of_bag=bag,
    )


def scores_of(run: EnsembleRun) -> dict[str, Plain]:
    """How good and how different the members are, as JSON data."""
    scores = run.scores()
    bag = {} if run.out_of_bag is None else {"out_of_bag": run.out_of_bag.metrics[scores.measure]}
    return {
        **{name: value if math.isfinite(value) else None for name, value in bag.items()},
        "members": len(scores.members),
        "rows": scores.rows,
        "measure": scores.measure,
        "member_mean": scores.member_mean,
        "ensemble": scores.ensemble,
        "disagreement": scores.disagreement,
    }


__all__ = ["Learned", "joined", "learn", "of_table", "scores_of"]
