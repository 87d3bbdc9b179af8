"""``thalweg search``: what it says, what it leaves, and that it goes on after anything."""

import csv as csv_files
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.cli.search_options import parse_time
from thalweg.errors import SettingError
from thalweg.searching import Journal, read_journal
from thalweg.searching.showing import report

SOURCE = Path(__file__).resolve().parents[2] / "src"
PROGRAM = "import sys; from thalweg.cli.main import main; sys.exit(main())"
SPACE = """\
# comments are kept
hidden = ["4", "8"]
learning_rate = {low = 1e-3, high = 1e-1, log = true}
batch_size = 32
"""
FILES = {
    "history.svg", "importance.svg", "journal.jsonl", "model.safetensors", "parallel.svg",
    "slices.svg", "space.toml", "trials.csv",
}  # fmt: skip
QUICK = ("search", "iris", "--space", "space.toml", "--trials", 6, "--epochs", 4, "--out", "run")


@pytest.fixture
def space(tmp_path):
    (tmp_path / "space.toml").write_text(SPACE, encoding="utf-8")
    return tmp_path / "space.toml"


@pytest.fixture
def pictures():
    """Pictures are drawn in the tests that ask for them."""


@pytest.fixture(autouse=True)
def _quick(request, monkeypatch):
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(report, "PICTURES", {})


def rows(path):
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv_files.DictReader(file))


def same_but_for_seconds(one, other):
    return [{**row, "seconds": ""} for row in one] == [{**row, "seconds": ""} for row in other]


def test_a_search_leaves_the_best_model_and_everything_about_the_trials(thalweg, space, pictures):
    done = thalweg(*QUICK)
    assert done.code == 0, done.err
    assert {path.name for path in Path("run").iterdir()} == FILES
    assert Path("run/space.toml").read_text(encoding="utf-8") == SPACE
    trials = rows("run/trials.csv")
    assert [row["number"] for row in trials] == [str(number) for number in range(6)]
    best = min(trials, key=lambda row: float(row["validation_loss"]))
    assert f"Best of 6 networks: trial {best['number']}" in done.out
    assert "logistic regression" in done.out
    assert "hidden: 4, 8" in done.out
    assert "learning_rate: 0.001 to 0.1, by ratios" in done.out
    assert done.err.count("trial 6/6") == 1
    assert "tried 6 networks in" in done.err
    model = tw.load("run/model.safetensors")
    assert model.parameters["0.weight"].shape[0] == int(best["hidden"])
    assert thalweg("predict", "run", "iris").code == 0


def test_the_kept_model_is_the_one_that_fit_table_trains_with_the_settings(thalweg, space):
    assert thalweg(*QUICK, "--quiet").code == 0
    best = min(rows("run/trials.csv"), key=lambda row: float(row["validation_loss"]))
    prepared = tw.tabular.prepare_table("iris", "target")
    settings = tw.TableSettings(
        hidden=(int(best["hidden"]),), learning_rate=float(best["learning_rate"]), batch_size=32,
        epochs=4, early_stopping=10, seed=int(best["seed"]),
    )  # fmt: skip
    run = tw.tabular.fit_prepared(prepared, settings, progress=False)
    model = tw.load("run/model.safetensors")
    for path, array in run.model.parameters.items():
        np.testing.assert_array_equal(model.parameters[path], array)
    assert model.record["test"] == run.model.record["test"]
    assert min(run.history["validation_loss"]) == float(best["validation_loss"])


def test_without_a_space_a_default_one_is_written_to_be_edited(thalweg):
    done = thalweg("search", "iris", "--trials", 1, "--epochs", 1, "--out", "run")
    assert done.code == 0, done.err
    assert "space chosen for this table; edit run/space.toml" in " ".join(done.out.split())
    text = Path("run/space.toml").read_text(encoding="utf-8")
    assert text.startswith("# The space of a search")
    assert set(tw.read_space("run/space.toml")) >= {"depth", "width", "dropout", "batch_size"}
    again = thalweg(
        "search", "iris", "--space", "run/space.toml", "--trials", 1, "--epochs", 1, "--quiet",
        "--out", "other",
    )  # fmt: skip
    assert again.code == 0
    assert same_but_for_seconds(rows("run/trials.csv"), rows("other/trials.csv"))


def test_json_has_a_line_for_each_trial_and_one_for_the_results(thalweg, space):
    done = thalweg(*QUICK, "--json")
    *trials, last = map(json.loads, done.out.splitlines())
    assert sorted(trial["trial"] for trial in trials) == list(range(6))
    assert all(trial["state"] == "finished" and trial["epochs"] == 4 for trial in trials)
    best = min(trials, key=lambda trial: trial["value"])
    assert last["best"]["trial"] == best["trial"]
    assert last["best"]["settings"] == best["settings"]
    assert last["trials"] == {"finished": 6}
    assert set(last["baselines"]) == {"majority class", "logistic regression"}


def test_a_search_goes_on_with_more_trials_and_ends_as_if_in_one_go(thalweg, space):
    words = QUICK[:4]
    assert thalweg(*words, "--trials", 20, "--epochs", 3, "--out", "whole", "--quiet").code == 0
    assert thalweg(*words, "--trials", 16, "--epochs", 3, "--out", "run", "--quiet").code == 0
    space.unlink()
    done = thalweg(
        "search", "iris", "--trials", 20, "--epochs", 3, "--out", "run", "--resume", "--json"
    )
    assert done.code == 0, done.err
    assert json.loads(done.out.splitlines()[-1])["trials"] == {"finished": 20}
    assert same_but_for_seconds(rows("whole/trials.csv"), rows("run/trials.csv"))
    whole, run = (tw.load(f"{name}/model.safetensors") for name in ("whole", "run"))
    for path, array in whole.parameters.items():
        np.testing.assert_array_equal(run.parameters[path], array)


def test_a_scheduler_drops_weak_networks(thalweg, space):
    done = thalweg(
        *QUICK[:4], "--trials", 9, "--epochs", 9, "--population", 9, "--out", "run",
        "--scheduler", "successive_halving", "--metric", "validation_accuracy", "--json",
    )  # fmt: skip
    *trials, last = map(json.loads, done.out.splitlines())
    winner = next(item for item in trials if item["state"] == "finished")
    assert list(winner["rungs"]) == ["1", "3", "9"]
    assert winner["rungs"]["9"] == winner["value"]
    assert last["tried"] == 9
    assert last["metric"] == "validation_accuracy"
    assert last["trials"] == {"stopped": 8, "finished": 1}
    found = rows("run/trials.csv")
    assert sorted(int(row["epochs"]) for row in found) == [1] * 6 + [3] * 2 + [9]


def test_numbers_are_searched_as_well(thalweg, csv, space):
    space.write_text(SPACE.replace("batch_size = 32", "batch_size = 8"), encoding="utf-8")
    done = thalweg(
        "search", csv(), "--target", "price", "--space", "space.toml", "--trials", 2,
        "--epochs", 2, "--drop", "city", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert json.loads(done.out.splitlines()[-1])["task"] == "regression"
    assert Path("runs/rows/model.safetensors").exists()


def test_a_best_value_at_the_edge_of_the_space_is_a_warning(thalweg, space):
    space.write_text("learning_rate = {low = 1e-9, high = 1e-8}\nwidth = 4\n", encoding="utf-8")
    words = (*QUICK, "--quiet", "--sampler")
    few = thalweg(*words, "grid(points=7)", "--trials", 7, "--out", "few")
    assert (few.code, "widen the range" in few.err) == (0, False)
    done = thalweg(*words, "grid(points=8)", "--trials", 8)
    assert done.code == 0
    assert "warning: The best learning_rate, 1e-0" in done.err
    assert "widen the range" in done.err


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("width = {low = 8, high = 8}", "space.toml, line 1: width: {low = 8, high = 8} is empty"),
        ("\nwidth = {low = 64, high = 8}", "space.toml, line 2: width"),
        ("wdth = [8, 16]", "no setting of a table's network; did you mean 'width'?"),
        ("dropout = {low = 0.0, high = 1.5}", "the space's dropout = 1.5: Dropout.rate"),
        ('optimizer = ["adam", "adma"]', "the space's optimizer = adma"),
        (
            'optimizer = ["adam", "sgd"]\n"optimizer.beta1" = [0.8, 0.9]',
            "sgd has no number 'beta1'",
        ),
        ('loss = ["focal", "cross_entropy"]', "varies loss"),
        ("width = 8", "nothing varies"),
        ("width = [", "is no TOML"),
    ],
)
def test_spaces_that_cannot_be_are_refused_before_anything_is_made(thalweg, space, text, said):
    space.write_text(text, encoding="utf-8")
    done = thalweg(*QUICK)
    assert done.code == 2
    assert said in done.err
    assert not Path("run").exists()


def test_a_space_that_is_not_there_is_refused_like_a_bad_one(thalweg):
    done = thalweg(*QUICK)
    assert (done.code, "--space: " in done.err, "space.toml" in done.err) == (2, True, True)
    assert not Path("run").exists()


def test_fewer_trials_than_the_journal_holds_lose_none(thalweg, space):
    assert thalweg(*QUICK, "--quiet").code == 0
    before, model = rows("run/trials.csv"), tw.load("run/model.safetensors")
    done = thalweg(*QUICK, "--trials", 2, "--resume", "--quiet")
    assert done.code == 0, done.err
    assert "note: The journal holds 6 trials, more than the 2 asked for" in done.err
    assert same_but_for_seconds(rows("run/trials.csv"), before)
    for path, array in tw.load("run/model.safetensors").parameters.items():
        np.testing.assert_array_equal(model.parameters[path], array)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sampler", "tpee"), "did you mean 'tpe'"),
        (("--scheduler", "asah"), "did you mean 'asha'"),
        (("--scheduler", "asha(lowest=9)"), "beyond the 4 epochs"),
        (("--metric", "validation_los"), "did you mean 'validation_loss'"),
        (("--trials", 0), "trials = 0"),
        (("--time-limit", "5x"), "--time-limit takes a time such as 90s"),
        (("--population", 0), "population = 0"),
        (("--target", "targt"), "did you mean 'target'"),
    ],
)
def test_options_that_cannot_be_are_refused_and_leave_nothing(thalweg, space, words, said):
    done = thalweg(*QUICK, *words)
    assert done.code == 2
    assert said in done.err
    assert not Path("run").exists()


def test_accuracy_of_numbers_is_refused(thalweg, csv, space):
    done = thalweg(
        "search", csv(), "--target", "price", "--space", "space.toml", "--metric",
        "validation_accuracy",
    )  # fmt: skip
    assert done.code == 2
    assert "is for classes, but 'price' holds numbers" in done.err


def test_batches_beyond_the_training_rows_are_refused(thalweg, csv, space):
    done = thalweg("search", csv(), "--target", "price", "--space", "space.toml")
    assert done.code == 2
    assert "batch_size = 32 is beyond the 24 training rows" in done.err
    assert not Path("runs").exists()


def test_folders_of_images_are_for_train(thalweg):
    assert "is for tables" in thalweg("search", ".", "--target", "x").err


def test_an_earlier_search_is_not_mixed_with_another(thalweg, space):
    assert thalweg(*QUICK, "--quiet").code == 0
    before = {path.name: path.read_bytes() for path in Path("run").iterdir()}
    again = thalweg(*QUICK)
    assert (again.code, "go on with it by --resume" in again.err) == (2, True)
    space.write_text(SPACE.replace('"8"', '"9"'), encoding="utf-8")
    other = thalweg(*QUICK, "--resume")
    assert (other.code, "another space" in other.err) == (2, True)
    space.write_text(SPACE, encoding="utf-8")
    data = thalweg("search", "wine", *QUICK[2:], "--resume")
    assert (data.code, "another data set" in data.err) == (2, True)
    seed = thalweg(*QUICK, "--resume", "--sampler", "grid")
    assert (seed.code, "sampler = 'random' there and 'grid' here" in seed.err) == (2, True)
    assert {path.name: path.read_bytes() for path in Path("run").iterdir()} == before
    space.write_text(SPACE.replace('"8"', '"9"'), encoding="utf-8")
    assert thalweg(*QUICK, "--overwrite", "--quiet").code == 0
    assert {row["hidden"] for row in rows("run/trials.csv")} == {"4", "9"}


def test_two_searches_in_one_folder_are_refused(thalweg, space):
    assert thalweg(*QUICK, "--quiet").code == 0
    head, _ = read_journal("run/journal.jsonl")
    given = {name: head[name] for name in head if name not in {"format", "version", "thalweg"}}
    with Journal.open("run/journal.jsonl", given):
        done = thalweg(*QUICK, "--resume")
    assert done.code == 1
    assert "another process, or another search" in done.err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5 h", 5400), ("1d", 86400)],
)
def test_times_are_read(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "5x", "-3m", "0", "0s", "1m 2", "nan", "1e3"])
def test_other_times_are_refused(text):
    with pytest.raises(SettingError, match="--time-limit takes"):
        parse_time(text)


# ------------------------------------------------------------------ interrupted and killed

unix = pytest.mark.skipif(os.name == "nt", reason="signals as Unix has them")
LONG = (*QUICK[:4], "--trials", 20, "--epochs", 60, "--early-stopping", 0, "--out", "run")


def start(folder, *words):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, words)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )  # fmt: skip


@unix
def test_kill_9_in_the_middle_loses_no_trial_and_changes_none(thalweg, space, tmp_path):
    child = start(tmp_path, *LONG, "--json")
    assert child.stdout is not None
    told = [json.loads(child.stdout.readline()) for _ in range(3)]
    child.kill()
    child.communicate()
    best = min(told, key=lambda trial: trial["value"])
    assert "0.weight" in tw.load("run/model.safetensors").parameters
    done = thalweg(*LONG, "--resume", "--json")
    assert done.code == 0, done.err
    trials = {item["trial"]: item for item in map(json.loads, done.out.splitlines()[:-1])}
    for item in told:
        assert trials[item["trial"]] == item
    assert {trial["state"] for trial in trials.values()} == {"finished"}
    assert min(trial["value"] for trial in trials.values()) <= best["value"]
    assert thalweg(*LONG[:-1], "whole", "--quiet").code == 0
    assert same_but_for_seconds(rows("whole/trials.csv"), rows("run/trials.csv"))
    whole, run = (tw.load(f"{name}/model.safetensors") for name in ("whole", "run"))
    for path, array in whole.parameters.items():
        np.testing.assert_array_equal(run.parameters[path], array)


@unix
def test_ctrl_c_keeps_what_was_found(space, tmp_path):
    child = start(tmp_path, *LONG, "--trials", 100_000, "--json")
    assert child.stdout is not None
    assert json.loads(child.stdout.readline())["state"] == "finished"
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    last = json.loads(out.splitlines()[-1])
    assert child.returncode == 1, err
    assert last["stop_reason"] == "interrupted"
    assert last["test"]["accuracy"] > 0
    assert "repeat the command with --out run --resume" in err
    assert "Traceback" not in err
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES


def test_the_time_limit_ends_a_search_with_what_it_has(thalweg, space):
    done = thalweg(*LONG, "--trials", 100_000, "--time-limit", "1.5s", "--json")
    assert done.code == 0, done.err
    last = json.loads(done.out.splitlines()[-1])
    assert last["stop_reason"] == "time limit"
    assert "the time is up after" in done.err
    assert "--out run --resume" in done.err
    assert 0 < last["trials"]["finished"] < 100_000
    assert len(rows("run/trials.csv")) == sum(last["trials"].values())
