"""Ctrl-C: what was learned is kept, the checkpoint is whole, a second Ctrl-C ends at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.training.problems import blobs, classifier

import thalweg as tw

ROOT = Path(__file__).resolve().parents[2]


def test_ctrl_c_keeps_what_was_learned():
    x, y = blobs()

    def interrupt(epoch):
        if epoch.number == 2:
            os.kill(os.getpid(), signal.SIGINT)

    former = signal.getsignal(signal.SIGINT)
    run = tw.fit(classifier(), x, y, epochs=500, progress=False, callbacks=[interrupt])
    assert run.stop_reason == "interrupted"
    assert 2 <= len(run.history["train_loss"]) < 500
    assert run.model.predict(x).shape == (120,)
    assert signal.getsignal(signal.SIGINT) is former


CHILD = """
import sys
import thalweg as tw
from tests.training.problems import blobs, classifier
x, y = blobs()
print("ready", flush=True)
run = tw.fit(classifier(), x, y, epochs=100000, progress=False, checkpoint=sys.argv[1],
             checkpoint_every=5)
run.model.save(sys.argv[2])
print(run.stop_reason, flush=True)
"""


@pytest.mark.parametrize("delay", [0.02, 0.3])
def test_ctrl_c_from_outside_leaves_model_and_checkpoint(delay, tmp_path):
    checkpoint, model = tmp_path / "run.checkpoint", tmp_path / "m.safetensors"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(checkpoint), str(model)], stdout=subprocess.PIPE,
        text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PATH": ""},
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    while not checkpoint.exists() and child.poll() is None:
        time.sleep(0.01)
    time.sleep(delay)
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=60)[0] == "interrupted\n"
    x, _ = blobs()
    assert tw.load(model).predict(x).shape == (120,)
    assert checkpoint.exists()
