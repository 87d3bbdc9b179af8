"""Jacobians, Hessians and products with them."""

import numpy as np
import pytest
import scipy.optimize

import thalweg as tw
from thalweg.autodiff.numerical import central_difference
from thalweg.errors import SettingError
from thalweg.graph import verify
from thalweg.ops import functions as ops
from thalweg.tree import flatten, unflatten


def function(p, x):
    hidden = ops.tanh(x @ p["w"] + p["b"])
    return {"rows": hidden * x[:, :1], "total": [hidden.sum(), ops.exp(p["b"])]}


@pytest.fixture
def point(rng):
    return {"w": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}, rng.normal(size=(4, 3))


def leaves(tree):
    return [item.numpy() for item in flatten(tree)[0]]


@pytest.mark.parametrize("argnums", [0, 1, (0, 1), (1,)])
def test_forward_reverse_and_numerical_agree_on_trees(point, argnums):
    forward = tw.jacobian(function, argnums, mode="forward")(*point)
    reverse = tw.jacobian(function, argnums, mode="reverse")(*point)
    automatic = tw.jacobian(function, argnums)(*point)
    for first, second, third in zip(*map(leaves, (forward, reverse, automatic)), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(first, third, rtol=1e-13, atol=1e-15)
    chosen = point[argnums] if isinstance(argnums, int) else tuple(point[n] for n in argnums)
    numerical = numerical_jacobian(point, argnums, chosen)
    for exact, quotients in zip(leaves(forward), numerical, strict=True):
        np.testing.assert_allclose(exact, quotients, rtol=1e-6, atol=1e-8)


def numerical_jacobian(point, argnums, chosen):
    """Blocks ``[output][input]`` of difference quotients, each of shape output + input."""
    inputs, structure = flatten(chosen)
    blocks = []
    outputs = leaves(function(*point))
    for place in range(len(outputs)):
        for index, array in enumerate(inputs):
            block = np.zeros((*outputs[place].shape, *array.shape))
            for element in np.ndindex(array.shape):
                unit = np.zeros(array.shape)
                unit[element] = 1.0

                def at(x, index=index, place=place):
                    changed = unflatten(structure, [*inputs[:index], x, *inputs[index + 1 :]])
                    arguments = list(point)
                    if isinstance(argnums, int):
                        arguments[argnums] = changed
                    else:
                        for number, part in zip(argnums, changed, strict=True):
                            arguments[number] = part
                    return leaves(function(*arguments))[place]

                block[(..., *element)] = central_difference(at, array, unit)
            blocks.append(block)
    return blocks


def test_the_structure_is_outputs_of_inputs(point):
    result = tw.jacobian(function)(*point)
    assert result["rows"]["w"].shape == (4, 2, 3, 2)
    assert result["total"][0]["b"].shape == (2,)
    assert result["total"][1]["w"].shape == (2, 3, 2)
    both = tw.jacobian(function, (0, 1))(*point)
    assert both["rows"][1].shape == (4, 2, 4, 3)
    assert both["rows"][0]["b"].dtype.name == "float64"


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_shapes_at_the_edges(mode):
    derive = tw.jacobian(lambda x: x * 2, mode=mode)
    assert derive(np.float64(3.0)).numpy().tolist() == 2.0
    assert derive(np.zeros((2, 0))).shape == (2, 0, 2, 0)
    np.testing.assert_array_equal(derive(np.zeros((1, 2))).numpy(), 2 * np.eye(2)[None, :, None])
    unrelated = tw.jacobian(lambda x, y: y, mode=mode)(np.ones(2), np.ones(3))
    np.testing.assert_array_equal(unrelated.numpy(), np.zeros((3, 2)))


def test_an_unknown_mode_is_refused():
    with pytest.raises(SettingError, match="mode 'both' is not one of auto, forward, reverse"):
        tw.jacobian(lambda x: x, mode="both")


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_jacobians_are_traced_without_repeating_the_function(mode):
    def inner(x):
        return ops.tanh(ops.exp(x))

    graph = tw.trace(lambda x: tw.jacobian(inner, mode=mode)(x), np.ones(12))
    verify(graph)
    assert graph.operations()["exp"] == graph.operations()["tanh"] == 1
    x = np.linspace(-1, 1, 12)
    exact = np.diag((1 - np.tanh(np.exp(x)) ** 2) * np.exp(x))
    np.testing.assert_allclose(graph(tw.Tensor(x))[0].numpy(), exact, rtol=1e-14)


# ------------------------------------------------------------------ second derivatives


def rosenbrock(x):
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


@pytest.mark.parametrize("size", [2, 3, 7])
def test_the_hessian_of_rosenbrocks_function(size, rng):
    for x in (np.ones(size), rng.normal(size=size)):
        found = tw.hessian(rosenbrock)(x).numpy()
        np.testing.assert_allclose(found, scipy.optimize.rosen_hess(x), rtol=1e-13, atol=1e-10)
        np.testing.assert_allclose(found, found.T, rtol=1e-14)
        gradient = tw.grad(rosenbrock)(x).numpy()
        np.testing.assert_allclose(gradient, scipy.optimize.rosen_der(x), rtol=1e-13, atol=1e-10)


def test_products_with_the_hessian(rng):
    x, v = rng.normal(size=6), rng.normal(size=6)
    found = tw.hvp(rosenbrock, x, v).numpy()
    exact = scipy.optimize.rosen_hess_prod(x, v)
    np.testing.assert_allclose(found, exact, rtol=1e-12, atol=1e-10)
    np.testing.assert_allclose(found, tw.hessian(rosenbrock)(x).numpy() @ v, rtol=1e-12)


def test_the_hessian_of_a_tree(rng):
    def loss(p):
        return (ops.tanh(p["w"]) * p["b"]).sum() + (p["b"] ** 3).sum()

    p = {"w": rng.normal(size=(2, 3)), "b": rng.normal(size=3)}
    found = tw.hessian(loss)(p)
    assert found["w"]["b"].shape == (2, 3, 3)
    np.testing.assert_allclose(
        np.einsum("ijk->kij", found["w"]["b"].numpy()), found["b"]["w"].numpy(), rtol=1e-14
    )
    np.testing.assert_allclose(found["b"]["b"].numpy(), np.diag(6 * p["b"]), rtol=1e-14)
    direction = {"w": rng.normal(size=(2, 3)), "b": rng.normal(size=3)}
    product = tw.hvp(loss, p, direction)
    expected = sum(
        np.tensordot(found["b"][name].numpy(), direction[name], direction[name].ndim)
        for name in ("w", "b")
    )
    np.testing.assert_allclose(product["b"].numpy(), expected, rtol=1e-13)


def test_hessians_of_two_arguments():
    found = tw.hessian(lambda a, b: a * a * b, (0, 1))(np.float64(2.0), np.float64(5.0))
    assert [[part.item() for part in row] for row in found] == [[10.0, 4.0], [4.0, 0.0]]
