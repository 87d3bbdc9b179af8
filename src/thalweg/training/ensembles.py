"""Ensembles of runs of their own: the same rows with other seeds, or bootstrap samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from thalweg.errors import SettingError
from thalweg.graph import Array, constant
from thalweg.model.ensemble import ensemble, in_one_unit
from thalweg.nn.ensemble import Ensemble, combined, kind_of
from thalweg.nn.layer import Layer
from thalweg.training.arguments import Arguments
from thalweg.training.beginning import whole_number
from thalweg.training.ensemble_run import (
    EnsembleRun,
    OutOfBag,
    metrics_of,
    predicts_classes,
    truth_of,
)
from thalweg.training.members import Material, bag, checkpoint_of, material, member_seeds
from thalweg.training.train_members import Trained, train_members

_BLOCK = 2**16
"""Rows whose out-of-bag predictions are computed at once."""


def fit_ensemble(
    network: Layer,
    x: Any,
    y: Any,
    *,
    members: int = 5,
    combine: str = "mean",
    seed: int = 0,
    **options: Any,
) -> EnsembleRun:
    """Train several networks that differ by their seeds, and combine them.

    Every member is trained on the same rows; starting weights, shuffling and dropout are its own.
    A share of rows for validation is set apart once for all of them.

    Args:
        network: a layer.
        x: inputs, as for :func:`fit`.
        y: targets, as for :func:`fit`.
        members: how many, ≥ 1.
        combine: ``mean``, ``vote`` or ``mean_outputs``, see :func:`ensemble`.
        seed: of the members' seeds, which the run names, and of the split.
        options: of :func:`fit`, for every member. Of a ``checkpoint`` each member has its own
            file, with its place behind the name; ``resume`` goes on with the members that were
            interrupted. ``threads`` are the members that are trained at once, by default one for
            each core; their ``callbacks`` are called from as many threads, with the epoch's
            ``member``.

    Returns:
        The run: one model, the members with their runs, and their scores. After Ctrl-C too, with
        the members that are finished, or the first as it is; results do not depend on threads.

    Raises:
        SettingError, DataError, ShapeError: as :func:`fit`.
        NonFiniteError: naming the member; its ``run`` holds the members before it.

    Source: Lakshminarayanan, Pritzel and Blundell, "Simple and scalable predictive uncertainty
    estimation using deep ensembles", 2017.

    >>> import numpy as np, thalweg as tw
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> net = tw.Sequential(tw.Linear(4), tw.Tanh(), tw.Linear(1))
    >>> run = tw.fit_ensemble(net, x, x[:, 0] ** 2, members=3, epochs=5, progress=False)
    >>> len(run.members), run.model.predict(x).shape
    (3, (64,))
    """
    whole_number("members", members, 1)
    rows = material(network, x, y, seed, combine, options)
    seeds = member_seeds(seed, members)
    progress, threads = options.pop("progress", None), options.pop("threads", None)

    def arguments(place: int) -> Arguments:
        own = {**options, **rows.arguments(), **checkpoint_of(options, place)}
        return Arguments(network, rows.x, rows.y, seed=seeds[place], **own)

    def whole(trained: Trained) -> EnsembleRun:
        return _run(trained, combine, seeds, rows)

    return whole(train_members(members, arguments, progress, whole, threads))


def bagging(
    network: Layer,
    x: Any,
    y: Any,
    *,
    members: int = 10,
    combine: str = "mean",
    seed: int = 0,
    **options: Any,
) -> EnsembleRun:
    """Train several networks on bootstrap samples, and combine them.

    Each member is trained on N rows drawn from the N training rows with replacement, about 63 % of
    them at least once, and starts from weights of its own. The rows that a member has not drawn
    test it: ``out_of_bag`` holds the combined predictions of the members that did not see a row,
    which estimate the error on new rows without setting rows apart.

    A row that is drawn twice stands twice among the member's rows, so that layers which learn from
    rows, and batch statistics, see the sample and nothing else. Samples of one class are drawn
    again. Balanced class weights are those of all training rows.

    Args:
        network: a layer.
        x: inputs, as for :func:`fit`.
        y: targets, as for :func:`fit`.
        members: how many, ≥ 1.
        combine: ``mean``, ``vote`` or ``mean_outputs``, see :func:`ensemble`.
        seed: of the samples and the members' seeds, which the run names, and of the split.
        options: of :func:`fit`, as for :func:`fit_ensemble`.

    Returns:
        As :func:`fit_ensemble`, with ``out_of_bag``.

    Raises:
        SettingError, DataError, ShapeError, NonFiniteError: as :func:`fit_ensemble`.

    Source: Breiman, "Bagging predictors", 1996.

    >>> import numpy as np, thalweg as tw
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> net = tw.Sequential(tw.Linear(4), tw.Tanh(), tw.Linear(2))
    >>> run = tw.bagging(net, x, x[:, 0] > 0, members=4, epochs=5, progress=False)
    >>> run.out_of_bag.predictions.shape
    (64, 2)
    """
    whole_number("members", members, 1)
    rows = material(network, x, y, seed, combine, options)
    if options.get("scale_targets") and kind_of(rows.code.loss) != "numbers":
        raise SettingError(
            f"scale_targets: each sample would have a scale of its own, which the outputs for "
            f"{type(rows.code.loss).__name__} cannot follow; scale y before, or use fit_ensemble"
        )
    options["class_weight"] = rows.class_weight(options.get("class_weight"))
    seeds = member_seeds(seed, members)
    progress, threads = options.pop("progress", None), options.pop("threads", None)

    def arguments(place: int) -> Arguments:
        own = {**options, **rows.arguments(), **checkpoint_of(options, place)}
        drawn = bag(seeds[place], rows)
        return Arguments(network, rows.x, rows.y, rows=drawn, seed=seeds[place], **own)

    def whole(trained: Trained) -> EnsembleRun:
        run = _run(trained, combine, seeds, rows)
        drawn = [bag(seed, rows) for seed in run.seeds]
        return replace(run, out_of_bag=out_of_bag(run, drawn, rows.x, rows.y))

    return whole(train_members(members, arguments, progress, whole, threads))


def _run(trained: Trained, combine: str, seeds: tuple[int, ...], rows: Material) -> EnsembleRun:
    members = tuple(run.model for run in trained.runs)
    return EnsembleRun(
        ensemble(members, combine),
        members,
        trained.runs,
        tuple(seeds[place] for place in trained.places),
        trained.reason,
        rows.judged,
    )


def out_of_bag(run: EnsembleRun, drawn: Sequence[Array], x: Array, y: Array) -> OutOfBag:
    """The combined predictions of the members that did not see a row, by the ensemble's own rule.

    Args:
        run: the ensemble with its members.
        drawn: the places of the rows that each member was trained on.
        x: all rows.
        y: their targets.
    """
    unseen = np.ones((len(run.members), len(x)), bool)
    for place, rows in enumerate(drawn):
        unseen[place, rows] = False
    counts = unseen.sum(axis=0)
    tested = np.flatnonzero(counts)
    model = run.model
    if not len(tested):
        shape = (len(x), *model.outputs(x[:1]).shape[1:])
        return OutOfBag(np.full(shape, np.nan), counts, metrics_of(model, y[:0], y[:0]))
    pieces = [
        _combined(run, unseen[:, places], x[places])
        for places in np.array_split(tested, -(-len(tested) // _BLOCK))
    ]
    found = model.predictions(np.concatenate(pieces))
    labels = model.decide(found)
    values = model.spread(found) if predicts_classes(model) else labels
    whole = np.full((len(x), *values.shape[1:]), np.nan)
    whole[tested] = values
    return OutOfBag(whole, counts, metrics_of(model, truth_of(model, y)[tested], labels))


def _combined(run: EnsembleRun, counted: Array, x: Array) -> Array:
    """The ensemble's outputs for rows, of the members that count for each row."""
    net = np.stack([model.outputs(x) for model in in_one_unit(run.members)])
    weights = counted.reshape(*counted.shape, *(1,) * (net.ndim - 2)).astype(net.dtype)
    whole = cast("Ensemble", run.model.network)
    rule = whole.combine, whole.kind, whole.ties
    return combined(constant(net), constant(weights), *rule).numpy()


__all__ = ["bagging", "fit_ensemble", "out_of_bag"]
