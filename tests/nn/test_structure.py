"""Skip connections, branches, changes of shape."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.autodiff.numerical import check_gradients
from thalweg.descriptions import from_plain, to_plain
from thalweg.errors import SettingError, ShapeError
from thalweg.nn.initialisers import He
from thalweg.nn.layer import apply_network, blueprint, initialise
from thalweg.nn.structure import (
    Concatenated,
    Flatten,
    Parallel,
    Reshape,
    Residual,
    SkipSequential,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3))


def _start(net, shape=3):
    return {
        path: RNG.normal(size=value.shape)
        for path, value in initialise(net, shape, dtype="float64").items()
    }


def _line(x, p, name):
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]


# ------------------------------------------------------------------ values


def test_a_residual_connection_adds_its_input():
    net = Residual(tw.Sequential(tw.Linear(4), tw.Tanh(), tw.Linear(3)))
    p = _start(net)
    wanted = X + _line(np.tanh(_line(X, p, "inner.0")), p, "inner.2")
    np.testing.assert_allclose(apply_network(net, p, X).numpy(), wanted, rtol=1e-12)


def test_a_projection_changes_the_shape():
    net = Residual(tw.Sequential(tw.Linear(4), tw.Tanh()), projection=tw.Linear(4))
    p = _start(net)
    wanted = _line(X, p, "projection") + np.tanh(_line(X, p, "inner.0"))
    np.testing.assert_allclose(apply_network(net, p, X).numpy(), wanted, rtol=1e-12)


def test_a_chain_of_residual_blocks_lets_gradients_through():
    block = Residual(tw.Sequential(tw.Linear(3), tw.Logistic()))
    chain = tw.Sequential(*(block,) * 30)
    plain = tw.Sequential(*(tw.Sequential(tw.Linear(3), tw.Logistic()),) * 30)
    slopes = [
        np.abs(
            tw.grad(lambda z, n=net: apply_network(n, initialise(n, 3), z).sum())(X).numpy()
        ).max()
        for net in (chain, plain)
    ]
    assert slopes[0] > 0.5
    assert slopes[1] < 1e-3 * slopes[0]


def test_a_concatenated_connection_puts_its_input_first():
    net = tw.Sequential(Concatenated(tw.Sequential(tw.Linear(2), tw.ReLU())), tw.Linear(1))
    p = _start(net)
    hidden = np.concatenate([X, np.maximum(_line(X, p, "0.inner.0"), 0)], axis=1)
    np.testing.assert_allclose(apply_network(net, p, X).numpy(), _line(hidden, p, "1"), rtol=1e-12)


@pytest.mark.parametrize(("axis", "shape"), [("last", (2, 3, 10)), ("channels", (2, 6, 5))])
def test_features_may_stand_along_axis_one(axis, shape):
    x = RNG.normal(size=(2, 3, 5))
    for net in (
        Concatenated(tw.Tanh(), axis),
        Parallel((tw.Identity(), tw.Tanh()), "concatenate", axis),
        SkipSequential((tw.Tanh(),), ((0, 1, "concatenate"),), axis),
    ):
        found = apply_network(net, {}, x).numpy()
        wanted = np.concatenate([x, np.tanh(x)], axis=-1 if axis == "last" else 1)
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
        assert found.shape == shape


@pytest.mark.parametrize("combine", ["sum", "mean", "concatenate"])
def test_branches_are_joined(combine):
    net = Parallel((tw.Linear(4), tw.Sequential(tw.Linear(4), tw.Tanh()), tw.Linear(4)), combine)
    p = _start(net)
    outputs = [_line(X, p, "0"), np.tanh(_line(X, p, "1.0")), _line(X, p, "2")]
    join = {"sum": np.sum, "mean": np.mean, "concatenate": np.concatenate}[combine]
    wanted = join(outputs, axis=1 if combine == "concatenate" else 0)
    np.testing.assert_allclose(apply_network(net, p, X).numpy(), wanted, rtol=1e-12)


def test_links_skip_layers():
    net = SkipSequential(
        (tw.Linear(3), tw.Tanh(), tw.Linear(3), tw.Tanh(), tw.Linear(2)),
        links=((0, 4, "sum"), (2, 4, "concatenate"), (4, 5, "concatenate")),
    )
    p = _start(net)
    two = np.tanh(_line(X, p, "0"))
    four = np.concatenate([two, X + np.tanh(_line(two, p, "2"))], axis=1)
    wanted = np.concatenate([four, _line(four, p, "4")], axis=1)
    np.testing.assert_allclose(apply_network(net, p, X).numpy(), wanted, rtol=1e-12)


def test_without_links_it_is_sequential():
    layers = (tw.Linear(4), tw.Tanh(), tw.Linear(2))
    p = _start(tw.Sequential(*layers))
    one, two = (
        apply_network(net, p, X).numpy() for net in (tw.Sequential(*layers), SkipSequential(layers))
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "net",
    [
        Residual(tw.Sequential(tw.Linear(3), tw.Tanh())),
        Residual(tw.Linear(4), projection=tw.Linear(4)),
        Concatenated(tw.Sequential(tw.Linear(2), tw.Tanh())),
        Parallel((tw.Linear(2), tw.Tanh(), tw.Linear(1)), "concatenate"),
        SkipSequential((tw.Linear(3), tw.Tanh(), tw.Linear(3)), ((0, 2, "sum"), (1, 3, "sum"))),
    ],
)
def test_derivatives_agree_and_both_backends_train(net):
    check_gradients(lambda p, x: apply_network(net, p, x), _start(net), X, order=2, directions=2)
    x = RNG.normal(size=(40, 3))
    y = (x[:, 0] > x[:, 1]).astype(int)
    options = {"batch_size": 16, "epochs": 3, "progress": False, "dtype": "float64"}
    whole = tw.Sequential(net, tw.Linear(2))
    one, two = (
        tw.fit(whole, x, y, backend=backend, **options) for backend in ("interpreter", "native")
    )
    for path, value in one.model.parameters.items():
        np.testing.assert_allclose(two.model.parameters[path], value, rtol=1e-7, atol=1e-9)
    assert one.history["train_loss"][-1] < one.history["train_loss"][0]


# ------------------------------------------------------------------ beside other layers


def test_initialisers_see_the_activation_behind_a_block():
    for block in (
        Residual(tw.Linear(3)),
        Parallel((tw.Linear(3),)),
        Concatenated(tw.Linear(3)),
        SkipSequential((tw.Linear(3),)),
    ):
        plan = blueprint(tw.Sequential(block, tw.ReLU()), 3)
        start = next(iter(plan.parameters.values()))
        assert start.initialiser.choose(start.fans) == He()


def test_a_bias_that_a_link_carries_away_is_kept():
    layers = (tw.Linear(3), tw.BatchNorm1d(), tw.Tanh())
    assert "0.bias" not in initialise(SkipSequential(layers), 3)
    assert "0.bias" in initialise(SkipSequential(layers, ((1, 3, "sum"),)), 3)
    assert "0.bias" in initialise(SkipSequential(layers, ((0, 1, "sum"),)), 3)


def test_shapes_are_changed_in_the_order_of_memory():
    x = RNG.normal(size=(4, 2, 3))
    np.testing.assert_array_equal(apply_network(Flatten(), {}, x).numpy(), x.reshape(4, 6))
    np.testing.assert_array_equal(
        apply_network(Reshape((3, -1)), {}, x).numpy(), x.reshape(4, 3, 2)
    )
    assert apply_network(Flatten(), {}, x[:, 0, 0]).shape == (4, 1)
    plan = blueprint(tw.Sequential(tw.Linear(3), Flatten(), tw.ReLU()), (2, 3))
    start = plan.parameters["0.weight"]
    assert start.initialiser.choose(start.fans) == He()


# ------------------------------------------------------------------ refusals, JSON


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            Residual(tw.Linear(4)),
            r"Residual adds x of shape \(5, 3\) to f\(x\) of shape \(5, 4\): give a projection",
        ),
        (
            Residual(tw.Linear(1)),
            r"Residual adds x of shape \(5, 3\) to f\(x\) of shape \(5, 1\)",
        ),
        (
            Residual(tw.Linear(4), tw.Linear(2)),
            r"Residual adds P\(x\) of shape \(5, 2\) to f\(x\) of shape \(5, 4\)",
        ),
        (
            Parallel((tw.Linear(4), tw.Linear(4), tw.Linear(1))),
            r"Parallel adds the first branch's output \(5, 4\) to \(5, 1\) of branch 2",
        ),
        (
            SkipSequential((tw.Linear(3), tw.Linear(4)), ((0, 2, "sum"),)),
            r"SkipSequential link \(0, 2, sum\) adds shape \(5, 3\) to \(5, 4\): make them equal",
        ),
        (Reshape((2,)), r"reshape.*float64\[5,3\]"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(net, message):
    with pytest.raises(ShapeError) as caught:
        apply_network(net, _parameters(net), X)
    assert caught.match(message)


def _parameters(net):
    """Parameters for the linear layers of a network that cannot be described as a whole."""
    names = {Residual: ("inner", "projection")}.get(type(net), ("0", "1", "2"))
    if isinstance(net, Residual):
        layers = (net.inner, net.projection)
    else:
        layers = getattr(net, "branches", getattr(net, "layers", ()))
    found = {}
    for name, layer in zip(names, layers, strict=False):
        if layer is not None:
            found[f"{name}.weight"] = np.ones((3, layer.features))
            found[f"{name}.bias"] = np.ones(layer.features)
    return found


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Residual(3), "Residual.inner must be a layer, got 3"),
        (lambda: Parallel(()), "Parallel needs at least one branch"),
        (lambda: Parallel((tw.Tanh(),), "product"), "Parallel.combine = 'product' is not one of"),
        (lambda: SkipSequential((tw.Tanh(),), ((0, 2, "sum"),)), "must have 0 ≤ i < j ≤ 1, the"),
        (lambda: SkipSequential((tw.Tanh(),), ((1, 1, "sum"),)), "must have 0 ≤ i < j ≤ 1, the"),
        (lambda: SkipSequential((tw.Tanh(),), ((0, 1, "mean"),)), r"is \(i, j, \"sum\"\) or"),
        (lambda: SkipSequential((tw.Tanh(),), ((0, 1),)), r"got \(0, 1\)"),
        (lambda: SkipSequential((tw.Tanh(),), (0, 1, "sum")), "got 0"),
        (lambda: Reshape((2, 0)), r"Reshape.shape has positive whole lengths.*got \(2, 0\)"),
        (lambda: Reshape((-1, -1)), r"got \(-1, -1\)"),
        (lambda: Reshape(3), "got 3"),
    ],
)
def test_settings_that_are_wrong_are_refused(build, message):
    with pytest.raises(SettingError, match=message):
        build()


@pytest.mark.parametrize(
    "net",
    [
        Residual(tw.Linear(3), tw.Linear(3)),
        Residual(tw.Linear(3)),
        Concatenated(tw.Linear(3), "channels"),
        Parallel([tw.Linear(3), tw.Tanh()], "mean"),
        SkipSequential([tw.Linear(3), tw.Tanh()], [[0, 2, "sum"]]),
        Reshape([2, -1]),
        Flatten(),
    ],
)
def test_description_survives_json(net):
    assert from_plain("layer", to_plain(net)) == net


@pytest.mark.parametrize(
    "block",
    [
        tw.Residual(tw.Sequential(tw.ReLU(), tw.Linear(300))),
        tw.Concatenated(tw.ReLU()),
        tw.SkipSequential((tw.Dropout(0.1), tw.ReLU(), tw.Linear(3)), links=((1, 2, "sum"),)),
    ],
)
def test_weights_in_front_of_a_block_start_as_its_first_activation_asks(block):
    weights = tw.initialise(tw.Sequential(tw.Linear(300), block), 200)["0.weight"]
    assert weights.std() * np.sqrt(200) == pytest.approx(np.sqrt(2), rel=0.02)
