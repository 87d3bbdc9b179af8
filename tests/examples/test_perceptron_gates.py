"""The neuron's gates against truth tables, the perceptron rule in NumPy and published counts."""

import numpy as np
import pytest

import thalweg as tw


@pytest.fixture(scope="module")
def gates(example):
    return example("perceptron_gates")


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("AND", np.logical_and),
        ("OR", np.logical_or),
        ("NAND", lambda a, b: ~np.logical_and(a, b)),
        ("NOT", np.logical_not),
        ("XOR", np.logical_xor),
    ],
)
def test_the_truth_tables_are_numpys(gates, name, function):
    columns = gates.rows_of(gates.GATES[name]).T.astype(bool)
    np.testing.assert_array_equal(np.array(gates.GATES[name], bool), function(*columns))


@pytest.mark.parametrize("name", ["AND", "OR", "NAND", "NOT"])
def test_chosen_weights_make_the_gate(gates, name):
    assert gates.neuron_outputs(name) == list(gates.GATES[name])


def perceptron_rule(weights, bias, x, signs):
    """Rows in order, again and again, until one round leaves all right."""
    for epoch in range(1, 101):
        for row, sign in zip(x, signs, strict=True):
            if sign * (row @ weights + bias) <= 0:
                weights, bias = weights + sign * row, bias + sign
        if np.all(signs * (x @ weights + bias) > 0):
            return weights, bias, epoch
    raise AssertionError("not separable")


@pytest.mark.parametrize("name", ["AND", "OR", "NAND", "NOT"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_perceptron_rule_is_the_textbooks(gates, name, seed):
    x, signs = gates.rows_of(gates.GATES[name]), gates.signs_of(gates.GATES[name])
    start = tw.initialise(tw.Linear(1), x.shape[1], seed=seed, dtype="float64")
    weights, bias, epochs = perceptron_rule(start["weight"][:, 0], start["bias"][0], x, signs)
    unit = gates.perceptron(gates.GATES[name], seed, shuffle=False)
    assert (unit.right, unit.epochs) == (len(x), epochs)
    np.testing.assert_allclose([*unit.weights, unit.bias], [*weights, bias], rtol=1e-14)


def test_a_unit_never_learns_xor(gates):
    assert gates.best_of_starts(gates.GATES["XOR"], 6) == 3


def test_no_weights_of_a_fine_grid_make_xor(gates):
    w1, w2, b = np.meshgrid(*[np.linspace(-2, 2, 41)] * 3)
    x, signs = gates.inputs(2), gates.signs_of(gates.GATES["XOR"])
    right = sum(t * (w1 * r[0] + w2 * r[1] + b) > 0 for r, t in zip(x, signs, strict=True))
    assert right.max() == 3


@pytest.mark.parametrize(("count", "expected"), [(1, (4, 4)), (2, (14, 16)), (3, (104, 256))])
def test_one_unit_can_be_so_many_functions(gates, count, expected):
    assert gates.count_separable(count) == expected  # as tabulated by Muroga, 1971


@pytest.mark.parametrize("name", ["AND", "OR", "NOT"])
def test_a_tanh_unit_learns_a_separable_gate(gates, name):
    unit = gates.tanh_unit(gates.GATES[name])
    x, signs = gates.rows_of(gates.GATES[name]), gates.signs_of(gates.GATES[name])
    outputs = np.tanh(x @ np.array(unit.weights) + unit.bias)
    assert unit.right == len(x)
    np.testing.assert_array_equal(np.sign(outputs), signs)
    assert np.mean((outputs - signs) ** 2) < 0.02


def test_a_tanh_unit_on_xor_ends_where_it_says_nothing(gates):
    unit = gates.tanh_unit(gates.GATES["XOR"])
    assert unit.right < 4
    assert unit.loss == pytest.approx(1, abs=0.01)  # that of the answer 0 for every row


def test_it_runs_as_a_script(gates, capsys, tmp_path):
    gates.main(["--starts", "2", "--plot", str(tmp_path / "gates.png")])
    printed = capsys.readouterr().out
    assert "functions of 2 inputs that one unit can be: 14 of 16" in printed
    assert (tmp_path / "gates.png").stat().st_size > 5000
