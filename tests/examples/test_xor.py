"""XOR: the fixed network's exact outputs, and learning against back-propagation in NumPy."""

import numpy as np
import pytest

import thalweg as tw


@pytest.fixture(scope="module")
def xor(example):
    return example("xor")


@pytest.fixture(scope="module")
def rectifiers(xor):
    return xor.learn("relu", 2, starts=60, epochs=600)


def test_the_fixed_network_is_xor_exactly(xor):
    assert xor.fixed_outputs().tolist() == [0.0, 1.0, 1.0, 0.0]
    assert xor.hidden_outputs().tolist() == [[0, 0], [1, 0], [1, 0], [2, 1]]


def test_the_fixed_network_is_xor_when_compiled(xor):
    run = tw.compile(lambda x: tw.apply_network(xor.NETWORK, xor.WEIGHTS, x))
    assert run(xor.INPUTS).numpy()[:, 0].tolist() == [0.0, 1.0, 1.0, 0.0]


def trained_in_numpy(start, x, y, epochs, rate=0.02, b1=0.9, b2=0.999, eps=1e-8):
    """Adam with gradients by hand for relu(xW + c)w + b; a start on each first axis."""
    values = {name: array.copy() for name, array in start.items()}
    first = {name: np.zeros_like(array) for name, array in start.items()}
    second = {name: np.zeros_like(array) for name, array in start.items()}
    for step in range(1, epochs + 1):
        net = x @ values["W"] + values["c"]
        hidden = np.maximum(net, 0)
        error = (hidden @ values["w"])[:, :, 0] + values["b"][:, None] - y
        delta = 2 * error[:, :, None] / len(x)
        back = delta @ values["w"].transpose(0, 2, 1) * (net > 0)
        gradients = {
            "W": x.T @ back,
            "c": back.sum(1, keepdims=True),
            "w": hidden.transpose(0, 2, 1) @ delta,
            "b": delta.sum((1, 2)),
        }
        for name, gradient in gradients.items():
            first[name] = b1 * first[name] + (1 - b1) * gradient
            second[name] = b2 * second[name] + (1 - b2) * gradient**2
            deviation = np.sqrt(second[name] / (1 - b2**step)) + eps
            values[name] -= rate * first[name] / (1 - b1**step) / deviation
    hidden = np.maximum(x @ values["W"] + values["c"], 0)
    return ((hidden @ values["w"])[:, :, 0] + values["b"][:, None]).T


def test_the_same_starts_succeed_in_numpy(xor, rectifiers):
    expected = trained_in_numpy(rectifiers.start, xor.INPUTS, xor.TARGETS, 600)
    np.testing.assert_allclose(rectifiers.outputs, expected, rtol=0, atol=1e-6)
    solved = np.abs(expected - xor.TARGETS[:, None]).max(0) < 0.1
    np.testing.assert_array_equal(rectifiers.solved, solved)
    assert 0.05 < rectifiers.share < 0.5


def test_a_network_of_many_is_trained_as_if_alone(xor, rectifiers):
    which = int(np.flatnonzero(rectifiers.solved)[0])
    start = {name: array[which] for name, array in rectifiers.start.items()}
    run = tw.fit(
        xor.NETWORK,
        xor.INPUTS,
        xor.TARGETS,
        loss="squared_error",
        optimizer=tw.Adam(0.02),
        epochs=600,
        start={
            "0.weight": start["W"],
            "0.bias": start["c"][0],
            "2.weight": start["w"],
            "2.bias": start["b"][None],
        },
        dtype="float64",
        progress=False,
    )
    alone = run.model.predict(xor.INPUTS)
    np.testing.assert_allclose(alone, rectifiers.outputs[:, which], rtol=0, atol=1e-9)


def test_more_units_and_smooth_activations_succeed_more_often(xor, rectifiers):
    assert xor.learn("relu", 8, starts=60, epochs=600).share > rectifiers.share + 0.3
    assert xor.learn("tanh", 2, starts=60, epochs=600).share > rectifiers.share + 0.3


def test_other_seeds_start_elsewhere(xor):
    one, other = (xor.learn("tanh", 2, starts=2, epochs=1, seed=seed) for seed in (0, 1))
    assert not np.isin(one.start["W"], other.start["W"]).any()


def test_it_runs_as_a_script(xor, capsys, tmp_path):
    arguments = ["--starts", "5", "--units", "2", "4", "--activations", "elu"]
    xor.main([*arguments, "--plot", str(tmp_path / "xor.png")])
    printed = capsys.readouterr().out
    assert "1 1     2 1      0" in printed
    assert "starts of 5 that learn XOR" in printed
    assert (tmp_path / "xor.png").stat().st_size > 5000
