"""What a layer is: names, parameters, states, functions as networks, messages, starts."""

from dataclasses import dataclass

import numpy as np
import pytest

import thalweg as tw
from thalweg.autodiff.numerical import check_gradients
from thalweg.descriptions import part
from thalweg.errors import DescriptionError, DTypeError, GraphError, ShapeError
from thalweg.graph import Tensor
from thalweg.nn.activations import ReLU, Tanh
from thalweg.nn.containers import Sequential
from thalweg.nn.initialisers import Constant, Normal, Zeros
from thalweg.nn.layer import (
    Layer,
    Scope,
    apply_network,
    blueprint,
    evaluate,
    initial_states,
    initialise,
    row_shape,
)
from thalweg.nn.linear import Linear
from thalweg.ops.random import key_from_seed

X = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")


@dataclass(frozen=True)
class Residual(Layer):
    """Input plus an inner layer's output."""

    inner: Layer = part(family="layer")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        return x + scope.apply("inner", self.inner, x)


@dataclass(frozen=True)
class Counter(Layer):
    """Adds how often it has been used before."""

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        count = scope.state("count", (), 10.0)
        scope.update("count", count + 1.0)
        return x + count


@dataclass(frozen=True)
class Noise(Layer):
    """Returns its random key in place of anything else."""

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        scope.random_key()
        return x


def skipping(x, scope):
    hidden = scope.apply("first", Linear(4), x, ReLU())
    hidden = scope.apply("relu", ReLU(), hidden)
    hidden = hidden * scope.parameter("gain", (4,), Constant(2.0))
    return scope.apply("last", Linear(3), hidden) + x


# ------------------------------------------------------------------ names


def test_parameters_are_named_by_the_way_to_them():
    net = Sequential(Residual(Linear(3)), Tanh(), Sequential(Linear(2, bias=False)))
    shapes = {path: value.shape for path, value in initialise(net, 3).items()}
    assert shapes == {"0.inner.weight": (3, 3), "0.inner.bias": (3,), "2.0.weight": (3, 2)}


def test_a_function_is_a_network():
    parameters = initialise(skipping, 3)
    assert set(parameters) == {"first.weight", "first.bias", "gain", "last.weight", "last.bias"}
    hidden = np.maximum(X @ parameters["first.weight"], 0) * 2
    wanted = hidden @ parameters["last.weight"] + X
    np.testing.assert_allclose(apply_network(skipping, parameters, X).numpy(), wanted, rtol=1e-5)


def test_a_layer_of_ones_own_is_differentiated():
    net = Sequential(Residual(Linear(3)), Tanh())
    parameters = initialise(net, 3, dtype="float64")
    check_gradients(lambda p, x: apply_network(net, p, x), parameters, X, order=2)


def test_one_name_twice_is_one_layer():
    def twice(x, scope):
        return scope.apply("same", Linear(3), scope.apply("same", Linear(3), x))

    parameters = initialise(twice, 3)
    assert set(parameters) == {"same.weight", "same.bias"}
    wanted = X @ parameters["same.weight"] @ parameters["same.weight"]
    found = apply_network(twice, parameters, X).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_one_name_for_two_shapes_is_refused():
    def clash(x, scope):
        return scope.apply("same", Linear(2), scope.apply("same", Linear(4), x))

    with pytest.raises(
        ShapeError, match=r"parameter same\.weight is declared twice with different"
    ):
        initialise(clash, 3)


# ------------------------------------------------------------------ starts


def test_the_same_seed_gives_the_same_bits():
    net = Sequential(Linear(4), ReLU(), Linear(2))
    for dtype in ("float32", "float64"):
        first, second = (initialise(net, 3, 5, dtype) for _ in range(2))
        assert all(first[path].tobytes() == second[path].tobytes() for path in first)
        assert all(value.dtype == dtype for value in first.values())
    other = initialise(net, 3, 6)
    assert (other["0.weight"] != initialise(net, 3, 5)["0.weight"]).any()


def test_a_start_depends_on_seed_and_path_alone():
    def forwards(x, scope):
        return scope.apply("a", Linear(3), x) + scope.apply("b", Linear(3), x)

    def backwards(x, scope):
        scope.parameter("new", (2, 2), Normal(1.0))
        return scope.apply("b", Linear(3), x) + scope.apply("a", Linear(3), x)

    first, second = initialise(forwards, 3, 1), initialise(backwards, 3, 1)
    assert set(second) - set(first) == {"new"}
    assert all(first[path].tobytes() == second[path].tobytes() for path in first)
    assert (first["a.weight"] != first["b.weight"]).all()


def test_float32_starts_are_rounded_float64_starts():
    net = Linear(4)
    double = initialise(net, 3, 2, "float64")["weight"]
    np.testing.assert_array_equal(initialise(net, 3, 2)["weight"], double.astype("float32"))


def test_large_and_negative_seeds():
    starts = [initialise(Linear(2), 3, seed)["weight"] for seed in (0, -1, 2**32, 2**63)]
    assert len({start.tobytes() for start in starts}) == 4


# ------------------------------------------------------------------ description


def test_a_blueprint_allocates_nothing_and_names_everything():
    plan = blueprint(Sequential(Linear(10**6), ReLU(), Linear(10**6)), 10**6)
    assert plan.parameters["2.weight"].shape == (10**6, 10**6)
    assert plan.output_shape == (10**6,)
    assert [item.path for item in plan.applied] == ["0", "1", "2", ""]
    assert all(tensor.is_traced for tensor in plan.graph.inputs)


def test_fans_are_inputs_and_outputs():
    def network(x, scope):
        scope.parameter("kernel", (7, 5, 3), Zeros())
        scope.parameter("number", (), Zeros())
        scope.parameter("given", (7, 5, 3), Zeros(), (35, 3))
        return x

    plan = blueprint(network, 3)
    assert {path: item.fans[:2] for path, item in plan.parameters.items()} == {
        "kernel": (7, 3),
        "number": (1, 1),
        "given": (35, 3),
    }


@pytest.mark.parametrize(
    ("shape", "row"), [(3, (3,)), (np.int64(3), (3,)), ((2, 3), (2, 3)), ([2, 3], (2, 3)), ((), ())]
)
def test_row_shapes(shape, row):
    assert row_shape(shape) == row


@pytest.mark.parametrize("shape", [0, -1, (2, 0), 2.5, "3", (2, "3"), None])
def test_row_shapes_that_are_none(shape):
    with pytest.raises(ShapeError, match="an input shape has positive whole lengths, got"):
        row_shape(shape)


def test_a_network_keeps_the_batch_axis():
    with pytest.raises(
        ShapeError,
        match=r"keeps the batch axis: 4 rows in, but its output is "
        r"float32\[3\]",
    ):
        blueprint(lambda x, scope: x.sum(0), 3, batch=4)


# ------------------------------------------------------------------ states and randomness


def test_states_start_change_and_are_returned():
    net = Sequential(Counter(), Linear(2), Counter())
    plan = blueprint(net, 3)
    states = initial_states(plan)
    assert {path: value.item() for path, value in states.items()} == {
        "0.count": 10.0,
        "2.count": 10.0,
    }
    result = evaluate(net, initialise(net, 3), X, states=states)
    assert {path: value.item() for path, value in result.states.items()} == {
        "0.count": 11.0,
        "2.count": 11.0,
    }
    assert states["0.count"] == 10


def test_a_layer_used_twice_sees_its_own_update():
    def twice(x, scope):
        return scope.apply("c", Counter(), scope.apply("c", Counter(), x))

    result = evaluate(twice, {}, X, states=initial_states(blueprint(twice, 3)))
    assert result.states["c.count"].item() == 12
    np.testing.assert_allclose(result.output.numpy(), X + 21, rtol=1e-6)


def test_missing_states_are_named():
    with pytest.raises(ShapeError, match=r"the network's states hold no '0\.count'"):
        evaluate(Sequential(Counter()), {}, X)


def test_random_layers_need_a_key():
    net = Sequential(Noise())
    with pytest.raises(GraphError, match="layer 0 draws random numbers; pass a key to evaluate"):
        evaluate(net, {}, X, training=True)
    evaluate(net, {}, X, training=True, key=key_from_seed(0))


# ------------------------------------------------------------------ messages


def test_parameters_of_another_input_size_are_explained():
    net = Sequential(Linear(4), ReLU(), Linear(2))
    with pytest.raises(ShapeError) as caught:
        apply_network(net, initialise(net, 7), X)
    assert str(caught.value) == (
        "layer 0 (Linear), input float32[5,3]: parameter 0.weight has shape (7, 4), the layer "
        "expects (3, 4): was the network initialised for another input size?"
    )


def test_the_innermost_layer_is_named_once():
    net = Sequential(Sequential(Linear(4), Residual(Linear(3))))
    with pytest.raises(ShapeError) as caught:
        blueprint(net, 2)
    assert str(caught.value).startswith("layer 0.1 (Residual), input float32[1,4]: shapes (1, 4)")
    assert str(caught.value).count("layer ") == 1


def test_missing_parameters_are_named():
    net = Sequential(Linear(4))
    with pytest.raises(ShapeError, match=r"the network's parameters hold no '0\.weight'"):
        apply_network(net, {}, X)


def test_type_errors_name_the_layer():
    def invert(x, scope):
        return ~x

    with pytest.raises(
        DTypeError, match=r"^layer inner \(invert\), input float64\[2,2\]: not takes"
    ):
        evaluate(lambda x, scope: scope.apply("inner", invert, x), {}, np.zeros((2, 2)))


def test_a_layer_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Layer has no forward method"):
        apply_network(Layer(), {}, X)


def test_a_layer_that_hides_its_settings_is_refused():
    class Hidden(tw.Layer):
        def __init__(self, factor):
            self.factor = factor

        def forward(self, x, scope):
            return x * self.factor

    message = "Hidden must be a frozen dataclass, whose settings are fields"
    with pytest.raises(DescriptionError, match=message):
        tw.register("layer", "test_hidden")(Hidden)
    with pytest.raises(DescriptionError, match=message):
        tw.initialise(tw.Sequential(Hidden(2.0), tw.Linear(1)), 3)


def test_states_are_declared_before_they_are_updated_and_keep_their_shape():
    def early(x, scope):
        scope.update("mean", x.mean(axis=0))
        return x

    def wide(x, scope):
        scope.state("mean", (2,))
        scope.update("mean", x)
        return x

    with pytest.raises(GraphError, match="state mean is updated before the layer declares it"):
        tw.initialise(early, 2)
    with pytest.raises(ShapeError, match=r"state mean has shape \(2,\), its update \(1, 2\)"):
        tw.initialise(wide, 2)
