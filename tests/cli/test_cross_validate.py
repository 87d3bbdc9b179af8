"""``thalweg cross-validate``."""

import csv as files
import json
from pathlib import Path

import pytest

from thalweg.training.population.member import MemberRun

FAST = ("cross-validate", "iris", "--folds", 3, "--epochs", 3, "--hidden", 4)


def test_a_table_of_metrics_and_a_file_of_predictions(thalweg):
    done = thalweg(*FAST, "--repeats", 2, "--out", "p.csv")
    assert done.code == 0, done.err
    assert "150 rows, target target (classification)" in done.out
    assert "3 folds × 2 repeats: 6 networks in " in done.out
    assert "balanced accuracy" in done.out
    assert "p.csv" in done.out
    rows = list(files.DictReader(Path("p.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 150
    chances = [float(value) for name, value in rows[0].items() if name.startswith("probability_")]
    assert sum(chances) == pytest.approx(1, abs=1e-6)
    best = max((name for name in rows[0] if "probability" in name), key=lambda n: rows[0][n])
    assert best == f"probability_{rows[0]['prediction']}"
    assert {row["target"] for row in rows} == {"setosa", "versicolor", "virginica"}


def test_json_is_one_line(thalweg):
    done = thalweg(*FAST, "--json", "--metric", "accuracy", "--early-stopping", 0)
    assert done.code == 0, done.err
    (line,) = done.out.splitlines()
    found = json.loads(line)
    assert found["rows"] == 150
    assert list(found["mean"]) == ["accuracy"]
    (scores,) = found["scores"]["accuracy"]
    assert found["mean"]["accuracy"] == pytest.approx(sum(scores) / 3)
    again = json.loads(thalweg(*FAST, "--json", "--threads", 1, "--early-stopping", 0).out)
    assert again["scores"]["accuracy"] == [scores]


def test_numbers_and_groups(thalweg):
    done = thalweg(
        "cross-validate", "diabetes", "--groups", "sex", "--folds", 2, "--epochs", 2, "--out",
        "p.csv", "--quiet",
    )  # fmt: skip
    assert (done.code, done.out) == (0, ""), done.err
    assert Path("p.csv").read_text(encoding="utf-8").startswith("row,target,prediction\n0,151.0,")


def test_networks_that_are_not_finite_end_with_1(thalweg):
    done = thalweg(*FAST, "--optimizer", "sgd(1e30)", "--json", "--out", "p.csv")
    assert done.code == 1
    found = json.loads(done.out)
    assert found["failed"] == [0, 1, 2]
    assert found["mean"]["auc"] is None
    assert done.err.count("warning: network") == 3
    assert Path("p.csv").read_text(encoding="utf-8").splitlines()[1] == "0,setosa,,,,"


def test_ctrl_c_shows_what_is_finished(thalweg, monkeypatch):
    real = MemberRun.advance

    def advance(member, until, interrupted):
        if member.number == 1:
            interrupted.set()
        real(member, until, interrupted)

    monkeypatch.setattr(MemberRun, "advance", advance)
    monkeypatch.setattr("thalweg.training.population.crew.cores", lambda: 1)
    done = thalweg(*FAST)
    assert done.code == 1
    assert "interrupted: 2 networks not trained to the end" in done.out
    assert "note: interrupted" in done.err


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--folds", 51), 2, "folds = 51 is more than the 50 rows of class 'setosa'"),
        (("--groups", "sepal"), 2, "has no column 'sepal'"),
        (("--metric", "auk"), 2, "did you mean 'auc'"),
        (("--out", "nowhere/p.csv"), 1, "the folder nowhere does not exist"),
        (("--out", "."), 1, "is a folder"),
        (("--optimizer", "adm"), 2, "adam"),
    ],
)
def test_wrong_calls(thalweg, words, code, text):
    done = thalweg(*FAST, *words)
    assert text in done.err
    assert done.code == code


def test_the_table_is_not_replaced(thalweg, csv):
    file = csv()
    done = thalweg("cross-validate", file, "--target", "sold", "--out", file)
    assert done.code == 2
    assert "would replace" in done.err
    assert "images with thalweg train" in thalweg("cross-validate", ".").err
