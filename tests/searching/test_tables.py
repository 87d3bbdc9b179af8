"""Searches over a table's networks from Python, and what shows them."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import SettingError
from thalweg.searching.checking import check_table_space
from thalweg.searching.default_space import default_space_text
from thalweg.searching.showing import report
from thalweg.searching.showing.display import SearchState
from thalweg.searching.showing.live import JsonSearch, LineSearch, LiveSearch, closing, picture
from thalweg.searching.tables import search_prepared
from thalweg.searching.trial import Trial

DOCS = Path(__file__).parents[2] / "docs" / "search.md"
SPACE = {"hidden": ["4", "8"], "learning_rate": tw.Range(1e-3, 1e-1, log=True), "batch_size": 32}


def block(language):
    found = re.findall(rf"^```{language}\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.M | re.S)
    assert found
    return found


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch):
    monkeypatch.setattr(report, "PICTURES", {})


def test_the_best_network_is_tested_beside_baselines_and_saved(tmp_path):
    run = tw.search_table("iris", "target", SPACE, trials=4, epochs=5, progress=False)
    assert run.best.value == min(trial.value for trial in run.trials)
    assert run.settings.seed == run.best.seed
    alone = tw.tabular.fit_prepared(run.prepared, run.settings, progress=False)
    for path, array in alone.model.parameters.items():
        np.testing.assert_array_equal(run.model.parameters[path], array)
    assert (run.test, run.baselines) == (alone.test, alone.baselines)
    run.save(tmp_path / "run")
    assert tw.load(tmp_path / "run" / "model.safetensors").record["test"] == run.test
    assert tw.read_space(tmp_path / "run" / "space.toml") == tw.Space(SPACE)
    assert (tmp_path / "run" / "trials.csv").exists()


def test_rows_for_the_test_do_not_decide_anything():
    prepared = tw.tabular.prepare_table("iris", "target")
    held = prepared.split.test
    found = []
    for noise in (0.0, 100.0):
        prepared.x[held] += np.float32(noise)
        found.append(
            search_prepared(prepared, tw.Space(SPACE), tw.TableSettings(epochs=3), trials=3)
        )
    one, other = found
    assert [t.value for t in one.trials] == [t.value for t in other.trials]
    assert one.test != other.test


def test_the_folder_of_a_search_is_gone_on_with_only_when_asked(tmp_path):
    options = {"epochs": 2, "progress": False, "folder": tmp_path}
    tw.search_table("iris", "target", SPACE, trials=2, **options)
    with pytest.raises(SettingError, match="resume"):
        tw.search_table("iris", "target", SPACE, trials=2, **options)
    run = tw.search_table("iris", "target", SPACE, trials=3, resume=True, **options)
    assert (len(run.trials), run.found.trained) == (3, 1)
    assert len((tmp_path / "trials.csv").read_text(encoding="utf-8").splitlines()) == 4


def test_a_split_without_validation_rows_is_refused():
    with pytest.raises(SettingError, match="this split has none"):
        tw.search_table("iris", "target", SPACE, fractions=(0.8, 0.0, 0.2), progress=False)


@pytest.mark.parametrize("rows", [1, 3, 30, 1000, 10_000, 1_000_000])
def test_the_default_space_suits_tables_of_any_size(tmp_path, rows):
    path = tmp_path / "space.toml"
    path.write_text(default_space_text(rows), encoding="utf-8")
    space = tw.read_space(path)
    check_table_space(space, tw.TableSettings())
    assert all(1 <= size <= rows for size in space["batch_size"].values)


def test_the_space_in_the_documentation_is_one(tmp_path):
    for number, text in enumerate(block("toml")):
        path = tmp_path / f"{number}.toml"
        path.write_text(text, encoding="utf-8")
        check_table_space(tw.read_space(path), tw.TableSettings())


def test_a_path_is_tried_beside_each_description_that_it_may_reach_into():
    paths = {"optimizer": ["adam", "nesterov"], "optimizer.beta1": [0.8, 0.9]}
    with pytest.raises(SettingError, match=r"nesterov has no number 'beta1'.*give .* a condition"):
        check_table_space(tw.Space(paths), tw.TableSettings())
    paths["optimizer.beta1"] = tw.Choice(0.8, 0.9, when={"optimizer": ["adam"]})
    check_table_space(tw.Space(paths), tw.TableSettings())


# ------------------------------------------------------------------ what shows a search

NAMES = ("learning_rate", "activation", "momentum")
TRIALS = [
    Trial(7, {"learning_rate": 0.0123456, "activation": None}, 0.25, 12, 0.5, "finished", "epochs"),
    Trial(3, {"learning_rate": 0.1, "activation": "relu"}, 0.5, 3, 0.1, "stopped", "scheduler"),
]
STATE = SearchState(TRIALS, 20, 100, 2, 5, 1, 3.25, 6.0, 24.0, 23)


def drawn(width, height, state=STATE):
    from rich.console import Console

    stream = io.StringIO()
    console = Console(file=stream, width=width, height=height)
    console.print(picture(state, "validation_loss", NAMES, width, height))
    return stream.getvalue().splitlines()


def test_the_live_table_has_a_column_for_each_of_the_best():
    lines = drawn(80, 24)
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("trial 20/100, 2 running, 5 stopped early, 1 failed")
    assert lines[0].rstrip().endswith("3.25 networks/s")
    assert lines[1].rstrip().endswith("0:24 left")
    cells = [line.split() for line in lines[2:]]
    assert cells == [
        ["trial", "7", "3"], ["validation", "loss", "0.25", "0.5"], ["epochs", "12", "3"],
        ["learning_rate", "0.01235", "0.1"], ["activation", "none", "relu"],
        ["momentum", "·", "·"],
    ]  # fmt: skip


def test_a_small_terminal_shows_fewer_trials_and_settings():
    lines = drawn(40, 8)
    assert len(lines) <= 8
    assert all(len(line) <= 40 for line in lines)
    assert lines[2].split() == ["trial", "7"]


def test_nothing_is_drawn_of_trials_before_there_are_any():
    assert len(drawn(80, 24, SearchState([], 0, 9, 2, 0, 0, 0.0, 0.1, float("nan")))) == 2


def test_logs_get_about_ten_lines_and_settings_where_they_are_new():
    stream = io.StringIO()
    display = LineSearch(stream, NAMES)
    display.start(100, "validation_loss", False)
    for done in range(101):
        display.update(SearchState(TRIALS[:done], done, 100, 1, 0, 0, 1.0, 1.0, 1.0))
    display.finish(STATE, "trials")
    lines = stream.getvalue().splitlines()
    assert 10 <= len(lines) <= 13
    assert sum("learning_rate 0.01235, activation none" in line for line in lines) == 1
    assert lines[-1].startswith("tried 23 networks in 6.0 s, 5 stopped early, 1 failed")


def test_a_terminal_is_drawn_to_and_left_as_it_was():
    from rich.console import Console

    stream = io.StringIO()
    display = LiveSearch(Console(file=stream, force_terminal=True, width=80, height=24), NAMES)
    display.start(100, "validation_loss", False)
    display.update(STATE)
    display.finish(STATE, "interrupted")
    display.close()
    text = stream.getvalue()
    assert "0.01235" in text
    assert text.count("\x1b[?25l") <= text.count("\x1b[?25h")
    assert "interrupted" in text.splitlines()[-1]


def test_json_lines_are_strict():
    stream = io.StringIO()
    failed = Trial(0, {"clip": tw.ClipNorm(2.0)}, None, 2, 0.1, "failed", "NaN in step 3")
    JsonSearch(stream).trial(failed)
    assert json.loads(stream.getvalue()) == {
        "trial": 0, "value": None, "state": "failed", "reason": "NaN in step 3", "epochs": 2,
        "seconds": 0.1, "settings": {"clip": "norm(bound=2.0)"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "said"), [("time limit", ": the time is up"), ("exhausted", ": exhausted")]
)
def test_the_last_line_says_why_it_ended(reason, said):
    assert closing(STATE, "validation_loss", reason).endswith(f"best validation loss 0.25{said}")
