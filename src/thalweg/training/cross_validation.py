"""Cross-validation: a population in which each network is judged on the rows that it lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from thalweg.descriptions import is_fixed, structure_of
from thalweg.errors import SettingError, ShapeError, ThalwegError
from thalweg.graph import Array
from thalweg.model.model import label_array
from thalweg.nn.layer import Network
from thalweg.training.arguments import Arguments
from thalweg.training.beginning import planned, whole_number
from thalweg.training.cross_validated import CrossValidation
from thalweg.training.examining import Examiner, Outcome, Unseen, metrics_for
from thalweg.training.failure import Failure
from thalweg.training.folds import Fold, divided
from thalweg.training.history import Display
from thalweg.training.job import Chosen
from thalweg.training.learning import front_takes_missing
from thalweg.training.members import as_display, checkpoint_of
from thalweg.training.population.crew import Crew
from thalweg.training.population.member import MemberRun
from thalweg.training.population.training import InTurn
from thalweg.training.problem import float_dtype
from thalweg.training.programs import Programs, lasting
from thalweg.training.result import TrainedRun
from thalweg.training.scoring import wanted_metrics
from thalweg.training.target_scaling import unscaled
from thalweg.training.targets import TargetCode, fit_targets
from thalweg.training.validation import input_rows, row_weights

WATCHED = 0.2
"""The share of a fold's training rows that early stopping watches."""

_TAKEN = {
    "rows": "cross-validation chooses the rows of each network; leave the others out of x and y",
    "members": "it trains folds · repeats networks",
}


def cross_validate(
    network: Network,
    x: Any,
    y: Any,
    *,
    folds: int = 10,
    repeats: int = 1,
    stratify: bool = True,
    groups: Any = None,
    metrics: Sequence[Any] | Mapping[str, Any] | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: bool | Display | None = None,
    **options: Any,
) -> CrossValidation:
    """Estimate how well a network would do on new rows, by networks that each lack some rows.

    The rows are divided into folds at random; for each fold a network is trained on the others,
    and judged on it. All of them are one population: they share a compiled step, one copy of the
    data, and the cores. Layers that learn from rows, such as :class:`Standardise`, learn from each
    network's training rows alone. Network k is bit for bit what
    ``fit(…, rows=splits[k].train, seed=seeds[k])`` gives.

    Args:
        network: as for :func:`fit`.
        x: inputs, (N, …).
        y: targets, as for :func:`fit`.
        folds: 2 … N.
        repeats: how often all rows are divided, each time in another way, ≥ 1.
        stratify: whether each fold holds out its share of every class; numbers are not stratified.
        groups: (N,): rows of the same value are held out together, such as those of one patient.
        metrics: a list of names and of functions ``(y, predicted) -> number``, or functions by
            name. By default ``loss`` and, for classes, ``accuracy``, ``balanced_accuracy``,
            ``log_loss``, ``auc``; for several labels a row ``accuracy``; for numbers ``rmse``,
            ``mae``, ``r2``. All but functions count rows by ``sample_weight``.
        seed: of the first division and the first network; repeat r is divided with seed + r, and
            network k has seed + k.
        threads: networks that are trained at once; by default one for each core. Results do not
            depend on it.
        progress: True or None shows progress when in a terminal, False is silent.
        options: of :func:`fit`. ``validation`` is a share of each network's training rows, which it
            then lacks; with ``early_stopping`` it is 0.2 unless given, so that no network stops by
            a look at the rows that it is judged on. Of a ``checkpoint`` each network has its own
            file, with its number behind the name.

    Returns:
        Scores (repeats, folds), their mean and deviation, predictions for every row by networks
        that did not learn from it, the networks and their histories. After Ctrl-C too, with the
        networks that are finished.

    Raises:
        SettingError: more folds than rows, rows of a class, or groups; an unknown metric; as
            :func:`fit`.
        DataError, ShapeError: as :func:`fit`.

    >>> import numpy as np, thalweg as tw
    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> net = tw.Sequential(tw.Standardise(), tw.Linear(2))
    >>> found = tw.cross_validate(net, x, x[:, 0] > 0, folds=5, repeats=2, epochs=3, progress=False)
    >>> found.scores["accuracy"].shape, found.predictions.shape, len(found.models)
    ((2, 5), (60, 2), 10)

    Source: Stone, "Cross-validatory choice and assessment of statistical predictions", 1974.
    """
    first = _arguments(network, x, y, seed, options)
    rows = _material(first)
    kinds = metrics_for(rows.code.classes is not None, rows.code.loss.kind)
    wanted = wanted_metrics(metrics, kinds)
    labels = rows.labels if stratify else None
    splits = divided(len(rows.y), folds, repeats, labels=labels, groups=groups, seed=seed)

    def arguments(place: int) -> Arguments:
        own = checkpoint_of({"checkpoint": first.checkpoint}, place)
        return replace(first, rows=splits[place].train, seed=seed + place, **own)

    def examine(place: int, run: TrainedRun) -> Outcome:
        return examiner.examine(run.model, rows.unseen(splits[place].held_out, run))

    crew = Crew(threads, _programs(first))
    examiner = Examiner(wanted, first.backend, crew.programs)
    work = FoldsInTurn(splits, wanted.names, arguments, examine, crew, as_display(progress))
    return work.whole(len(rows.y), seed, rows.code.classes)


def _arguments(
    network: Network, x: Any, y: Any, seed: int, options: Mapping[str, Any]
) -> Arguments:
    """What all networks are given."""
    whole_number("seed", seed, 0)
    for name, reason in _TAKEN.items():
        if options.get(name) is not None:
            raise SettingError(f"cross_validate takes no {name}: {reason}")
    given = Arguments(network, x, y, **options)
    if isinstance(given.validation, (tuple, list)):
        raise SettingError(
            "validation takes a share of each network's training rows here, such as 0.2, got rows; "
            "cross-validation holds out rows of its own"
        )
    x = input_rows(given.x, missing=front_takes_missing(network))
    given = replace(given, x=x, y=np.asarray(given.y))
    watches = given.early_stopping not in {None, False} and given.validation is None
    return replace(given, validation=WATCHED) if watches else given


def _programs(given: Arguments) -> Programs:
    """What networks share: with later calls too, unless a function could change until then."""
    parts = (
        given.network, given.loss, given.optimizer, given.clip, given.penalty, given.average,
        given.augment,
    )  # fmt: skip
    if not all(map(is_fixed, parts)):
        return Programs()
    return lasting((structure_of(given.network), given.x.shape[1:], str(given.dtype)))


class _Rows(NamedTuple):
    """All rows, and what their targets mean.

    Attributes:
        x: inputs.
        y: targets as they were given.
        encoded: targets as the loss takes them, before they are scaled.
        weights: of the rows, if any.
        code: what targets mean.
    """

    x: Array | Chosen
    y: Array
    encoded: Array
    weights: Array | None
    code: TargetCode

    @property
    def labels(self) -> Array | None:
        """The class of each row, where it has one."""
        if self.code.classes is None or self.encoded.size != len(self.encoded):
            return None
        return label_array(self.code.classes)[self.truth]

    @property
    def truth(self) -> Array:
        """Targets as metrics take them."""
        if self.code.classes is None:
            whole = self.encoded
            return whole.reshape(len(whole)) if self.code.single else whole
        if self.encoded.size == len(self.encoded):
            return self.encoded.reshape(-1).astype(np.int64)
        return np.argmax(self.encoded, axis=1)

    def unseen(self, places: Array, run: TrainedRun) -> Unseen:
        """Some rows, for a network that did not learn from them."""
        targets, target = self.encoded[places], run.model.target
        if target is not None:
            targets = target.encode(targets).astype(run.model.dtype)
        weights = None if self.weights is None else self.weights[places]
        given, truth = self.y[places], self.truth[places]
        one = given.ndim == 2 and given.shape[1] == 1
        return Unseen(self.x[places], targets, truth, given[:, 0] if one else given, weights)


def _material(given: Arguments) -> _Rows:
    """The rows, checked as :func:`fit` does.

    Raises:
        SettingError, DataError, ShapeError: what does not fit.
    """
    kind = float_dtype(given.dtype)
    y = given.y
    if not y.ndim or len(given.x) != len(y):
        raise ShapeError(f"x has {len(given.x)} rows, y has {y.shape[0] if y.ndim else 0}")
    outputs = planned(given.network, given.x.shape[1:], kind).output_shape
    code = fit_targets(y, given.loss, outputs, kind, given.classes)
    reader = unscaled(code) if given.scale_targets else code
    weights = row_weights(given.sample_weight, len(y), kind)
    return _Rows(given.x, y, reader.encode(y), weights, code)


class FoldsInTurn(InTurn):
    """The networks of all folds, each trained to its end and then judged.

    Args:
        splits: the rows of each network.
        names: of the scores.
        arguments: of the network with a number.
        examine: judges the run of the network with a number on the rows of its fold.
        crew: trains them.
        display: shows their progress.
    """

    def __init__(
        self,
        splits: tuple[Fold, ...],
        names: tuple[str, ...],
        arguments: Callable[[int], Arguments],
        examine: Callable[[int, TrainedRun], Outcome],
        crew: Crew,
        display: Display,
    ) -> None:
        super().__init__(len(splits), arguments, crew, display)
        self.splits = splits
        self.outcomes: dict[int, Outcome] = {}
        self.failures: dict[int, Failure | str] = {}
        self._names = names
        self._crew = crew
        self._examine = examine

    def keep(self, member: MemberRun) -> None:
        """Judge a network whose training has ended."""
        if member.reason == "interrupted":
            return
        place = member.number
        if member.failure is not None:
            self.failures[place] = member.failure
        else:
            outcome = self.outcomes[place] = self._examine(place, member.result())
            if outcome.failed:
                self.failures[place] = "the predictions for the held out rows are not finite"
        super().keep(member)

    def told(self, number: int, error: ThalwegError) -> ThalwegError:
        """Why a network was refused, with its number."""
        fold = self.splits[number]
        told = type(error)(f"network {number} (repeat {fold.repeat}, fold {fold.fold}): {error}")
        told.__cause__ = error
        return told

    def whole(self, count: int, seed: int, classes: tuple[Any, ...] | None) -> CrossValidation:
        """Train all, and put together what they give.

        Args:
            count: all rows.
            seed: of the first network; network k has seed + k.
            classes: the labels of the predictions, if any.
        """
        display = self._display
        display.start(1, f"training {self.members} networks")
        try:
            reason = self._crew.run(self, self.tick)
            self.check()
            display.finish(self.progress(), reason or "epochs")
        finally:
            display.close()
        runs = [self.runs[k].result() if k in self.runs else None for k in range(self.members)]
        seeds = tuple(range(seed, seed + self.members))
        return CrossValidation(
            self._scores(), self._predictions(count, classes), self.splits, tuple(runs), seeds,
            dict(sorted(self.failures.items())), classes, reason or "epochs", self.seconds,
        )  # fmt: skip

    def _scores(self) -> dict[str, Array]:
        """Scores by metric, (repeats, folds)."""
        last = self.splits[-1]
        shape = (last.repeat + 1, last.fold + 1)
        found = {name: np.full(shape, np.nan) for name in self._names}
        for place, outcome in self.outcomes.items():
            fold = self.splits[place]
            for name, value in outcome.scores.items():
                found[name][fold.repeat, fold.fold] = value
        return found

    def _predictions(self, count: int, classes: tuple[Any, ...] | None) -> Array:
        """The mean over repeats of what networks say of rows that they lack."""
        good = {place: item for place, item in self.outcomes.items() if not item.failed}
        shape = () if classes is None else (len(classes),)
        shape = next((item.predictions.shape[1:] for item in good.values()), shape)
        sums, times = np.zeros((count, *shape)), np.zeros(count)
        for place in sorted(good):
            rows = self.splits[place].held_out
            sums[rows] += good[place].predictions
            times[rows] += 1
        missing = times == 0
        sums[missing] = np.nan
        return sums / np.where(missing, 1, times).reshape(-1, *(1,) * len(shape))
