"""Programs run by several threads, for tests that these change no bit."""

import ctypes
import threading

import numpy as np
import pytest

from thalweg.compiler.native import lower
from thalweg.compiler.native.barrier import BYTES
from thalweg.compiler.native.program import NativeProgram, aligned
from thalweg.compiler.passes import cost
from thalweg.compiler.passes.pipeline import optimise
from thalweg.graph import TensorType, trace_flat


@pytest.fixture
def splits_all(monkeypatch):
    """Every kernel that can be shared is shared, however small."""
    monkeypatch.setattr(lower, "THREADS_SECONDS", 0.0)
    monkeypatch.setattr(cost, "SPLIT_SECONDS", 0.0)


def program(function, *arrays):
    """A function of such arrays as a program."""
    graph, _ = trace_flat(function, [TensorType(array.shape, array.dtype) for array in arrays])
    return NativeProgram(optimise(graph).graph, cached=False)


def normal(*shapes, dtype="float32"):
    """Random arrays that begin on a cache line."""
    rng = np.random.default_rng(0)
    found = []
    for shape in shapes:
        memory = aligned(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        found.append(memory.view(dtype).reshape(shape))
        found[-1][...] = rng.normal(size=shape)
    return found


def run_shared(code, inputs, threads):
    """The results of a program that several threads run."""
    results = [np.empty(tensor.shape, tensor.dtype) for tensor in code.graph.outputs]
    table, arena, barrier = code.table(inputs, results), code.new_arena(), aligned(BYTES)
    barrier[:] = 0
    notes = np.zeros(16, np.int32)
    kinds = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 2 + [ctypes.c_void_p]
    part = ctypes.CFUNCTYPE(None, *kinds)(code.code.address("part"))
    given = [array.ctypes.data for array in (table, arena, notes)]
    workers = [
        threading.Thread(target=part, args=(*given, place, threads, barrier.ctypes.data))
        for place in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return results


def assert_same_bits(function, arrays, counts=(2, 3, 5)):
    """One thread and several give the same results."""
    code = program(function, *arrays)
    alone = code(*arrays)
    for threads in counts:
        for one, other in zip(alone, run_shared(code, arrays, threads), strict=True):
            np.testing.assert_array_equal(one, other)
