"""``search``: hyperparameters found by training many networks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from thalweg.data.table import nearest
from thalweg.descriptions import Plain
from thalweg.descriptions.spec import spec_of
from thalweg.errors import DescriptionError, SettingError
from thalweg.graph import Array
from thalweg.model.model import Model
from thalweg.nn.layer import Layer
from thalweg.searching.assembling import Assembly, check_space
from thalweg.searching.data import digest_of, one_split
from thalweg.searching.engine import Engine
from thalweg.searching.goal import FREE, Goal
from thalweg.searching.journal import Journal
from thalweg.searching.memory import Memory
from thalweg.searching.result import SearchRun
from thalweg.searching.samplers import Sampler, as_sampler
from thalweg.searching.schedulers import Asha, EveryTrial, Scheduler, as_scheduler
from thalweg.searching.showing.display import SearchDisplay, SearchState
from thalweg.searching.spaces.space import Space
from thalweg.searching.trial import FAILED, STOPPED, Record, Trial
from thalweg.searching.workers import Threads, Workers
from thalweg.training.beginning import whole_number
from thalweg.training.population.tasks import TaskCrew
from thalweg.training.result import TrainedRun

_METRICS = ("validation_loss", "validation_accuracy", "train_loss")
_SHORT = {"loss": "validation_loss", "accuracy": "validation_accuracy"}
_POPULATION, _LEARNING = 16, 4
_SHOWN = 5


def search(
    build: Callable[[Any], Any] | Layer,
    space: Space | Mapping[str, Any],
    x: Any,
    y: Any,
    *,
    trials: int = 100,
    sampler: Sampler | str = "random",
    scheduler: Scheduler | str | None = None,
    metric: str = "validation_loss",
    maximise: bool | None = None,
    validation: Any = 0.2,
    epochs: int = 20,
    population: int | None = None,
    time_limit: float | None = None,
    journal: str | os.PathLike[str] | None = None,
    resume: bool = True,
    seed: int = 0,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool | SearchDisplay | None = None,
    kept: Callable[[Trial, TrainedRun], None] | None = None,
    **options: Any,
) -> SearchRun:
    """Train many networks whose settings come from a space, and keep the best.

    Trials are proposed in generations and trained on all cores; those of one shape share one
    program. All are judged by the same validation rows. What is proposed and what is trained does
    not depend on the number of threads, and each trial is bit for bit the network that ``fit``
    gives for its settings and its seed.

    Args:
        build: a network, or a function from a trial's settings to a network or to a mapping of
            ``fit``'s arguments (``{"network": …, "optimizer": …}``).
        space: names and their ranges. Names that are arguments of ``fit`` (``batch_size``,
            ``penalty``, ``epochs``, …), and paths into descriptions (``optimizer.learning_rate``,
            ``network.2.rate``) are put there; all names are given to ``build`` as well.
        x: inputs, as for ``fit``.
        y: targets, as for ``fit``.
        trials: how many to propose in all; those of the journal count, and where it holds more,
            all of them are kept.
        sampler: ``grid``, ``random``, ``quasi_random``, ``tpe``, ``gaussian_process``, or one with
            settings of its own.
        scheduler: None trains every trial to its end; ``successive_halving``, ``hyperband``,
            ``asha``, ``population_based``.
        metric: by which trials are compared: ``validation_loss``, ``validation_accuracy`` or
            ``train_loss``, after the last epoch, or after the best one where early stopping
            restores it.
        maximise: whether larger is better; None: for accuracy.
        validation: a share of the rows, split off once for all trials, or your own, as for ``fit``.
        epochs: of a trial, at most.
        population: trials of a generation: as many are proposed knowing the same trials. By
            default 16; 4 where the sampler learns (``tpe``, ``gaussian_process``) and the scheduler
            is None or ``asha``.
        time_limit: seconds after which the search ends with what it has.
        journal: a file that keeps the search, so that the same call goes on after any interruption.
        resume: whether a journal that is there is gone on with; False refuses it.
        seed: of the proposals, the split, and the trials' own seeds.
        threads: trials that are trained at once, by default one for each core.
        executor: of ``concurrent.futures``, which trains the trials, in other processes or on other
            machines.
        progress: True or None shows the search when in a terminal, False is silent.
        kept: called with a trial and its run whenever it is the best so far.
        options: of ``fit``, for all trials (``loss``, ``optimizer``, ``batch_size``, …).

    Returns:
        The trials, the best of them and its model. After Ctrl-C too.

    Raises:
        SettingError: a name that nothing uses, a setting outside its range, a journal of another
            search, or a first generation that failed wholly.
        DataError, ShapeError: data that does not fit.
        FileError: the journal cannot be read or written, or another process has it open.

    Source: Bergstra and Bengio, "Random search for hyper-parameter optimization", 2012.

    >>> import numpy as np, thalweg as tw
    >>> x = np.linspace(-1, 1, 100)[:, None]
    >>> found = search(
    ...     lambda s: tw.Sequential(tw.Linear(s["width"]), tw.Tanh(), tw.Linear(1)),
    ...     {"width": [4, 8], "optimizer.learning_rate": tw.Range(1e-4, 1e-1, log=True)},
    ...     x, x[:, 0] ** 2, trials=6, epochs=5,
    ... )
    >>> len(found.trials), found.best.value == min(trial.value for trial in found.trials)
    (6, True)
    """
    goal = _goal(
        build, space, x, y, options, trials=trials, sampler=sampler, scheduler=scheduler,
        metric=metric, maximise=maximise, validation=validation, epochs=epochs,
        population=population, time_limit=time_limit, seed=seed,
    )  # fmt: skip
    workers = _workers(threads, executor)
    opened = _opened(journal, resume, goal, options)
    try:
        memory = Memory(goal.space, opened)
        asked, goal = goal, replace(goal, trials=max(goal.trials, memory.proposed))
        found = _run(goal, workers, memory, _display(progress, goal), kept)
        found.notes = _notes(asked.trials, goal.trials)
        return found
    finally:
        if opened is not None:
            opened.close()


def _notes(asked: int, total: int) -> tuple[str, ...]:
    """What is said where the journal holds more trials than are asked for."""
    if total <= asked:
        return ()
    return (
        f"The journal holds {total:,} trials, more than the {asked:,} asked for; all are kept.",
    )


def _goal(build: Any, space: Any, x: Any, y: Any, options: dict[str, Any], **given: Any) -> Goal:
    """What is to be done, checked."""
    for name in ("trials", "epochs"):
        whole_number(name, given[name], 1)
    whole_number("seed", given["seed"], 0)
    limit = given["time_limit"]
    if limit is not None and not (isinstance(limit, (int, float)) and limit > 0):
        raise SettingError(f"time_limit must be a number of seconds above 0, got {limit!r}")
    entries = space if isinstance(space, Space) else Space(space)
    check_space(entries.names)
    metric = _metric(given["metric"], given["validation"])
    _check_comparable(entries, metric)
    scheduler = as_scheduler(given["scheduler"])
    scheduler.check(given["epochs"])
    maximise = metric.endswith("accuracy") if given["maximise"] is None else given["maximise"]
    weights = options.get("sample_weight")
    sampler = as_sampler(given["sampler"])
    population = given["population"]
    if population is None:
        population = _usual_population(sampler, scheduler)
    whole_number("population", population, 1)
    return Goal(
        entries,
        sampler,
        scheduler,
        Assembly(build, {**options, "epochs": given["epochs"]}),
        one_split(x, y, given["validation"], weights, given["seed"]),
        metric,
        bool(maximise),
        given["epochs"],
        given["trials"],
        population,
        given["seed"],
        limit,
    )


def _usual_population(sampler: Sampler, scheduler: Scheduler) -> int:
    """Few where the sampler learns, unless the scheduler compares a population with itself."""
    learns = not isinstance(sampler, FREE)
    return _LEARNING if learns and isinstance(scheduler, (EveryTrial, Asha)) else _POPULATION


def _metric(name: Any, validation: Any) -> str:
    metric = _SHORT.get(name, name)
    if metric not in _METRICS:
        near = nearest(str(name), _METRICS)
        hint = f"; did you mean {near!r}?" if near else ""
        raise SettingError(f"metric = {name!r} is not one of {', '.join(_METRICS)}{hint}")
    if validation is None and metric.startswith("validation"):
        raise SettingError(
            f"metric = {metric!r} needs validation rows: give validation a share such as 0.2, or "
            "choose metric='train_loss'"
        )
    return str(metric)


def _check_comparable(space: Space, metric: str) -> None:
    """Refuse losses that differ among trials where the loss is what is compared."""
    for name in space.varying:
        if name.partition(".")[0] == "loss" and metric.endswith("loss"):
            raise SettingError(
                f"the space varies {name}, but {metric} can only be compared where the loss is "
                "the same; choose metric='validation_accuracy', or give the loss one value"
            )


def _workers(threads: int | None, executor: Executor | None) -> Workers:
    """What trains the trials."""
    return Threads(threads) if executor is None else TaskCrew(executor)


def _display(progress: bool | SearchDisplay | None, goal: Goal) -> SearchDisplay:
    """What shows the search."""
    if isinstance(progress, SearchDisplay):
        return progress
    if progress is False:
        return SearchDisplay()
    from thalweg.searching.showing.live import search_display

    return search_display(goal.space.varying, always=progress is True)


# ------------------------------------------------------------------ the journal


def _opened(path: Any, resume: bool, goal: Goal, options: Mapping[str, Any]) -> Journal | None:
    if path is None:
        return None
    file = Path(path)
    if not resume and file.exists() and file.stat().st_size:
        raise SettingError(
            f"journal {file} exists already: resume=True goes on with it; else choose another "
            "file, or remove it"
        )
    return Journal.open(file, _head(goal, options))


def _head(goal: Goal, options: Mapping[str, Any]) -> dict[str, Plain]:
    """What must be the same for a search to go on; the number of trials may grow."""
    given = {name: _told(value) for name, value in options.items() if name != "sample_weight"}
    build = goal.assembly.build
    return {
        "space": goal.space.fingerprint,
        "data": digest_of(dict(goal.data), options.get("sample_weight")),
        "network": _told(build),
        "sampler": spec_of(goal.sampler),
        "scheduler": spec_of(goal.scheduler),
        "metric": goal.metric,
        "maximise": goal.maximise,
        "epochs": goal.epochs,
        "population": goal.population,
        "seed": goal.seed,
        "options": dict(sorted(given.items())),
    }


def _told(value: Any) -> Plain:
    """An option as text; of a function only its name, since its text says nothing."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    if isinstance(value, Model):
        value = {**value.parameters, **value.states}
    if isinstance(value, np.ndarray):
        array = cast("Array", value)
        return f"{array.dtype}{array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {repr(name): _told(item) for name, item in items}
    if isinstance(value, (list, tuple)):
        return [_told(item) for item in cast("list[Any]", value)]
    try:
        return spec_of(value)
    except (DescriptionError, TypeError):
        return str(getattr(value, "__qualname__", type(value).__qualname__))


# ------------------------------------------------------------------ the run


def _run(
    goal: Goal,
    workers: Workers,
    memory: Memory,
    display: SearchDisplay,
    kept: Callable[[Trial, TrainedRun], None] | None,
) -> SearchRun:
    def keep(record: Record, run: TrainedRun) -> None:
        if kept is not None:
            kept(record.trial(), run)

    engine = Engine(goal, memory, workers, keep if kept is not None else None)
    told = _Told(engine, display)
    engine.ticked = told.update
    try:
        display.start(goal.trials, goal.metric, goal.maximise)
        reason = engine.run()
        seconds = engine.seconds
        if reason != "interrupted" and kept is not None:
            engine.best_run()
        display.finish(told.state(), reason)
    finally:
        display.close()
    best = engine.best
    trials = tuple(record.trial() for record in engine.records)
    return SearchRun(
        trials, goal.space, goal.metric, goal.maximise, reason, seconds, engine.trained,
        engine.best_run, None if best is None else best.number,
    )  # fmt: skip


class _Told:
    """What a display was told of an engine."""

    def __init__(self, engine: Engine, display: SearchDisplay) -> None:
        self._engine = engine
        self._display = display
        self._count = 0
        self._remembered = engine.memory.ended

    def update(self) -> None:
        """Tell it of trials that have ended, and where the search stands."""
        ended = self._engine.ended
        while self._count < len(ended):
            self._display.trial(ended[self._count].trial())
            self._count += 1
        self._display.update(self.state())

    def state(self) -> SearchState:
        """Where the search stands."""
        engine = self._engine
        records = list(engine.records)
        ended = [record for record in records if record.ended]
        best = engine.ranked(records)[:_SHOWN]
        total, done, seconds = engine.goal.trials, len(ended), engine.seconds
        new = done - min(self._remembered, done)
        left = seconds / new * max(total - done, 0) if new else float("nan")
        if engine.goal.time_limit is not None:
            left = min(engine.goal.time_limit - seconds, left) if new else left
        return SearchState(
            [record.trial() for record in best], done, total, engine.running,
            sum(record.state == STOPPED for record in ended),
            sum(record.state == FAILED for record in ended),
            engine.trained / seconds if seconds else 0.0, seconds, max(left, 0.0),
            sum(record.epochs > 0 for record in records),
        )  # fmt: skip


__all__ = ["search"]
