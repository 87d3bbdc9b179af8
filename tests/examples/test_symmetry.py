"""Equal starts against one unit trained in NumPy, and random ones against counting by hand."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def symmetry(example):
    return example("symmetry")


@pytest.mark.parametrize("activation", ["tanh", "logistic", "relu"])
@pytest.mark.parametrize("units", [13, 16])
def test_equal_units_stay_equal_to_the_bit(symmetry, activation, units):
    record = symmetry.train(activation, "constant 0.5", 0.01, epochs=20, units=units)
    assert record.different == (1,) * 21
    assert record.moved
    assert record.losses[-1] < record.losses[0]
    weight = record.parameters["0.weight"]
    np.testing.assert_array_equal(weight, weight[:, :1].repeat(units, axis=1))


@pytest.mark.parametrize(
    ("activation", "bias", "moves"),
    [("tanh", 0.0, False), ("relu", 0.0, False), ("relu", 0.01, True), ("logistic", 0.0, True)],
)
def test_zeros_move_only_where_units_give_something(symmetry, activation, bias, moves):
    record = symmetry.train(activation, "zeros", bias, epochs=10)
    assert record.different == (1,) * 11
    assert record.moved is moves
    if not moves:  # the output's bias alone learns
        assert not record.parameters["2.weight"].any()
        assert record.parameters["2.bias"].all()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_random_units_differ_from_first_to_last(symmetry, activation):
    record = symmetry.train(activation, "random", epochs=20)
    assert record.different == (16,) * 21
    equal = symmetry.train(activation, "constant 0.5", epochs=20)
    assert record.losses[-1] < 0.5 * equal.losses[-1]


def one_unit_in_numpy(x, y, count, steps, rate=0.02, b1=0.9, b2=0.999, eps=1e-8):
    """Adam for count·v·tanh(xw + c) + b on all rows, v moved by one unit's gradient."""
    values = [np.full(2, 0.5), np.zeros(()), np.full((), 0.5), np.zeros(())]
    first, second = ([np.zeros_like(value) for value in values] for _ in range(2))
    for step in range(1, steps + 1):
        w, c, v, b = values
        hidden = np.tanh(x @ w + c)
        delta = 2 * (count * v * hidden + b - y) / len(x)
        back = delta * v * (1 - hidden**2)
        for place, gradient in enumerate((x.T @ back, back.sum(), delta @ hidden, delta.sum())):
            first[place] = b1 * first[place] + (1 - b1) * gradient
            second[place] = b2 * second[place] + (1 - b2) * gradient**2
            deviation = np.sqrt(second[place] / (1 - b2**step)) + eps
            values[place] = values[place] - rate * first[place] / (1 - b1**step) / deviation
    return values


def test_equal_units_are_one_unit_many_times(symmetry):
    x, y = symmetry.data()
    record = symmetry.train(
        "tanh", "constant 0.5", epochs=50, units=7, batch_size=len(x), dtype="float64"
    )
    w, c, v, b = one_unit_in_numpy(x, y, count=7, steps=50)
    np.testing.assert_allclose(record.parameters["0.weight"], w[:, None].repeat(7, 1), rtol=1e-9)
    np.testing.assert_allclose(record.parameters["0.bias"], np.full(7, c), rtol=1e-9)
    np.testing.assert_allclose(record.parameters["2.weight"][:, 0], np.full(7, v), rtol=1e-9)
    np.testing.assert_allclose(record.parameters["2.bias"], [b], rtol=1e-9)


def test_a_small_bias_opens_rectifiers(symmetry):
    assert symmetry.open_units("zeros", 0.0) == 0
    assert symmetry.open_units("zeros", 0.01) == 1
    x = symmetry.data()[0].astype(np.float32)
    share = np.mean(x.sum(1) * np.float32(0.5) + np.float32(0.01) > 0)
    assert symmetry.open_units("constant 0.5", 0.01) == pytest.approx(share, abs=1e-12)


def test_units_are_told_apart_by_every_bit(symmetry):
    parameters = {
        "0.weight": np.ones((2, 3)),
        "0.bias": np.array([0.0, 0.0, np.nextafter(0, 1)]),
        "2.weight": np.ones((3, 1)),
    }
    assert symmetry.different_units(parameters) == 2


def test_it_runs_as_a_script(symmetry, capsys, tmp_path):
    symmetry.main(["--epochs", "2", "--plot", str(tmp_path / "symmetry.png")])
    printed = capsys.readouterr().out
    assert "relu        zeros         0.01         1      1  move" in printed
    assert (tmp_path / "symmetry.png").stat().st_size > 5000
