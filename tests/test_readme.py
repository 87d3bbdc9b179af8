"""The README's worked example runs as it stands, and does what it teaches."""

import re
import runpy
from pathlib import Path

import numpy as np

import thalweg as tw

README = Path(__file__).parent.parent / "README.md"


def blocks():
    return re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)


def test_fine_tuning_keeps_what_the_frozen_layers_were_trained_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    held = {"x": rng.normal(size=(200, 5)), "y": rng.integers(0, 10, 200)}
    held["y3"] = held["y"] % 3
    starts = []

    class Watched:
        """The library, whose calls of fit are seen."""

        def __getattr__(self, name):
            return getattr(tw, name)

        def fit(self, network, x, y, **options):
            starts.append((network, options.get("start"), options.get("frozen")))
            return tw.fit(network, x, y, **{**options, "progress": False})

    (example,) = (block for block in blocks() if "fine-tuning" in block)
    Path("example.py").write_text(example, encoding="utf-8")
    run = runpy.run_path("example.py", {**held, "tw": Watched()})["run"]
    network, start, frozen = starts[-1]
    moved = tw.fit(
        network, 5.0 * held["x"] + 3.0, held["y3"], start=start, frozen=frozen, epochs=2,
        progress=False,
    ).model  # fmt: skip
    before = run.model.weights()
    after = moved.weights()
    kept = [path for path in before if path[0] in "0123"]
    assert {path.partition(".")[0] for path in kept} == {"0", "1", "2", "3"}
    for path in kept:
        np.testing.assert_array_equal(after[path], before[path], err_msg=path)
