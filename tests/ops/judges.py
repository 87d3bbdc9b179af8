"""What each primitive computes, said again by other means: loops and Python's own arithmetic."""

import itertools
import math

import numpy as np
from tests.ops.window_judges import WINDOW_JUDGES


def each(function, dtype=None):
    """A function of numbers, applied element by element; where it is undefined, NaN."""

    def judge(*arrays):
        result = np.empty(arrays[0].shape, dtype or arrays[0].dtype)
        for place in np.ndindex(result.shape):
            result[place] = function(*(array.item(*place) for array in arrays))
        return result

    return judge


def _power(a, b):
    try:
        result = math.pow(a, b)
    except ValueError:
        return math.nan
    return result


def _bits(function):
    def judge(*arrays):
        whole = each(lambda *values: function(*map(int, values)), object)(*arrays)
        width = 8 * arrays[0].dtype.itemsize
        mask = 1 if arrays[0].dtype.kind == "b" else 2**width - 1
        unsigned = each(lambda value: value & mask, object)(whole)
        if arrays[0].dtype.kind == "i":
            unsigned = each(lambda v: v - 2**width if v >> (width - 1) else v, object)(unsigned)
        return unsigned.astype(arrays[0].dtype)

    return judge


def _reduce(function):
    def judge(x, axes):
        kept = [axis for axis in range(x.ndim) if axis not in axes]
        result = np.zeros([x.shape[axis] for axis in kept], x.dtype)
        for place in np.ndindex(result.shape):
            index = [slice(None)] * x.ndim
            for axis, number in zip(kept, place, strict=True):
                index[axis] = number
            result[place] = function(np.ravel(x[tuple(index)]).tolist())
        return result

    return judge


def argmax(x, axis):
    rows = np.moveaxis(x, axis, -1)
    result = np.zeros(rows.shape[:-1], np.int64)
    for place in np.ndindex(result.shape):
        values = rows[place].tolist()
        result[place] = values.index(max(values))
    return result


def matmul(a, b, transpose_a, transpose_b):
    first, second = "...ki" if transpose_a else "...ik", "...jk" if transpose_b else "...kj"
    return np.einsum(f"{first},{second}->...ij", a, b)


def pad(x, low, high, interior, value):
    shape = [
        before + sum(1 + (gap if i else 0) for i in range(length)) + after
        for length, before, after, gap in zip(x.shape, low, high, interior, strict=True)
    ]
    result = np.full(shape, value, x.dtype)
    for place in np.ndindex(x.shape):
        target = tuple(b + i * (g + 1) for i, b, g in zip(place, low, interior, strict=True))
        result[target] = x[place]
    return result


def slice_(x, start, stop, step):
    ranges = [list(range(*bounds)) for bounds in zip(start, stop, step, strict=True)]
    result = np.zeros([len(numbers) for numbers in ranges], x.dtype)
    for place in np.ndindex(result.shape):
        result[place] = x[tuple(numbers[i] for numbers, i in zip(ranges, place, strict=True))]
    return result


def gather(x, indices, axis):
    parts = [np.moveaxis(x, axis, 0)[int(i)] for i in np.ravel(indices)]
    rest = x.shape[:axis] + x.shape[axis + 1 :]
    rows = np.array(parts, x.dtype).reshape((*indices.shape, *rest))
    return np.moveaxis(rows, range(indices.ndim), range(axis, axis + indices.ndim))


def scatter_add(x, indices, updates, axis):
    result = np.moveaxis(x.copy(), axis, 0)
    rows = np.moveaxis(updates, range(axis, axis + indices.ndim), range(indices.ndim))
    for place in np.ndindex(indices.shape):
        result[int(indices[place])] += rows[place]
    return np.moveaxis(result, 0, axis)


def concatenate(*arrays, axis):
    lists = [np.moveaxis(array, axis, 0).tolist() for array in arrays]
    rest = arrays[0].shape[:axis] + arrays[0].shape[axis + 1 :]
    joined = np.array(list(itertools.chain(*lists)), arrays[0].dtype)
    return np.moveaxis(joined.reshape((-1, *rest)), 0, axis)


def cast(x, dtype):
    return x.astype(dtype) if dtype.kind == "f" else each(math.trunc, dtype)(x)


def threefry(key, counter):
    """Threefry-2x32-20 on Python's integers, from the paper's definition."""
    mask = 0xFFFFFFFF
    keys = [int(key[0]), int(key[1]), int(key[0]) ^ int(key[1]) ^ 0x1BD11BDA]
    x = [(counter[0] + keys[0]) & mask, (counter[1] + keys[1]) & mask]
    for number in range(20):
        rotation = (13, 15, 26, 6, 17, 29, 16, 24)[number % 8]
        x[0] = (x[0] + x[1]) & mask
        x[1] = ((x[1] << rotation | x[1] >> (32 - rotation)) & mask) ^ x[0]
        if number % 4 == 3:
            turn = number // 4 + 1
            x[0] = (x[0] + keys[turn % 3]) & mask
            x[1] = (x[1] + keys[(turn + 1) % 3] + turn) & mask
    return x


def random_bits(key, shape):
    words = []
    for block in range(-(-math.prod(shape) // 32)):
        pairs = [threefry(key, (16 * block + i, 0)) for i in range(16)]
        words += [pair[0] for pair in pairs] + [pair[1] for pair in pairs]
    return np.array(words[: math.prod(shape)], np.uint32).reshape(shape)


JUDGES = {
    "abs": each(lambda x: -x if x < 0 else x),
    "add": each(lambda a, b: a + b),
    "and": _bits(lambda a, b: a & b),
    "argmax": argmax,
    "broadcast": lambda x, shape: np.zeros(shape, x.dtype) + x,
    "cast": cast,
    "concatenate": concatenate,
    "cos": each(math.cos),
    "div": each(lambda a, b: a / b),
    "eq": each(lambda a, b: a == b, bool),
    "erf": each(math.erf),
    "exp": each(math.exp),
    "expm1": each(math.expm1),
    "floor": each(math.floor),
    "fold_in": lambda key, number: np.array(threefry(key, (int(number), 1)), np.uint32),
    "gather": gather,
    "identity": lambda x: x,
    "iota": lambda length, dtype: np.array(list(range(length)), dtype),
    "le": each(lambda a, b: a <= b, bool),
    "log": each(math.log),
    "log1p": each(math.log1p),
    "logistic": each(lambda x: 1 / (1 + math.exp(-x))),
    "lt": each(lambda a, b: a < b, bool),
    "matmul": matmul,
    "max": each(max),
    "min": each(min),
    "mul": each(lambda a, b: a * b),
    "ne": each(lambda a, b: a != b, bool),
    "neg": each(lambda x: -x),
    "not": _bits(lambda x: ~x),
    "or": _bits(lambda a, b: a | b),
    "pad": pad,
    "pow": each(_power),
    "random_bits": random_bits,
    "reduce_max": _reduce(max),
    "reduce_sum": _reduce(math.fsum),
    "reshape": lambda x, shape: np.array(list(x.flat), x.dtype).reshape(shape),
    "round": each(round),
    "scatter_add": scatter_add,
    "select": each(lambda condition, yes, no: yes if condition else no, float),
    "shift_left": _bits(lambda a, b: a << b),
    "shift_right": _bits(lambda a, b: a >> b),
    "sign": each(lambda x: (x > 0) - (x < 0)),
    "sin": each(math.sin),
    "slice": slice_,
    "sqrt": each(math.sqrt),
    "stop_gradient": lambda x: x,
    "sub": each(lambda a, b: a - b),
    "tanh": each(math.tanh),
    "transpose": lambda x, axes: np.einsum(x, range(x.ndim), list(axes)),
    **WINDOW_JUDGES,
    "xor": _bits(lambda a, b: a ^ b),
}
