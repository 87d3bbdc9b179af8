"""The reference pages are made from the registries, whole, linked and up to date."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from tests.specimens import everyone

from thalweg.descriptions.spec import parse_spec

TOOL = Path(__file__).resolve().parents[1] / "tools" / "reference.py"


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("thalweg_reference", TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(reference):
    return reference.pages()


def test_the_pages_are_up_to_date(reference, pages):
    assert reference.stale_pages(pages) == [], "write them again: make reference"


def test_every_registered_name_has_one_entry(pages):
    headings = [line for text in pages.values() for line in text.splitlines() if line[:2] == "##"]
    names = [line.lstrip("# ") for line in headings if re.fullmatch(r"#+ [a-z0-9_]+", line)]
    assert sorted(names) == sorted(name for _, name in everyone())


def test_links_lead_somewhere(pages):
    for name, text in pages.items():
        for file, anchor in re.findall(r"\]\(([\w.]*)#?(\w*)\)", text):
            target = pages[file or name]
            assert not anchor or re.search(rf"^#+ {anchor}$", target, re.MULTILINE), (name, anchor)


def test_the_examples_of_text_are_read(pages):
    lines = [line.strip() for line in pages["README.md"].splitlines() if line.startswith("    ")]
    assert len(lines) >= 4
    for line in lines:
        family = "layer" if line.startswith("sequential") else "optimizer"
        assert parse_spec(family, line)


def test_a_field_shows_what_it_may_be_and_its_default(pages):
    assert "| `beta1` | number in [0, 1) | `0.9` |" in pages["optimizers.md"]
    assert "| number in [0, ∞), or a [schedule](schedules.md) | `0.01` |" in pages["optimizers.md"]
    assert "| `distribution` | `uniform`, `normal` |" in pages["initialisers.md"]
    assert "| `layers` | any number of [layer](layers.md)s |" in pages["layers.md"]
    assert "| `bias` | `true`, `false` | `true` |" in pages["layers.md"]


def test_signatures_name_public_classes(pages):
    assert "tw.Cosine(initial=0.001, length=0, final=0.0, per='update')" in pages["schedules.md"]
    assert "weight=tw.Auto()" in pages["layers.md"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("``a_b`` and :class:`tw.L2`", "`a_b` and `L2`"),
        ("n ~ N(0, 1) * 2, _x", "n \\~ N(0, 1) \\* 2, \\_x"),
        ("w_t < 3", "w_t &lt; 3"),
        ("`a*b`", "`a*b`"),
    ],
)
def test_docstrings_become_markdown(reference, text, wanted):
    assert reference._markdown(text) == wanted


def test_wrapped_formulas_are_no_lists(reference):
    text = reference._paragraph("a " * 50 + "\n- b " + "c " * 30)
    assert "\n\\- b" in text
    assert reference._paragraph("- one\n- two") == "- one\n- two"


def test_stale_pages_are_named(reference, pages, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    monkeypatch.setattr(sys, "argv", ["reference.py"])
    (tmp_path / "old.md").write_text("old")
    reference.main()
    assert f"{len(pages)} pages" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == set(pages)
    (tmp_path / "losses.md").write_text("else")
    monkeypatch.setattr(sys, "argv", ["reference.py", "--check"])
    with pytest.raises(SystemExit, match=r"stale \(losses.md\): make reference"):
        reference.main()
