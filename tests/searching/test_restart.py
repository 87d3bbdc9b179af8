"""A search that was killed goes on: nothing lost, nothing left running, the same proposals."""

import csv
import json
import random
import subprocess

import numpy as np
import pytest
from tests.searching.problems import SPACE, facts, moons, same_model, small, told
from tests.storage.killing import run_python

import thalweg as tw
from thalweg.errors import FileError, SettingError
from thalweg.searching.journal import Journal, read_journal
from thalweg.searching.search import search

SCHEDULERS = [None, "successive_halving", "hyperband", "asha", "population_based(every=3)"]

CHILD = """
import sys
from pathlib import Path
from tests.searching.problems import small

print("ready", flush=True)
small(Path(sys.argv[1]), trials=TRIALS, epochs=EPOCHS, sampler="SAMPLER", scheduler="SCHEDULER")
"""


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_journal_cut_anywhere_gives_the_same_search(tmp_path, scheduler):
    options = {"scheduler": scheduler, "sampler": "tpe(startup=4)"}
    path = tmp_path / "whole.jsonl"
    whole = small(path, **options)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    part = tmp_path / "part.jsonl"
    for count in (1, len(lines) // 3, 2 * len(lines) // 3, len(lines)):
        torn = lines[count][:30] if count < len(lines) else ""
        part.write_text("".join(lines[:count]) + torn, encoding="utf-8")
        found = small(part, **options)
        assert told(part) == told(path)
        assert facts(found) == facts(whole)
        assert same_model(found.model, whole.model)


def test_what_is_finished_is_not_trained_again(tmp_path):
    path = tmp_path / "journal.jsonl"
    first = small(path)
    again = small(path)
    assert (first.trained, again.trained) == (12, 0)
    assert facts(again) == facts(first)
    more = small(path, trials=15)
    assert more.trained == 3
    assert facts(more)[:12] == facts(first)
    assert facts(more) == facts(small(trials=15))


def test_the_journal_holds_a_line_for_each_event(tmp_path):
    path = tmp_path / "journal.jsonl"
    found = small(path, scheduler="asha")
    head, events = read_journal(path)
    assert head["metric"] == "validation_loss"
    assert head["scheduler"] == "asha"
    proposals = [event for event in events if event["event"] == "proposal"]
    assert [event["number"] for event in proposals] == list(range(12))
    finished = {event["number"]: event for event in events if event["event"] == "finished"}
    stopped = {event["number"] for event in events if event["event"] == "stopped"}
    for trial in found.trials:
        assert (trial.number in finished) == (trial.state == "finished")
        assert (trial.number in stopped) == (trial.state == "stopped")
    best = finished[found.best.number]
    assert best["value"] == found.best.value
    assert best["history"]["validation_loss"][-1] == found.best.value


def test_failed_trials_are_remembered(tmp_path):
    path = tmp_path / "journal.jsonl"
    space = {"optimizer": ["sgd(1e39)", "adam"], "width": [4]}
    options = {"space": space, "sampler": "grid", "trials": 2, "epochs": 2}
    first = small(path, **options)
    again = small(path, **options)
    assert again.trained == 0
    assert facts(again) == facts(first)
    assert again.trials[0].state == "failed"


# ------------------------------------------------------------------ another search


def refused(path, words, **options):
    before = path.read_bytes()
    with pytest.raises(SettingError, match=words):
        small(path, **options)
    assert path.read_bytes() == before


def test_the_journal_of_another_search_is_refused(tmp_path):
    path = tmp_path / "journal.jsonl"
    small(path, trials=2, epochs=1)
    refused(path, "space", trials=2, epochs=1, space={**SPACE, "width": [4, 9]})
    refused(path, "epochs", trials=2, epochs=2)
    refused(path, "sampler", trials=2, epochs=1, sampler="quasi_random")
    refused(path, "scheduler", trials=2, epochs=1, scheduler="asha")
    refused(path, "seed", trials=2, epochs=1, seed=1)
    refused(path, "options", trials=2, epochs=1, batch_size=16)
    refused(path, "exists already", trials=2, epochs=1, resume=False)


STARTS = [{"weight": np.full((4, 2), value, "float32")} for value in (0.0, 1.0)]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("class_weight", [{0: 1.0, 1: 2.0}, {0: 1.0, 1: 3.0}]),
        ("frozen", [["weight"], ["bias"]]),
        ("start", STARTS),
        ("batch_size", [np.int64(16), np.int64(32)]),
        ("classes", [[0, 1], [1, 0]]),
    ],
)
def test_other_values_of_an_option_are_another_search(tmp_path, name, values):
    path = tmp_path / "journal.jsonl"
    x, y = moons()

    def run(value):
        space = {"optimizer.learning_rate": tw.Range(0.01, 0.1)}
        options = {"trials": 1, "epochs": 1, "journal": path, "progress": False}
        return search(tw.Linear(2), space, x, y, **options, **{name: value})

    run(values[0])
    assert run(values[0]).trained == 0
    with pytest.raises(SettingError, match=f"another search: options.{name}"):
        run(values[1])


def test_the_journal_of_another_data_set_is_refused(tmp_path):
    path = tmp_path / "journal.jsonl"
    small(path, trials=2, epochs=1)
    x, y = moons()
    x[159, 3] += 1e-3
    with pytest.raises(SettingError, match="data"):
        search(
            lambda s: None, SPACE, x, y, journal=path, trials=2, epochs=1, population=6,
            batch_size=32,
        )  # fmt: skip


def test_two_searches_on_one_journal_are_refused(tmp_path):
    path = tmp_path / "journal.jsonl"
    small(path, trials=2, epochs=1)
    head = dict(read_journal(path)[0])
    for key in ("format", "version", "thalweg"):
        head.pop(key)
    with Journal.open(path, head), pytest.raises(FileError, match="has this journal open"):
        small(path, trials=2, epochs=1)


def test_events_of_something_else_are_named(tmp_path):
    path = tmp_path / "journal.jsonl"
    small(path, trials=2, epochs=1)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"event": "proposal", "number": 2, "settings": 3, "seed": 0}) + "\n")
    with pytest.raises((FileError, SettingError), match="journal"):
        small(path, trials=2, epochs=1)


# ------------------------------------------------------------------ kills


def check_kills(folder, kills, trials, epochs, sampler, scheduler):
    options = {"trials": trials, "epochs": epochs, "sampler": sampler, "scheduler": scheduler}
    whole = small(folder / "whole.jsonl", **options)
    code = CHILD
    for name, value in options.items():
        code = code.replace(name.upper(), str(value))
    path = folder / "journal.jsonl"
    chance = random.Random(0)
    killed, before = 0, 0
    for _ in range(kills):
        with run_python(["-c", code, str(path)]) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            try:
                process.wait(timeout=chance.uniform(0.02, 0.5))
            except subprocess.TimeoutExpired:
                process.kill()
                killed += 1
        size = path.stat().st_size if path.exists() else 0
        assert size >= before - 4096  # only a torn last line is ever cut off
        before = size
    assert killed > 0
    found = small(path, **options)
    assert told(path) == told(folder / "whole.jsonl")
    assert facts(found) == facts(whole)
    assert {trial.state for trial in found.trials} <= {"finished", "stopped", "failed"}
    assert same_model(found.model, whole.model)


def test_three_kills(tmp_path):
    check_kills(tmp_path, 3, 24, 9, "tpe(startup=6)", "asha")


@pytest.mark.soak
@pytest.mark.parametrize(
    ("sampler", "scheduler"),
    [("random", "none"), ("gaussian_process", "hyperband"), ("tpe", "population_based(every=3)")],
)
def test_fifty_kills(tmp_path, sampler, scheduler):
    check_kills(tmp_path, 50, 200, 27, sampler, scheduler)


# ------------------------------------------------------------------ population-based training


def test_copies_go_on_from_the_state_of_their_parents_bit_for_bit(tmp_path):
    """With rows in one order and settings all but the same, a copy repeats its parent."""
    path = tmp_path / "journal.jsonl"
    space = {"optimizer.learning_rate": tw.Range(1e-4, 1.0, log=True), "width": [8]}
    scheduler = "population_based(every=3, factor=1.000000000001)"
    small(path, space=space, scheduler=scheduler, shuffle=False)
    _, events = read_journal(path)
    reached = {(e["number"], e["until"]): e for e in events if e["event"] in {"rung", "finished"}}
    copies = [event for event in events if event["event"] == "copy"]
    assert len(copies) == 4  # one weak trial of six, after 3 and after 6 epochs, in 2 populations
    for copy in copies:
        until = copy["epoch"] + 3
        child, parent = reached[copy["number"], until], reached[copy["parent"], until]
        for name in ("train_loss", "validation_loss", "validation_accuracy"):
            assert child["history"][name] == parent["history"][name]
        before = reached[copy["number"], copy["epoch"]]["value"]
        assert before > reached[copy["parent"], copy["epoch"]]["value"]


def test_a_trial_that_went_on_from_another_tells_of_both(tmp_path):
    path = tmp_path / "journal.jsonl"
    found = small(path, scheduler="population_based(every=3)")
    _, events = read_journal(path)
    begun = {e["number"]: e["settings"] for e in events if e["event"] == "proposal"}
    copies = [e for e in events if e["event"] == "copy"]
    told_of = [
        {"number": t.number, "parent": c.parent, "epoch": c.epoch, "settings": c.settings}
        for t in small(path, scheduler="population_based(every=3)").trials
        for c in t.changes
    ]
    keys = ("number", "parent", "epoch", "settings")
    assert told_of == sorted(
        ({key: e[key] for key in keys} for e in copies), key=lambda e: (e["number"], e["epoch"])
    )
    assert all(trial.began == begun[trial.number] for trial in found.trials)
    assert any(trial.began != trial.settings for trial in found.trials)
    found.to_csv(tmp_path / "trials.csv")
    with (tmp_path / "trials.csv").open(encoding="utf-8", newline="") as file:
        for row, trial in zip(csv.DictReader(file), found.trials, strict=True):
            assert row["parent"] == ("" if trial.parent is None else str(trial.parent))
            assert row["began.width"] == str(trial.began["width"])


def test_fewer_trials_than_the_journal_holds_lose_none(tmp_path):
    path = tmp_path / "journal.jsonl"
    whole = small(path)
    again = small(path, trials=5)
    assert facts(again) == facts(whole)
    assert again.warnings[0].startswith("The journal holds 12 trials, more than the 5 asked for")
    assert whole.notes == ()
