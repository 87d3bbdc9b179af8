"""What is said of the machine, and the loop that measures its peak."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from thalweg.bench.machine import (
    MultiplyAdd,
    busy_seconds,
    core_count,
    describe,
    loop_text,
    processor_seconds,
)


def test_the_machine_is_described():
    machine = describe(["numpy", "no-such-package"], {1: 2e9})
    assert machine.processor
    assert machine.cores == core_count() >= 1
    assert machine.versions["numpy"] == np.__version__
    assert "no-such-package" not in machine.versions


def test_the_machine_tells_how_busy_it_was():
    before = busy_seconds()
    sum(range(10**6))
    after = busy_seconds()
    assert (before is None) == (after is None)
    assert after is None or after >= before > 0


def test_processes_that_still_run_are_counted():
    told = any(Path("/proc/self/task").glob("*/children"))
    program = "import sys; sum(range(10**7)); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        own, both = time.process_time(), processor_seconds()
        child.stdin.close()
    assert both >= own
    assert not told or both - time.process_time() > 0.05


def test_the_loop_is_one_multiply_add_for_each_chain():
    text = loop_text(8, 4)
    assert text.count("call <8 x float> @llvm.fma.v8f32") == 4


def test_the_loop_computes_what_it_should():
    pytest.importorskip("llvmlite")
    loop = MultiplyAdd()
    found = loop.run(7)
    expected = np.arange(len(found), dtype=np.float64)
    for _ in range(7):
        expected = expected * (1 - 2**-10) + 2**-10
    np.testing.assert_allclose(found, np.repeat(expected[:, None], loop.width, 1), rtol=1e-6)


def test_the_peak_is_at_least_that_of_a_matrix_product():
    pytest.importorskip("llvmlite")
    assert MultiplyAdd().rate(1) > 1e9
