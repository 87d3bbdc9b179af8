"""The program as a whole: help, version, how errors end, what is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

import thalweg as tw
from thalweg.cli.console import Output, fitted, visible
from thalweg.cli.options import TASKS
from thalweg.descriptions import members
from thalweg.tabular import activation_names

SOURCE = Path(__file__).resolve().parents[2] / "src"


def test_the_version_is_told(thalweg):
    assert thalweg("--version") == (0, f"thalweg {tw.__version__}\n", "")


def test_help_lists_the_commands_and_exit_codes(thalweg):
    done = thalweg("--help")
    assert done.code == 0
    for text in ("train", "predict", "summary", "Exit codes: 0 all is done", "--debug"):
        assert text in done.out


def test_the_choices_of_options_come_from_the_registries(thalweg):
    shown = " ".join(thalweg("train", "--help").out.replace("│", " ").split())
    for name in (*members("optimizer"), *activation_names(), *TASKS):
        assert name in shown


def test_unknown_commands_are_wrong_calls(thalweg):
    done = thalweg("trian")
    assert done.code == 2
    assert "'trian'" in done.err


def test_without_a_command_the_help_is_shown(thalweg):
    assert "Commands" in thalweg().out


def test_the_summary_shows_layers_columns_and_results(thalweg, csv):
    words = ("--target", "sold", "--out", "run", "--epochs", 2, "--hidden", 4, "--quiet")
    assert thalweg("train", csv(), *words).code == 0
    done = thalweg("summary", "run")
    assert (done.code, done.err) == (0, "")
    for text in ("Linear", "size, city, price", "sold: one of 2 classes (no, yes)", "rows.csv"):
        assert text in done.out
    assert thalweg("summary", "run/model.safetensors").out == done.out


def test_the_summary_of_something_else_is_an_error(thalweg, csv):
    done = thalweg("summary", csv())
    assert (done.code, done.out) == (1, "")
    assert "error: rows.csv" in done.err
    assert thalweg("summary", "nothing").code == 1


def test_names_in_files_cannot_steer_the_terminal(thalweg, csv, tmp_path):
    evil = "\x1b[31mred\u202e"
    lines = Path(csv()).read_text().replace("size", evil, 1)
    Path("evil.csv").write_text(lines)
    words = ("--target", "sold", "--out", "run", "--epochs", 1, "--hidden", 4)
    for done in (thalweg("train", "evil.csv", *words), thalweg("summary", "run")):
        assert done.code == 0
        assert "\x1b" not in done.out + done.err
        assert "\u202e" not in done.out + done.err


def test_visible_text_keeps_lines_and_letters():
    assert visible("Größe\n\tx\x07\x9b") == "Größe\n\tx\\x07\\x9b"


def test_reports_are_cut_to_the_width():
    report = "name " * 30 + "\n- info: " + "word " * 30 + "\nshort"
    lines = fitted(report, 40).splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[0].endswith("…")
    assert lines[1].startswith("- info: word")
    assert all(line.startswith("  word") for line in lines[2:-1])
    assert lines[-1] == "short"


def test_output_without_a_reader_is_dropped():
    class Closed:
        def write(self, text):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

    output = Output(Closed())
    assert output.write("abc") == 3
    output.flush()
    output.write("more")


def test_a_terminal_that_lacks_characters_gets_others(tmp_path):
    program = "import sys; from thalweg.cli.main import main; sys.exit(main())"
    child = subprocess.run(
        [sys.executable, "-c", program, "train", "iris", "--epochs", "1", "--hidden", "2"],
        capture_output=True, cwd=tmp_path, check=False,
        env={"PYTHONPATH": str(SOURCE), "PYTHONIOENCODING": "ascii", "PATH": ""},
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    assert b"Results on 30 test rows" in child.stdout


def test_help_does_not_import_what_only_training_needs():
    program = (
        "import sys\n"
        "from thalweg.cli.main import main\n"
        "assert main(['--help']) == 0\n"
        "heavy = {'sklearn', 'scipy', 'pyarrow', 'safetensors', 'narwhals', 'pandas', 'msgspec'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(SOURCE), "PATH": ""},
    )  # fmt: skip
    assert child.returncode == 0, child.stderr


@pytest.mark.parametrize("error", [OSError(28, "No space left on device")])
def test_errors_of_the_system_are_told_in_one_line(thalweg, csv, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("thalweg.tabular.open_table", fail)
    done = thalweg("train", csv(), "--target", "sold")
    assert done.code == 1
    assert "error: [Errno 28] No space left on device" in done.err
