"""A whole training step for every width of vectors: AVX-512, AVX2, SSE here, NEON as code."""

import numpy as np
import pytest
from tests.compiler.passes.test_fuse import training_step

from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.native.engine import assembly, compile_text
from thalweg.compiler.native.epoch import write_driver
from thalweg.compiler.native.lower import lower
from thalweg.compiler.native.program import NativeProgram
from thalweg.compiler.native.target import limited
from thalweg.errors import SettingError


def target_of(name):
    try:
        return limited(name)
    except SettingError as error:
        pytest.skip(str(error))


def arguments(step):
    rng = np.random.default_rng(5)
    found = []
    for tensor in step.graph.inputs:
        if tensor.type.is_float:
            value = rng.uniform(0.001, 0.9, tensor.shape)
        elif tensor.dtype.kind == "u":
            value = np.array([3, 4])
        else:
            value = rng.integers(0, 3, tensor.shape)
        found.append(np.asarray(value).astype(tensor.dtype))
    return found


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse"])
def test_a_training_step_gives_the_interpreters_numbers(name):
    step = training_step()
    given = arguments(step)
    got = NativeProgram(step.graph, target=target_of(name), cached=False)(*given)
    for one, other in zip(got, Interpreter(step.graph)(*given), strict=True):
        np.testing.assert_allclose(one, other, rtol=3e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "absent", "present"),
    [("avx512", "%q", "%zmm"), ("avx2", "%zmm", "%ymm"), ("sse", "%ymm", "%xmm")],
)
def test_code_has_the_width_that_was_asked_for(name, absent, present):
    target = target_of(name)
    text = assembly(str(lower(training_step().graph, target).module), target)
    assert absent not in text
    assert present in text


def test_code_for_another_processor_is_written():
    target = limited("neon")
    assert target.vector_bytes == 16
    text = str(lower(training_step().graph, target).module)
    assert "fmla\tv" in assembly(text, target)
    assert len(compile_text(text, target)) > 1000
    assert len(compile_text(write_driver(target), target)) > 1000
