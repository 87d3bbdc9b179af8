"""Cross-validation of a table's network: the encoding, too, is learned inside each fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from thalweg.data.encoding import TableEncoder
from thalweg.data.inference import Schema
from thalweg.data.relations import Task
from thalweg.data.splits import Split, split_rows
from thalweg.data.table import Note, Table
from thalweg.data.targets import ClassTarget, NumberTarget
from thalweg.errors import SettingError
from thalweg.tabular.fitting import fit_options, named_model, table_network, table_targets
from thalweg.tabular.preparing import PreparedTable, open_table, prepare_table
from thalweg.tabular.settings import TableSettings
from thalweg.training.arguments import Arguments
from thalweg.training.cross_validated import CrossValidation
from thalweg.training.cross_validation import WATCHED, FoldsInTurn
from thalweg.training.examining import Examiner, Outcome, Unseen, metrics_for
from thalweg.training.folds import Fold, divided
from thalweg.training.history import Display
from thalweg.training.job import Chosen
from thalweg.training.members import as_display
from thalweg.training.population.crew import Crew
from thalweg.training.population.member import MemberRun
from thalweg.training.programs import Programs
from thalweg.training.result import TrainedRun
from thalweg.training.scoring import Wanted, wanted_metrics


@dataclass(frozen=True, eq=False, repr=False)
class TableCrossValidation(CrossValidation):
    """What :func:`cross_validate_table` gives: a :class:`CrossValidation` of a table's rows.

    Attributes:
        table: the rows whose target is there, in the order of the predictions.
        target: the column that is predicted.
        task: ``classification`` or ``regression``.
        truth: the targets of the rows: labels, or numbers.
        notes: all that was decided or met, from reading the file on.
        schema: what the columns are.
    """

    table: Table
    target: str
    task: Task
    truth: NDArray[Any]
    notes: tuple[Note, ...]
    schema: Schema


def cross_validate_table(
    source: Any,
    target: str,
    *,
    folds: int = 10,
    repeats: int = 1,
    stratify: bool = True,
    groups: str | None = None,
    metrics: Sequence[Any] | Mapping[str, Any] | None = None,
    settings: TableSettings = TableSettings(),
    task: Literal["auto"] | Task = "auto",
    kinds: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    categories: str = "one_hot",
    threads: int | None = None,
    progress: bool | Display | None = None,
) -> TableCrossValidation:
    """Estimate how well a table's network would do on new rows; see :func:`cross_validate`.

    Everything that is learned from rows is learned from each network's own training rows: the
    categories and scales of columns, what fills missing values, the scale of the target. Only the
    kinds of the columns and the classes of the target are found once, in the whole table. With
    early stopping a fifth of each network's training rows is watched for it, and not trained on.

    Args:
        source: as for :func:`fit_table`.
        target: the column to predict.
        folds: 2 … rows.
        repeats: how often all rows are divided, ≥ 1.
        stratify: whether each fold holds out its share of every class.
        groups: a column: rows of the same value are held out together, those without one as one
            group; it is no input.
        metrics: as for :func:`cross_validate`.
        settings: how each network is built and trained; ``seed`` is that of the first.
        task: ``classification``, ``regression``, or ``auto``.
        kinds: kinds of columns that overrule what is inferred.
        drop: columns to leave out.
        categories: ``one_hot`` or ``embedding``.
        threads: networks that are trained at once; by default one for each core.
        progress: True or None shows progress when in a terminal, False is silent.

    Returns:
        Scores, out-of-fold predictions in the table's own classes or unit, the models.

    Raises:
        SettingError, FileError, ColumnError, DataError: as :func:`fit_table` and
            :func:`cross_validate`.

    >>> settings = TableSettings(hidden=(8,), epochs=5)
    >>> found = cross_validate_table("iris", "target", folds=3, settings=settings, progress=False)
    >>> found.scores["accuracy"].shape, found.predictions.shape, found.task
    ((1, 3), (150, 3), 'classification')
    """
    _check_alone(settings)
    settings.check()
    table = open_table(source)
    if groups == target:
        raise SettingError(f"groups = {groups!r} is the target; name a column such as a patient")
    cells = None if groups is None else table.column(groups)
    left_out = [*drop, groups] if groups is not None and groups not in drop else drop
    whole = prepare_table(
        table, target, task=task, kinds=kinds, drop=left_out, categories=categories,
        fractions=(1.0, 0.0, 0.0), seed=settings.seed,
    )  # fmt: skip
    if cells is not None:
        cells = cells[np.searchsorted(table.numbers, whole.table.numbers)]
    labels = _labels(whole) if stratify and whole.task == "classification" else None
    splits = divided(
        len(whole.table), folds, repeats, labels=labels, groups=cells, seed=settings.seed
    )
    wanted = wanted_metrics(metrics, metrics_for(whole.task == "classification", "numbers"))
    work = _TableFolds(whole, settings, categories, wanted, splits, Crew(threads), progress)
    found = work.whole(len(whole.table), settings.seed, _classes(whole))
    return TableCrossValidation(
        **vars(found), table=whole.table, target=target, task=whole.task, truth=_labels(whole),
        notes=(*whole.notes, *dict.fromkeys(work.notes)), schema=whole.schema,
    )  # fmt: skip


def _check_alone(settings: TableSettings) -> None:
    if settings.size_of_ensemble:
        raise SettingError(
            "cross-validation trains one network for each fold; leave out members and ensemble"
        )


def _classes(prepared: PreparedTable) -> tuple[str, ...] | None:
    target = prepared.target
    return target.classes if isinstance(target, ClassTarget) else None


def _labels(prepared: PreparedTable) -> NDArray[Any]:
    """The targets as the model predicts them."""
    classes = _classes(prepared)
    return prepared.values if classes is None else np.array(classes, object)[prepared.values]


class _TableFolds(FoldsInTurn):
    """The networks of all folds; a fold's inputs are encoded when its turn comes, then let go."""

    def __init__(
        self,
        whole: PreparedTable,
        settings: TableSettings,
        categories: str,
        wanted: Wanted,
        splits: tuple[Fold, ...],
        crew: Crew,
        progress: bool | Display | None,
    ) -> None:
        display = as_display(progress)
        super().__init__(splits, wanted.names, self._arguments_of, self._examined, crew, display)
        self.notes: list[Note] = []
        self._table = whole
        self._settings = settings
        self._categories = categories
        self._examiner = Examiner(wanted, Arguments.backend, crew.programs)
        self._open: dict[int, PreparedTable] = {}

    def begin(self, place: int) -> MemberRun:
        """A network with data of its own, beside programs that all share."""
        return _Letting(self.own(place), self.programs.apart(), place)

    def keep(self, member: MemberRun) -> None:
        """Judge a network, give it the table's columns and let its inputs go."""
        place = member.number
        if member.reason != "interrupted":
            super().keep(member)
            model = member.result().model
            member.hold(named_model(model, self._open[place], self._settings))
        del self._open[place]
        assert isinstance(member, _Letting)
        member.let_go()

    def _arguments_of(self, place: int) -> Arguments:
        prepared = self._open[place] = self._prepared(place)
        train, settings = prepared.split.train, self._settings
        options: dict[str, Any] = fit_options(prepared, settings)
        options["seed"] = settings.seed + place
        return Arguments(
            table_network(prepared, settings), prepared.x, table_targets(prepared, settings),
            rows=train, **options,
        )  # fmt: skip

    def _prepared(self, place: int) -> PreparedTable:
        """The table as one network takes it: encoded by what its training rows hold."""
        whole, fold = self._table, self.splits[place]
        table, target = whole.table, whole.target
        split = _split(whole, fold, self._settings, self._settings.seed + place)
        encoder = TableEncoder.fit(table, whole.schema, split.train, self._categories)
        encoded = encoder.transform(table)
        self.notes += [note for note in encoded.notes if note.level == "warning"]
        if isinstance(target, NumberTarget):
            cells = table.column(target.name)
            target = NumberTarget.fit(cells[split.train], target.name, whole.schema.target)
            y = target.encode(cells, table)
        else:
            y = whole.y
        return PreparedTable(table, whole.schema, split, encoder, target, encoded.values, y, ())

    def _examined(self, place: int, run: TrainedRun) -> Outcome:
        prepared, settings = self._open[place], self._settings
        rows = self.splits[place].held_out
        unseen = Unseen(
            Chosen(prepared.x, rows),
            table_targets(prepared, settings)[rows],
            prepared.values[rows],
            _labels(prepared)[rows],
            None,
        )
        return self._examiner.examine(named_model(run.model, prepared, settings), unseen)


class _Letting(MemberRun):
    """A network whose data only it has."""

    def __init__(self, arguments: Arguments, programs: Programs, number: int) -> None:
        super().__init__(arguments, programs, number)
        self._own = programs

    def let_go(self) -> None:
        """Forget the data; the trained network stays."""
        self._own.forget()
        self.arguments = replace(self.arguments, x=None, y=None, rows=None, validation=None)


def _split(whole: PreparedTable, fold: Fold, settings: TableSettings, seed: int) -> Split:
    """Rows that are trained on, watched for early stopping, and held out."""
    if settings.early_stopping is None or settings.early_stopping is False:
        return Split(fold.train, fold.train[:0], fold.held_out)
    labels = whole.y[fold.train] if whole.task == "classification" else None
    shares = (1 - WATCHED, WATCHED, 0.0)
    train, watched, _ = split_rows(len(fold.train), shares, labels=labels, seed=seed % 2**32)
    return Split(fold.train[train], fold.train[watched], fold.held_out)


__all__ = ["TableCrossValidation", "cross_validate_table"]
