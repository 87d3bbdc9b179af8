"""``search_table``: from a table to the best of many networks, trained and tested."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from thalweg.data.metrics import Metrics
from thalweg.data.relations import Task
from thalweg.errors import SettingError
from thalweg.model import Model
from thalweg.searching.checking import check_table_space
from thalweg.searching.default_space import default_space_text
from thalweg.searching.result import SearchRun
from thalweg.searching.search import search
from thalweg.searching.showing.display import SearchDisplay
from thalweg.searching.showing.live import search_display
from thalweg.searching.showing.plots import Plotted
from thalweg.searching.showing.report import JOURNAL, Begun, made_folder, write_report, write_space
from thalweg.searching.spaces.space import Space
from thalweg.searching.spaces.toml import read_space
from thalweg.searching.trial import Trial
from thalweg.tabular.ensembles import Learned
from thalweg.tabular.fitting import (
    fit_options,
    table_network,
    table_targets,
    with_results,
    without_results,
)
from thalweg.tabular.preparing import FRACTIONS, PreparedTable, prepare_table
from thalweg.tabular.run import TableRun
from thalweg.tabular.searching import with_searched
from thalweg.tabular.settings import TableSettings

if TYPE_CHECKING:
    from thalweg.training.result import TrainedRun

_EPOCHS, _PATIENCE = 50, 10
_NOT_BUILT = ("validation", "seed")
"""Options of ``fit`` that the search gives to each trial itself."""


@dataclass(frozen=True, eq=False, repr=False)
class TableSearchRun(Plotted):
    """What a search over a table's networks gives.

    Attributes:
        found: the search: trials, why it ended, warnings.
        run: the best network, with its results on the test rows.
        settings: of the best network; ``fit_prepared`` trains it again with them.
    """

    found: SearchRun
    run: TableRun
    settings: TableSettings

    def __repr__(self) -> str:
        return f"TableSearchRun({self.found!r}, {self.run!r})"

    def __post_init__(self) -> None:
        """Take over what pictures need."""
        for name in ("trials", "space", "metric", "maximise"):
            object.__setattr__(self, name, getattr(self.found, name))

    @property
    def model(self) -> Model:
        """The best network, ready to predict tables with the same columns."""
        return self.run.model

    @property
    def test(self) -> Metrics:
        """The best network's metrics on the test rows, which no trial has seen."""
        return self.run.test

    @property
    def baselines(self) -> Mapping[str, Metrics]:
        """The same metrics of simple models."""
        return self.run.baselines

    @property
    def best(self) -> Trial:
        """The best trial."""
        return self.found.best

    @property
    def prepared(self) -> PreparedTable:
        """The table as all trials were trained on it."""
        return self.run.prepared

    def report(self) -> str:
        """The results on the test rows beside the baselines, as text."""
        return self.run.report()

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write model, ``trials.csv``, ``space.toml`` and pictures into a folder.

        Returns:
            The path of the model file.

        Raises:
            FileError: the folder or a file cannot be written.
        """
        place = made_folder(Path(folder))
        path = self.run.save(place)
        write_report(self.found, self.shown(), place)
        write_space(place, self.space, None)
        return path


def search_table(
    source: Any,
    target: str,
    space: Space | Mapping[str, Any] | str | os.PathLike[str] | None = None,
    *,
    trials: int = 100,
    sampler: Any = "random",
    scheduler: Any = None,
    metric: str = "validation_loss",
    epochs: int = _EPOCHS,
    early_stopping: int | None = _PATIENCE,
    time_limit: float | None = None,
    population: int | None = None,
    threads: int | None = None,
    task: Literal["auto"] | Task = "auto",
    kinds: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    categories: str = "one_hot",
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    folder: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool | SearchDisplay | None = None,
) -> TableSearchRun:
    """Try many networks for a table, and test the best one.

    The table is read, split and encoded as :func:`fit_table` does it, once for all trials. Trials
    are compared on the validation rows; the test rows are used once, for the best network at the
    end.

    Args:
        source: a path, a built-in name, a data frame, a dict of columns.
        target: the column to predict.
        space: names of :class:`TableSettings` and their ranges, ``depth`` and ``width`` of the
            hidden layers, and paths such as ``"optimizer.beta1"``; a TOML file of them; or None for
            a space that suits most tables.
        trials: networks to try, with those of the folder's journal.
        sampler: ``grid``, ``random``, ``quasi_random``, ``tpe``, ``gaussian_process``.
        scheduler: drops weak networks early: ``asha``, ``hyperband``, ``successive_halving``,
            ``population_based``; None trains all to their end.
        metric: ``validation_loss``, ``validation_accuracy`` or ``train_loss``.
        epochs: passes over the training rows at most.
        early_stopping: patience in epochs, or None.
        time_limit: seconds after which the search ends with what it has.
        population: networks that are proposed together.
        threads: networks that are trained at once; by default one for each core.
        task: ``classification``, ``regression``, or ``auto`` by the target's values.
        kinds: kinds of columns that overrule what is inferred.
        drop: columns to leave out.
        categories: how they reach the network: ``one_hot`` or ``embedding``.
        fractions: shares of training, validation and test rows.
        seed: of the split, the proposals and the networks.
        folder: where the journal is kept, and the best model whenever a better one is found; at the
            end ``trials.csv``, ``space.toml`` and pictures too.
        resume: go on with the journal in the folder.
        progress: True or None shows progress when in a terminal, False is silent.

    Returns:
        The best network, its results on the test rows beside baselines, and all trials.

    Raises:
        SettingError: an unknown name, a value outside its range, the journal of another search.
        FileError, ColumnError, DataError: a file, column or table that cannot be learned from.
        NonFiniteError: every network of the first generation met NaN or infinity.
        KeyboardInterrupt: Ctrl-C before any network was trained.

    >>> run = search_table("iris", "target", {"width": [4, 8]}, trials=2, epochs=20, progress=False)
    >>> len(run.found.trials), run.best.settings["width"] in (4, 8), sorted(run.baselines)
    (2, True, ['logistic regression', 'majority class'])
    """
    settings = TableSettings(epochs=epochs, early_stopping=early_stopping, seed=seed)
    chosen = None if space is None else as_space(space)
    if chosen is not None:
        check_table_space(chosen, settings)
    prepared = prepare_table(
        source, target, task=task, kinds=kinds, drop=drop, categories=categories,
        fractions=fractions, seed=seed,
    )  # fmt: skip
    if chosen is None:
        chosen = Space(tomllib.loads(default_space_text(len(prepared.split.train))))
    display = progress if isinstance(progress, SearchDisplay) else _display(progress, chosen)
    return search_prepared(
        prepared, chosen, settings, trials=trials, sampler=sampler, scheduler=scheduler,
        metric=metric, time_limit=time_limit, population=population, threads=threads,
        folder=folder, resume=resume, display=display,
    )  # fmt: skip


def as_space(space: Any) -> Space:
    """A space as it is, from a mapping, or from a TOML file.

    Raises:
        SettingError: a range that is empty or wrong, or anything else.
        FileError: the file cannot be read.
    """
    if isinstance(space, Space):
        return space
    return read_space(space) if isinstance(space, (str, os.PathLike)) else Space(space)


def _display(progress: bool | None, space: Space) -> SearchDisplay:
    if progress is False:
        return SearchDisplay()
    return search_display(space.varying, always=progress is True)


def search_prepared(
    prepared: PreparedTable,
    space: Space,
    settings: TableSettings,
    *,
    folder: str | os.PathLike[str] | None = None,
    resume: bool = False,
    display: SearchDisplay | None = None,
    space_text: bytes | None = None,
    **options: Any,
) -> TableSearchRun:
    """Search on a table that :func:`prepare_table` gave; see :func:`search_table`.

    Args:
        prepared: the table.
        space: names and ranges.
        settings: what all trials share.
        folder: where files go.
        resume: go on with the journal there.
        display: what shows the search.
        space_text: what ``space.toml`` holds, by default the space without comments.
        options: of :func:`search`.
    """
    check_table_space(space, settings)
    _check_rows(prepared, options.get("metric", ""))
    _check_batches(space, len(prepared.split.train))
    place = None if folder is None else made_folder(Path(folder))
    train, validation, _ = prepared.split
    x, y = prepared.x, table_targets(prepared, with_searched(settings, _constants(space)))
    found = search(
        _builder(prepared, settings),
        space,
        x[train],
        y[train],
        validation=(x[validation], y[validation]),
        epochs=settings.epochs,
        early_stopping=settings.early_stopping,
        seed=settings.seed,
        journal=None if place is None else place / JOURNAL,
        resume=resume,
        progress=display if place is None else Begun(display, place, space, space_text),
        kept=None if place is None else _keeper(prepared, settings, place),
        **options,
    )
    if not found.ranking and found.reason == "interrupted":
        raise KeyboardInterrupt
    best = found.best
    own = _settings_of(settings, best)
    run = TableSearchRun(found, with_results(Learned(found.run), prepared, own), own)
    if place is not None:
        run.save(place)
    return run


def _check_rows(prepared: PreparedTable, metric: str) -> None:
    """Refuse tables whose trials cannot be compared.

    Raises:
        SettingError: no validation rows, or accuracy of numbers.
    """
    if not len(prepared.split.validation):
        raise SettingError(
            "a search compares networks on validation rows, and this split has none; give "
            "validation a share, as in fractions=(0.6, 0.2, 0.2)"
        )
    if metric.endswith("accuracy") and prepared.task == "regression":
        raise SettingError(
            f"metric = {metric!r} is for classes, but {prepared.target.name!r} holds numbers; "
            "choose validation_loss"
        )


def _check_batches(space: Space, rows: int) -> None:
    """Refuse batches of more rows than there are.

    Raises:
        SettingError: naming both.
    """
    for value in space["batch_size"].grid(2) if "batch_size" in space else ():
        if isinstance(value, int) and value > rows:
            raise SettingError(
                f"the space's batch_size = {value} is beyond the {rows:,} training rows; leave it "
                "out, or lower it"
            )


def _constants(space: Space) -> dict[str, Any]:
    """What does not vary."""
    constant = [name for name in space if name not in space.varying and "." not in name]
    return {name: space[name].at(0.5) for name in constant if not space[name].when}


def _settings_of(settings: TableSettings, trial: Trial) -> TableSettings:
    """The settings of a trial, with its own seed."""
    own = with_searched(settings, trial.settings)
    return own if "seed" in trial.settings else dataclasses.replace(own, seed=trial.seed)


def _builder(
    prepared: PreparedTable, settings: TableSettings
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """From a trial's settings to the arguments of ``fit``."""

    def table(values: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: values[name] for name in values}
        own = with_searched(settings, given)
        own.check()
        options = fit_options(prepared, own)
        kept = {name: options[name] for name in options if name not in _NOT_BUILT}
        if "seed" in given:
            kept["seed"] = own.seed
        return {"network": table_network(prepared, own), **kept}

    return table


def _keeper(
    prepared: PreparedTable, settings: TableSettings, place: Path
) -> Callable[[Trial, TrainedRun], None]:
    """What saves the best network so far."""

    def keep(trial: Trial, run: TrainedRun) -> None:
        without_results(Learned(run), prepared, _settings_of(settings, trial)).save(place)

    return keep


__all__ = ["TableSearchRun", "as_space", "search_prepared", "search_table"]
