"""``thalweg search``: many networks for a table, and the best of them tested and saved."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from thalweg.cli import options
from thalweg.cli import search_options as own
from thalweg.cli.console import Output, say, say_entry, tell
from thalweg.cli.folders import MODEL, check_former, claimed
from thalweg.cli.talk import Talk
from thalweg.cli.train import holds_images, parse_patience, place_of, prepared_table
from thalweg.data.table import plural
from thalweg.errors import FileError, SettingError

if TYPE_CHECKING:
    from typing import TextIO

    from thalweg.searching.showing.display import SearchDisplay
    from thalweg.searching.spaces.space import Space
    from thalweg.searching.tables import TableSearchRun
    from thalweg.tabular import PreparedTable

_MOST_EPOCHS, _PATIENCE = 50, 10


def search(
    context: typer.Context,
    file: options.File,
    target: options.Target = None,
    space: own.SpaceFile = None,
    trials: own.Trials = 100,
    sampler: own.Sampler = "random",
    scheduler: own.Scheduler = "none",
    metric: own.Metric = "validation_loss",
    epochs: own.Epochs = _MOST_EPOCHS,
    early_stopping: own.Patience = _PATIENCE,
    time_limit: own.TimeLimit = None,
    population: own.Population = None,
    threads: own.Threads = None,
    task: options.Task = "auto",
    kind: options.Kinds = None,
    drop: options.Drop = None,
    categories: options.Categories = "one_hot",
    seed: own.Seed = 0,
    out: own.Out = None,
    overwrite: options.Overwrite = False,
    resume: own.Resume = False,
    json: own.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Try many networks for a table, and keep the best.

    All are trained on the same rows and compared on the same validation rows. The best one is
    tested once, beside simple baselines, and saved as DIR/model.safetensors; while the search goes
    on, the best one so far is there. DIR also holds the journal, all trials as trials.csv, the
    space, and pictures.

    SPEC is a name with its settings, such as tpe, tpe(startup=32), or asha(lowest=2, factor=4);
    docs/search.md explains them.

    Ctrl-C stops the search: what was found is tested and saved, and the exit code is 1. Killed or
    stopped in any way, the search goes on with --resume as if nothing had happened.
    """
    _search(file, context.params)


def _search(file: str, given: dict[str, Any]) -> None:
    """Search with the command's parameters."""
    if holds_images(file):
        raise SettingError(f"thalweg search is for tables, but {file} holds images")
    from thalweg.searching.checking import check_table_space
    from thalweg.searching.showing.report import JOURNAL, SPACE
    from thalweg.searching.spaces.toml import read_space
    from thalweg.searching.tables import search_prepared
    from thalweg.tabular.settings import TableSettings

    settings = TableSettings(
        epochs=given["epochs"],
        early_stopping=parse_patience(given["early_stopping"]),
        seed=given["seed"],
    )
    settings.check()
    own.check_specs(given["sampler"], given["scheduler"], given["epochs"])
    limit = own.parse_time(given["time_limit"])
    resume = given["resume"]
    place = place_of(file, given["out"], resume=resume)
    path = _space_file(given["space"], place / SPACE, resume=resume)
    try:
        chosen = None if path is None else read_space(path)
    except FileError as error:
        raise SettingError(f"--space: {error}") from error
    if chosen is not None:
        check_table_space(chosen, settings)
    talk = Talk(json=given["json"], quiet=given["quiet"])
    with claimed(place):
        prepared = prepared_table(
            file, given["target"], given["task"], given["kind"] or (), given["drop"] or (),
            given["categories"], given["seed"],
        )  # fmt: skip
        talk.table(prepared)
        _check_place(place / JOURNAL, prepared, overwrite=given["overwrite"], resume=resume)
        chosen = chosen or _default_space(prepared)
        _tell_plan(talk, chosen, path, place / SPACE, given)
        run = search_prepared(
            prepared,
            chosen,
            settings,
            trials=given["trials"],
            sampler=given["sampler"],
            scheduler=given["scheduler"],
            metric=given["metric"],
            time_limit=limit,
            population=given["population"],
            threads=given["threads"],
            folder=place,
            resume=True,
            space_text=_space_text(path, prepared),
            display=_display(talk, chosen),
        )
    _tell_results(talk, run, file, place)
    if run.found.reason == "interrupted":
        raise typer.Exit(1)


# ------------------------------------------------------------------ the space


def _space_file(given: str | None, kept: Path, *, resume: bool) -> Path | None:
    """The file of the space: the one that is named, or that of the search that goes on."""
    if given is not None:
        return Path(given)
    return kept if resume and kept.exists() else None


def _default_space(prepared: PreparedTable) -> Space:
    import tomllib

    from thalweg.searching.default_space import default_space_text
    from thalweg.searching.spaces.space import Space

    return Space(tomllib.loads(default_space_text(len(prepared.split.train))))


def _space_text(path: Path | None, prepared: PreparedTable) -> bytes:
    """The space as the user wrote it, or with comments on how to."""
    from thalweg.searching.default_space import default_space_text

    text = default_space_text(len(prepared.split.train)).encode()
    return text if path is None else path.read_bytes()


def _check_place(journal: Path, prepared: PreparedTable, *, overwrite: bool, resume: bool) -> None:
    """Refuse to mix a search with an earlier one, or with a run of something else.

    Raises:
        SettingError: what is in the folder, and what to do.
    """
    place = journal.parent
    if resume:
        if not journal.exists():
            tell("note", f"{journal} is not there, so that the search starts from the beginning")
        return
    if overwrite:
        journal.unlink(missing_ok=True)
        return
    if journal.exists():
        raise SettingError(
            f"{journal} is there already: go on with it by --resume, choose another folder with "
            "--out, or start over with --overwrite"
        )
    said = check_former(place, prepared.table.origin, prepared.target.name)
    if said:
        tell("note", said)


# ------------------------------------------------------------------ what is said


def _display(talk: Talk, space: Space) -> SearchDisplay:
    from thalweg.searching.showing.display import SearchDisplay
    from thalweg.searching.showing.live import JsonSearch, search_display

    if talk.json:
        return JsonSearch(cast("TextIO", Output()))
    return SearchDisplay() if talk.quiet else search_display(space.varying, always=True)


def _tell_plan(
    talk: Talk, space: Space, path: Path | None, kept: Path, given: dict[str, Any]
) -> None:
    """What is searched, and how."""
    if talk.json or talk.quiet:
        return
    from thalweg.searching.showing.live import domain_text

    where = f"from {path}" if path is not None else f"chosen for this table; edit {kept}"
    say_entry("space", where)
    for name in space:
        say_entry("", f"{name}: {domain_text(space[name])}")
    scheduler = "" if given["scheduler"] == "none" else f", scheduler {given['scheduler']}"
    limit = "" if given["time_limit"] is None else f", at most {given['time_limit']}"
    say_entry(
        "search",
        f"{plural(given['trials'], 'network')}, sampler {given['sampler']}{scheduler}, at most "
        f"{plural(given['epochs'], 'epoch')} each{limit}, seed {given['seed']}",
    )
    say()


def _tell_results(talk: Talk, run: TableSearchRun, file: str, place: Path) -> None:
    """The best network, its results, warnings, and where everything is."""
    notes = run.found.notes
    for warning in run.found.warnings:
        tell("note" if warning in notes else "warning", warning)
    ended = {"interrupted": "interrupted", "time limit": "the time is up"}.get(run.found.reason)
    if ended is not None:
        tell(
            "note",
            f"{ended} after {plural(run.found.tried, 'network')}; what was found is "
            f"kept. To go on, repeat the command with --out {place} --resume",
        )
    if talk.json:
        from thalweg.training.display import write_json_line

        write_json_line(cast("TextIO", Output()), _summary(run, place))
    elif not talk.quiet:
        _say_results(run, file, place)


def _say_results(run: TableSearchRun, file: str, place: Path) -> None:
    from thalweg.searching.showing.live import settings_text
    from thalweg.searching.showing.report import PICTURES, TRIALS

    best = run.best
    metric = run.metric.replace("_", " ")
    say(f"\nBest of {plural(run.found.tried, 'network')}: trial {best.number}")
    say_entry("value", f"{metric} {best.value:.4g}, after {plural(best.epochs, 'epoch')}")
    say_entry("settings", settings_text(best.settings, list(best.settings)))
    say(f"\n{run.report()}\n")
    say_entry("model", str(place / MODEL))
    say_entry("trials", f"{place / TRIALS}; pictures {', '.join(PICTURES)} beside it")
    words = ("thalweg", "predict", str(place / MODEL), file, "--out", "predictions.csv")
    say_entry("use it", shlex.join(words))


def _summary(run: TableSearchRun, place: Path) -> dict[str, object]:
    from thalweg.searching.showing.live import trial_values

    found = run.found
    train, validation, test = (len(rows) for rows in run.prepared.split)
    states = [trial.state for trial in found.trials]
    return {
        "model": str(place / MODEL),
        "task": run.prepared.task,
        "target": run.prepared.target.name,
        "rows": {"train": train, "validation": validation, "test": test},
        "stop_reason": found.reason,
        "metric": found.metric,
        "best": trial_values(run.best),
        "tried": found.tried,
        "trials": {state: states.count(state) for state in dict.fromkeys(states)},
        "seconds": round(found.seconds, 3),
        "networks_per_second": round(found.networks_per_second, 4),
        "warnings": list(found.warnings),
        "test": run.test,
        "baselines": dict(run.baselines),
    }
