"""Matrix products of every shape, stride and type against float64, with what follows them."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler.native.program import NativeProgram
from thalweg.compiler.native.target import limited
from thalweg.compiler.passes.fuse import fuse
from thalweg.compiler.passes.prepare import is_large, prepare
from thalweg.compiler.passes.simplify import simplify
from thalweg.errors import SettingError
from thalweg.graph import PRIMITIVES, Graph, defer, placeholder, type_of

RNG = np.random.default_rng(7)


def operands(rows, columns, inner, turned_a=False, turned_b=False, dtype="float32", batch=()):
    a = RNG.normal(size=(*batch, inner, rows) if turned_a else (*batch, rows, inner))
    b = RNG.normal(size=(*batch, columns, inner) if turned_b else (*batch, inner, columns))
    if np.dtype(dtype).kind == "i":
        a, b = a * 10, b * 10
    return a.astype(dtype), b.astype(dtype)


def product(a, b, turned_a=False, turned_b=False):
    formal = (placeholder(type_of(a), "a"), placeholder(type_of(b), "b"))
    flags = {"transpose_a": turned_a, "transpose_b": turned_b}
    return Graph(formal, (defer(PRIMITIVES["matmul"], formal, flags),))


def check(a, b, turned_a=False, turned_b=False, target=None):
    graph = product(a, b, turned_a, turned_b)
    got = NativeProgram(graph, target=target, cached=False)(a, b)[0]
    left = (a.swapaxes(-1, -2) if turned_a else a).astype("float64")
    right = (b.swapaxes(-1, -2) if turned_b else b).astype("float64")
    assert got.dtype == a.dtype
    if a.dtype.kind != "f":
        np.testing.assert_array_equal(got, left @ right)
        return graph
    terms = np.abs(left) @ np.abs(right)
    bound = (left.shape[-1] + 2) * np.finfo(a.dtype).eps * terms
    assert (np.abs(got - left @ right) <= bound).all()
    return graph


def shapes(count, most):
    return [tuple(int(n) for n in RNG.integers(1, most, 3)) for _ in range(count)]


@pytest.mark.parametrize("shape", shapes(24, 70))
def test_shapes(shape):
    for number, dtype in enumerate(["float32", "float64", "float32", "int64"]):
        turned = (bool(number & 1), bool(number & 2))
        check(*operands(*shape, *turned, dtype), *turned)


@pytest.mark.soak
@pytest.mark.parametrize("shape", shapes(2000, 130))
def test_many_shapes(shape):
    turned = (bool(shape[0] & 1), bool(shape[1] & 1))
    check(*operands(*shape, *turned), *turned)


@pytest.mark.parametrize("shape", [(300, 257, 128), (97, 130, 333), (48, 1030, 64), (300, 64, 512)])
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
def test_large_products_in_panels(shape, turned):
    assert is_large(check(*operands(*shape, *turned), *turned).outputs[0])


def test_rows_a_power_of_two_apart():
    check(*operands(100, 200, 1024))
    check(*operands(1024, 64, 130, True), True)


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
@pytest.mark.parametrize("rows", [1, 2, 16, 33])
@pytest.mark.parametrize("inner", [1, 7, 8, 16, 37])
def test_few_columns(rows, columns, inner):
    for turned in ((False, False), (True, False), (False, True)):
        check(*operands(rows, columns, inner, *turned), *turned)


@pytest.mark.parametrize("batch", [(3,), (2, 3), (1, 5)])
@pytest.mark.parametrize("turned", [(False, False), (True, True)])
def test_batches(batch, turned):
    check(*operands(5, 19, 6, *turned, "float32", batch), *turned)


def test_strided_and_repeated_operands():
    a, b = RNG.normal(size=(20, 30)), RNG.normal(size=(30, 40))

    def f(a, b):
        row = PRIMITIVES["broadcast"](a[:1, ::2], shape=(7, 15))
        return [
            a[::3, 5:20] @ b[::2],
            a[:, :15].T @ a[:, 15:],
            row @ b[:15, ::3],
            b[3:4].T @ b[4:5],
        ]

    got = tw.compile(f)(a, b)
    row = np.broadcast_to(a[:1, ::2], (7, 15))
    wanted = [a[::3, 5:20] @ b[::2], a[:, :15].T @ a[:, 15:], row @ b[:15, ::3], b[3:4].T @ b[4:5]]
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-12, atol=1e-12)


def test_no_inner_elements_give_zeros():
    a, b = np.zeros((3, 0)), np.zeros((0, 4))
    np.testing.assert_array_equal(NativeProgram(product(a, b))(a, b)[0], np.zeros((3, 4)))


@pytest.mark.parametrize("size", [(33, 40, 21), (128, 96, 100), (31, 2, 40), (70, 3, 9)])
def test_what_follows_a_product(size):
    rows, columns, inner = size
    x, w = operands(rows, columns, inner, dtype="float64")
    bias, other = RNG.normal(size=columns), RNG.normal(size=(rows, columns))

    def f(x, w, bias, other):
        z = x @ w + bias
        return [tw.relu(z), z > 0, tw.where(other > 0, x @ w, 0.0), (x @ w) * 2.0 + other]

    got = tw.compile(f)(x, w, bias, other)
    z = x @ w + bias
    wanted = [np.maximum(z, 0), z > 0, np.where(other > 0, x @ w, 0.0), (x @ w) * 2 + other]
    for one, expected in zip(got, wanted, strict=True):
        np.testing.assert_allclose(one.numpy(), expected, rtol=1e-12, atol=1e-12)


def test_bias_activation_and_mask_are_computed_in_registers():
    graph = tw.trace(
        lambda x, w, b: (tw.relu(x @ w + b), x @ w + b > 0),
        np.ones((32, 20), "float32"),
        np.ones((20, 64), "float32"),
        np.ones(64, "float32"),
    )
    kernels = fuse(prepare(simplify(graph).graph))
    assert [kernel.kind for kernel in kernels] == ["product"]
    assert [str(node.dtype) for node in kernels[0].outputs] == ["float32", "bool"]


@pytest.mark.parametrize("name", ["avx2", "sse"])
def test_products_on_narrower_vectors(name):
    try:
        target = limited(name)
    except SettingError as error:
        pytest.skip(str(error))
    for shape in ((17, 23, 9), (5, 2, 40), (60, 70, 300)):
        check(*operands(*shape), target=target)
        check(*operands(*shape, True, True, "float64"), True, True, target=target)
