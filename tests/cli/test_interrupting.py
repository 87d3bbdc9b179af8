"""Ctrl-C, resuming, and readers that leave."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw

SOURCE = Path(__file__).resolve().parents[2] / "src"
PROGRAM = "import sys; from thalweg.cli.main import main; sys.exit(main())"
LONG = ("train", "iris", "--early-stopping", "0", "--hidden", "4", "--out", "run")

unix = pytest.mark.skipif(os.name == "nt", reason="signals and pipes as Unix has them")


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=folder, env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )  # fmt: skip


@unix
def test_ctrl_c_keeps_tests_and_saves_what_was_learned(tmp_path):
    child = start(tmp_path, *LONG, "--epochs", "100000", "--json")
    assert child.stdout is not None
    assert json.loads(child.stdout.readline())["epoch"] == 1
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    last = json.loads(out.splitlines()[-1])
    assert child.returncode == 1
    assert last["stop_reason"] == "interrupted"
    assert last["test"]["accuracy"] > 0
    assert "what was learned is kept" in err
    assert "--out run --resume" in err
    assert "Traceback" not in err
    kept = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert kept == ["checkpoint.safetensors", "model.safetensors"]
    assert tw.load(tmp_path / "run" / "model.safetensors").record["epochs"] == last["epochs"]


def test_a_resumed_run_ends_as_if_it_had_never_stopped(thalweg, monkeypatch, tmp_path):
    words = ("train", "iris", "--hidden", 4, "--epochs", 12, "--json")
    assert thalweg(*words, "--out", "whole").code == 0

    def stop(*, always):
        from thalweg.training.history import Display

        class Stopping(Display):
            def epoch(self, progress):
                if progress.epoch == 7:
                    signal.raise_signal(signal.SIGINT)

        return Stopping()

    monkeypatch.setattr("thalweg.training.display.terminal_display", stop)
    stopped = thalweg(*words[:-1], "--out", "part")
    assert stopped.code == 1
    assert "note: interrupted after epoch 7; what was learned is kept" in stopped.err
    assert Path("part/checkpoint.safetensors").exists()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    resumed = thalweg(*words, "--out", "part", "--resume")
    assert resumed.code == 0
    assert json.loads(resumed.out.splitlines()[0])["epoch"] == 8
    assert not Path("part/checkpoint.safetensors").exists()
    whole, part = (tw.load(f"{name}/model.safetensors") for name in ("whole", "part"))
    for path, array in whole.parameters.items():
        np.testing.assert_array_equal(part.parameters[path], array)
    assert whole.record["test"] == part.record["test"]


def test_starting_over_beside_a_checkpoint_is_told(thalweg):
    Path("run").mkdir()
    Path("run/checkpoint.safetensors").write_bytes(b"old")
    done = thalweg(*LONG, "--epochs", 2)
    assert done.code == 0
    assert "will be replaced; --resume uses it" in done.err


def test_resuming_without_a_checkpoint_starts_over_and_says_so(thalweg):
    done = thalweg(*LONG, "--epochs", 2, "--resume")
    assert done.code == 0
    assert "checkpoint.safetensors is not there, so that training starts from the" in done.err


def test_resuming_another_run_is_refused(thalweg):
    words = ("train", "iris", "--hidden", 4, "--out", "run", "--epochs")
    thalweg(*words, 2)
    Path("run/checkpoint.safetensors").write_bytes(Path("run/model.safetensors").read_bytes())
    done = thalweg(*words, 2, "--resume")
    assert done.code == 1
    assert "checkpoint" in done.err


def test_a_second_ctrl_c_ends_at_once_and_names_the_way_back(thalweg, monkeypatch):
    def interrupt(*_, checkpoint, **__):
        checkpoint.write_bytes(b"half a run")
        raise KeyboardInterrupt

    monkeypatch.setattr("thalweg.tabular.ensembles.fit", interrupt)
    done = thalweg(*LONG)
    assert done.code == 1
    assert "note: to go on, repeat the command with --out run --resume" in done.err
    assert "error: interrupted" in done.err


def test_ctrl_c_before_training_leaves_nothing(thalweg, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("thalweg.tabular.preparing.infer_schema", interrupt)
    done = thalweg(*LONG)
    assert (done.code, done.out) == (1, "")
    assert done.err == "error: interrupted "
    assert not Path("run").exists()


@unix
def test_training_goes_on_when_its_reader_leaves(tmp_path):
    child = start(tmp_path, *LONG, "--epochs", "40", "--json")
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.close()
    assert child.stderr is not None
    err = child.stderr.read()
    child.stderr.close()
    assert child.wait(timeout=60) == 0
    assert err == ""
    assert tw.load(tmp_path / "run" / "model.safetensors").record["epochs"] == 40


@unix
def test_predictions_whose_reader_leaves_end_quietly(tmp_path):
    names = start(tmp_path, *LONG, "--epochs", "1", "--quiet")
    assert names.communicate(timeout=60) == ("", "")
    rows = "\n".join(["1,2,3,4"] * 20_000)  # more than a pipe and its buffers hold
    header = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)"
    (tmp_path / "many.csv").write_text(f"{header}\n{rows}\n")
    child = start(tmp_path, "predict", "run", "many.csv")
    assert child.stdout is not None
    assert child.stdout.readline().startswith("prediction,")
    child.stdout.close()
    assert child.stderr is not None
    err = child.stderr.read()
    child.stderr.close()
    child.wait(timeout=60)
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
