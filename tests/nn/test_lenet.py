"""The parts of LeNet-5 of 1998: formulas in float64, table I, what is refused."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.autodiff.numerical import check_gradients
from thalweg.descriptions import from_plain, to_plain
from thalweg.errors import SettingError, ShapeError
from thalweg.nn.initialisers import Constant, Fans, Orthogonal
from thalweg.nn.layer import apply_network, blueprint, initialise
from thalweg.nn.lenet import C3_CONNECTIONS, InverseFanIn, MaskedConv2d, ScaledTanh, Subsample2d

RNG = np.random.default_rng(0)
THREE = ((0, 1), (2,), (2, 0, 1))


def _drawn(layer, shape):
    return {path: RNG.normal(size=value.shape) for path, value in initialise(layer, shape).items()}


# ------------------------------------------------------------------ scaled tanh


def test_scaled_tanh_is_one_at_one():
    x = np.array([[-2.0, -1.0, 0.0, 1.0, 50.0]])
    found = apply_network(ScaledTanh(), {}, x).numpy()
    np.testing.assert_allclose(found, 1.7159 * np.tanh(2 / 3 * x), rtol=1e-14)
    np.testing.assert_allclose(found[0, [1, 3, 4]], [-1, 1, 1.7159], atol=1e-4)


# ------------------------------------------------------------------ subsampling


@pytest.mark.parametrize(
    ("size", "shape"), [(2, (2, 3, 6, 4)), (2, (1, 2, 5, 7)), (3, (2, 1, 7, 6))]
)
def test_subsampling_is_a_weighted_sum_of_windows_side_by_side(size, shape):
    layer, x = Subsample2d(size), RNG.normal(size=shape)
    p = _drawn(layer, shape[1:])
    rows, columns = shape[2] // size, shape[3] // size
    cut = x[:, :, : rows * size, : columns * size]
    total = cut.reshape(*shape[:2], rows, size, columns, size).sum((3, 5))
    wanted = p["weight"][:, None, None] * total + p["bias"][:, None, None]
    np.testing.assert_allclose(apply_network(layer, p, x).numpy(), wanted, rtol=1e-12, atol=1e-12)
    check_gradients(lambda p, x: apply_network(layer, p, x), p, x, order=2, directions=2)


def test_subsampling_starts_as_the_average():
    x = RNG.normal(size=(2, 3, 4, 6))
    start = initialise(Subsample2d(2), (3, 4, 6), dtype="float64")
    found = apply_network(Subsample2d(2), start, x).numpy()
    np.testing.assert_allclose(found, x.reshape(2, 3, 2, 2, 3, 2).mean((3, 5)), rtol=1e-12)
    assert set(initialise(Subsample2d(2, weight=Constant(3.0)), (3, 4, 6))["weight"]) == {3.0}


# ------------------------------------------------------------------ sparse connections of maps


def _masked_by_hand(x, p, connections, padding=0):
    side = p["weight"].shape[0]
    x = np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
    rows, columns = (length - side + 1 for length in x.shape[2:])
    y = np.zeros((len(x), len(connections), rows, columns))
    number = 0
    for k, channels in enumerate(connections):
        for c in channels:
            kernel = p["weight"][:, :, number]
            for i in range(rows):
                for j in range(columns):
                    y[:, k, i, j] += (x[:, c, i : i + side, j : j + side] * kernel).sum((1, 2))
            number += 1
    return y + p["bias"][:, None, None]


@pytest.mark.parametrize(("side", "padding"), [(3, 0), (2, 0), (3, 1), (1, 0)])
def test_each_map_sees_its_own_channels(side, padding):
    layer, x = MaskedConv2d(THREE, side, padding), RNG.normal(size=(2, 3, 5, 4))
    p = _drawn(layer, x.shape[1:])
    assert p["weight"].shape == (side, side, 6)
    wanted = _masked_by_hand(x, p, THREE, padding)
    np.testing.assert_allclose(apply_network(layer, p, x).numpy(), wanted, rtol=1e-12, atol=1e-12)
    check_gradients(lambda p, x: apply_network(layer, p, x), p, x, directions=2)


def test_scipy_agrees_on_a_map():
    signal = pytest.importorskip("scipy.signal")
    layer, x = MaskedConv2d(((1,),), 3), RNG.normal(size=(1, 2, 6, 7))
    p = _drawn(layer, x.shape[1:])
    wanted = signal.correlate2d(x[0, 1], p["weight"][:, :, 0], "valid") + p["bias"]
    np.testing.assert_allclose(apply_network(layer, p, x).numpy()[0, 0], wanted, atol=1e-12)


def test_table_1():
    """Rows are the maps of S2, columns those of C3."""
    seen = ["".join("X" if s2 in map_ else "." for map_ in C3_CONNECTIONS) for s2 in range(6)]
    assert seen == [
        "X...XXX..XXXX.XX",
        "XX...XXX..XXXX.X",
        "XXX...XXX..X.XXX",
        ".XXX..XXXX..X.XX",
        "..XXX..XXXX.XX.X",
        "...XXX..XXXX.XXX",
    ]
    summary = MaskedConv2d(C3_CONNECTIONS, 5).summary((6, 14, 14))
    assert summary.parameters == 60 * 25 + 16 == 1516
    assert summary.rows[0].note == "60 of 96 connections"


def test_weights_are_drawn_for_each_map_s_own_inputs():
    connections = tuple((0,) for _ in range(200)) + tuple(tuple(range(4)) for _ in range(200))
    start = initialise(MaskedConv2d(connections, 3, weight=tw.He()), (4, 5, 5))["weight"]
    one, four = start[:, :, :200], start[:, :, 200:]
    np.testing.assert_allclose([one.var() * 9, four.var() * 36], 2.0, rtol=0.1)
    whole = initialise(MaskedConv2d(THREE, 2, weight=Orthogonal()), (3, 4, 4))["weight"]
    assert np.isfinite(whole).all()


def test_it_has_no_bias_in_front_of_batch_normalisation():
    net = tw.Sequential(MaskedConv2d(THREE, 3), tw.BatchNorm2d())
    assert set(initialise(net, (3, 4, 4))) == {"0.weight", "1.weight", "1.bias"}


# ------------------------------------------------------------------ the start


def test_weights_start_within_the_bound_over_the_inputs():
    drawn = InverseFanIn(2.4).sample(np.random.default_rng(0), (120, 84), Fans(120, 84))
    assert np.abs(drawn).max() <= 2.4 / 120
    np.testing.assert_allclose(drawn.var(), (2.4 / 120) ** 2 / 3, rtol=0.05)
    net = tw.Sequential(MaskedConv2d(THREE, 2, weight=InverseFanIn(1.0)))
    kernels = initialise(net, (3, 4, 4))["0.weight"]
    limits = np.array([1 / 8, 1 / 8, 1 / 4, 1 / 12, 1 / 12, 1 / 12])
    assert (np.abs(kernels).max((0, 1)) <= limits).all()
    assert (np.abs(kernels).max((0, 1)) > 0.2 * limits).all()


def test_scaled_tanh_asks_for_lecun():
    plan = blueprint(tw.Sequential(tw.Linear(3), ScaledTanh()), 4)
    start = plan.parameters["0.weight"]
    assert start.initialiser.choose(start.fans) == tw.LeCun()


# ------------------------------------------------------------------ refusals, JSON


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Subsample2d(), (2, 6), r"Subsample2d takes inputs \(N, C, H, W\), got float32\[1,2,6\]"),
        (Subsample2d(4), (1, 3, 8), "Subsample2d: the window spans 4 along the height, but the"),
        (MaskedConv2d(THREE, 3), (4, 4), r"MaskedConv2d takes inputs \(N, C, H, W\), got float32"),
        (MaskedConv2d(THREE, 3), (2, 4, 4), "connects map 1 to channel 2, but .* has 2 channels"),
        (MaskedConv2d(THREE, 5), (3, 4, 4), "MaskedConv2d: the window spans 5 along the height"),
    ],
)
def test_other_inputs_are_refused(layer, shape, message):
    with pytest.raises(ShapeError, match=message):
        layer.summary(shape)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: MaskedConv2d(()),
            r"MaskedConv2d.connections holds a tuple of .* got \(\)",
        ),
        (
            lambda: MaskedConv2d(((0,), ())),
            r"connections\[1\] holds different .* got \(\)",
        ),
        (lambda: MaskedConv2d(((1, 1),)), r"connections\[0\] holds different channels"),
        (lambda: MaskedConv2d(((-1,),)), r"connections\[0\] holds different channels"),
        (lambda: MaskedConv2d(THREE, 0), r"MaskedConv2d.kernel_size = 0 is outside \[1, 4096\]"),
        (lambda: MaskedConv2d(THREE, padding=-1), r"MaskedConv2d.padding is .* got -1"),
        (lambda: Subsample2d(0), r"Subsample2d.size = 0 is outside \[1, 4096\]"),
        (lambda: ScaledTanh(0.0), r"ScaledTanh.amplitude = 0.0 is outside \(0, ∞\)"),
    ],
)
def test_settings_that_are_none_are_refused(make, message):
    with pytest.raises(SettingError, match=message):
        make()


@pytest.mark.parametrize(
    "layer",
    [
        ScaledTanh(2.0, 0.5),
        Subsample2d(3, InverseFanIn(1.0)),
        MaskedConv2d(C3_CONNECTIONS, 5, ((1, 2), 0), bias=False, weight=InverseFanIn()),
    ],
)
def test_descriptions_survive_json(layer):
    assert from_plain("layer", to_plain(layer)) == layer


# ------------------------------------------------------------------ PyTorch


def test_pytorch_agrees_on_masked_convolution():
    torch = pytest.importorskip("torch")
    x, dy = RNG.normal(size=(2, 6, 9, 8)), RNG.normal(size=(2, 16, 5, 4))
    layer = MaskedConv2d(C3_CONNECTIONS, 5)
    p = _drawn(layer, x.shape[1:])
    dense = torch.zeros(16, 6, 5, 5, dtype=torch.float64)
    pairs = [(k, c) for k, channels in enumerate(C3_CONNECTIONS) for c in channels]
    for number, (k, c) in enumerate(pairs):
        dense[k, c] = torch.tensor(p["weight"][:, :, number])
    given = torch.tensor(x, requires_grad=True)
    dense.requires_grad_()
    wanted = torch.nn.functional.conv2d(given, dense, torch.tensor(p["bias"]))
    (wanted * torch.tensor(dy)).sum().backward()
    found = apply_network(layer, p, x).numpy()
    np.testing.assert_allclose(found, wanted.detach().numpy(), atol=1e-12)
    slopes = tw.grad(lambda p, z: (apply_network(layer, p, z) * dy).sum(), argnums=(0, 1))(p, x)
    np.testing.assert_allclose(slopes[1].numpy(), given.grad.numpy(), atol=1e-12)
    kernels = np.stack([dense.grad[k, c].numpy() for k, c in pairs], -1)
    np.testing.assert_allclose(slopes[0]["weight"].numpy(), kernels, atol=1e-12)
