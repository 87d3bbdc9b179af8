"""Arrays side by side in one piece of memory."""

import numpy as np

import thalweg as tw
from thalweg.training.memory import Memory


def test_arrays_lie_apart_and_where_they_are_said_to_be():
    kinds = [((3, 5), "float32"), ((), "float64"), ((0,), "int64"), ((64, 64), "float32")]
    memory = Memory([(shape, np.dtype(kind)) for shape, kind in kinds])
    assert [(array.shape, array.dtype.name) for array in memory.arrays] == kinds
    ends = 0
    for array, address in zip(memory.arrays, memory.addresses, strict=True):
        assert address % 64 == 0
        assert address >= ends
        if array.size:
            assert array.ctypes.data == address
            array[...] = 1
        ends = address + array.nbytes
    begin = memory.bytes.ctypes.data
    assert begin <= memory.addresses[0]
    assert ends <= begin + memory.bytes.nbytes
    assert all((array == 1).all() for array in memory.arrays)


def test_no_arrays_take_no_memory():
    memory = Memory([])
    assert (memory.bytes.nbytes, memory.arrays, memory.addresses) == (0, [], [])


def test_a_model_keeps_no_memory_of_its_optimiser():
    x = np.random.default_rng(0).normal(size=(64, 20)).astype("float32")
    for average in (None, 0.9):
        run = tw.fit(tw.Linear(30), x, x @ np.ones((20, 30)), epochs=1, average=average)
        arrays = list(run.model.parameters.values())
        held = {id(item): item for item in map(whole, arrays)}
        own = sum(array.nbytes for array in arrays)
        assert sum(item.nbytes for item in held.values()) <= own + 64 * 6


def whole(array):
    """The array whose memory this one is a part of."""
    while array.base is not None:
        array = array.base
    return array
