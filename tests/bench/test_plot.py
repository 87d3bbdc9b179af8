"""The picture: a number in every cell, the same bytes for the same report."""

import pytest

from thalweg.bench.plot import draw, panels


def test_a_panel_for_each_library_and_one_for_threads(report):
    titles = [panel.title for panel in panels(report)]
    assert titles == [
        "PyTorch / thalweg, 1 thread",
        "PyTorch / thalweg, 2 threads",
        "thalweg: 1 thread / 2 threads",
    ]


def test_the_picture_shows_every_ratio(report, tmp_path):
    pytest.importorskip("matplotlib")
    draw(report, tmp_path / "one.svg")
    text = (tmp_path / "one.svg").read_text(encoding="utf-8")
    for number in ("200", "50", "3.1", "0.78", "0.20"):
        assert f">{number}</text>" in text
    assert text.count(">–</text>") == 30  # the library that failed
    assert text.count("#202020") == 10  # the cells that thalweg loses
    draw(report, tmp_path / "two.svg")
    assert (tmp_path / "two.svg").read_bytes() == (tmp_path / "one.svg").read_bytes()
    draw(report, tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
