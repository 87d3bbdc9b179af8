"""Mutated files are refused without running, importing, connecting or opening anything."""

import json
import sys

import pytest
from tests.storage.killing import run_python


def check_fuzz(folder, count, seed):
    arguments = ["-m", "tests.storage.fuzzing", str(folder), str(count), str(seed)]
    with run_python(arguments) as process:
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == 0
    outcomes = json.loads(output)
    assert outcomes["refused"] + outcomes["accepted"] == count
    assert outcomes["refused"] > 0.8 * count
    assert outcomes["unsigned accepted"] == 0
    return outcomes


def test_three_hundred_mutants(tmp_path):
    assert check_fuzz(tmp_path, 300, seed=1)["accepted"] > 0


@pytest.mark.soak
def test_ten_thousand_mutants(tmp_path):
    check_fuzz(tmp_path, 10_000, seed=2)


@pytest.mark.parametrize(
    "violation",
    [
        "eval('1')",
        "import colorsys",
        "open('/dev/null')",
        "__import__('socket').socket()",
        "__import__('os').listdir('.')",
        "__import__('os').system('true')",
    ],
)
def test_the_hook_sees_violations(violation):
    watch = "import socket, sys; from tests.storage import fuzzing; sys.addaudithook(fuzzing.hook);"
    code = f"{watch} code = compile({violation!r}, 'x', 'exec'); fuzzing.ALLOWED.add('x');"
    with run_python(["-c", f"{code}\ndef f():\n {violation}\nf()"], stderr=-1) as process:
        assert process.stderr is not None
        assert "violation: " in process.stderr.read()
    assert process.returncode == 1
    assert sys.executable
