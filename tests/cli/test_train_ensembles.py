"""``thalweg train --members K --ensemble KIND``."""

import json

import pytest

import thalweg as tw
from thalweg.training.population.member import MemberRun

FAST = ("--epochs", 4, "--hidden", 4, "--target", "sold", "--out", "here")


@pytest.mark.parametrize("kind", ["mean", "vote", "bagging", "snapshots"])
def test_an_ensemble_is_trained_and_predicts(thalweg, csv, kind):
    done = thalweg("train", csv(), *FAST, "--ensemble", kind, "--members", 2)
    assert done.code == 0, done.err
    assert f"with      2 members ({kind})" in done.out
    assert "2 members: accuracy on the test rows" in done.out
    assert ("out of bag" in done.out) == (kind == "bagging")
    model = tw.load("here/model.safetensors")
    assert len(model.network.members) == 2
    found = thalweg("predict", "here/model.safetensors", csv(), "--out", "p.csv")
    assert found.code == 0, found.err
    assert "2" in thalweg("summary", "here/model.safetensors").out


def test_one_member_is_one(thalweg, csv):
    done = thalweg("train", csv(), *FAST, "--ensemble", "mean", "--members", 1)
    assert done.code == 0, done.err
    assert "with      1 member (mean)" in done.out
    assert "1 member: accuracy on the test rows" in done.out
    assert "1 members" not in done.out


def test_json_holds_the_scores(thalweg, csv):
    done = thalweg("train", csv(), *FAST, "--members", 3, "--json")
    *epochs, last = map(json.loads, done.out.splitlines())
    assert [line["member"] for line in epochs] == [0] * 4 + [1] * 4 + [2] * 4
    assert last["scores"]["members"] == 3


def _interrupt_in_the_second_member(monkeypatch):
    real = MemberRun.advance

    def advance(member, until, interrupted):
        if member.number == 1:
            interrupted.set()
        real(member, until, interrupted)

    monkeypatch.setattr(MemberRun, "advance", advance)
    monkeypatch.setattr("thalweg.training.population.crew.cores", lambda: 1)


def test_an_interrupted_ensemble_is_kept_and_goes_on(thalweg, csv, tmp_path, monkeypatch):
    words = ("train", csv(), *FAST, "--members", 3)
    with monkeypatch.context() as patch:
        _interrupt_in_the_second_member(patch)
        done = thalweg(*words)
    assert done.code == 1
    assert "repeat the command with --out here --resume" in done.err
    assert len(tw.load("here/model.safetensors").network.members) == 1
    assert len(list((tmp_path / "here").glob("checkpoint*"))) == 2
    again = thalweg(*words, "--resume")
    assert again.code == 0, again.err
    assert not list((tmp_path / "here").glob("checkpoint*"))
    resumed = tw.load("here/model.safetensors")
    thalweg("train", csv(), *FAST[:-1], "there", "--members", 3)
    whole = tw.load("there/model.safetensors")
    for path, value in whole.parameters.items():
        assert value.tobytes() == resumed.parameters[path].tobytes()


def test_what_an_ensemble_cannot_be(thalweg, csv):
    for words, text in (
        (["--members", 0], "members must be a whole number of at least 1, got 0"),
        (["--ensemble", "median"], "'median' is not one of mean, vote, bagging, snapshots"),
        (["--ensemble", "snapshots"], "epochs = 4 is no multiple of cycles = 5; choose 5"),
    ):
        done = thalweg("train", csv(), *FAST, *words)
        assert done.code == 2
        assert text in done.err
