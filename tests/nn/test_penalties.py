"""Penalties against their formulas, ridge regression, the elastic net, and weight decay."""

import math

import numpy as np
import pytest
import sklearn.linear_model

import thalweg as tw
from thalweg.autodiff.numerical import check_gradients
from thalweg.autodiff.transforms import grad
from thalweg.descriptions import from_plain, members, settings_of, to_plain
from thalweg.descriptions.spec import parse_spec, spec_of
from thalweg.errors import SettingError
from thalweg.graph import Tensor
from thalweg.nn.penalties import (
    L1,
    L2,
    ElasticNet,
    GroupLasso,
    Penalties,
    Penalty,
    as_penalty,
)

RNG = np.random.default_rng(4)
WEIGHTS = {
    "0.weight": RNG.normal(size=(5, 4)),
    "0.bias": RNG.normal(size=4),
    "1.weight": RNG.normal(size=(4, 2)),
    "deep": RNG.normal(size=(2, 3, 4)),
}
TENSORS = {path: Tensor(value) for path, value in WEIGHTS.items()}
MATRICES = [value for value in WEIGHTS.values() if value.ndim > 1]
BIAS = WEIGHTS["0.bias"]


def _sum(term, *, biases=False):
    return sum(float(term(item)) for item in [*MATRICES, *([BIAS] if biases else [])])


def _absolute(w):
    return np.abs(w).sum()


def _half_square(w):
    return 0.5 * np.linalg.norm(w) ** 2


def _groups(axis):
    def norms(w):
        if w.ndim < 2:
            return np.abs(w).sum()
        flat = np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1)
        return math.sqrt(flat.shape[1]) * np.linalg.norm(flat, axis=1).sum()

    return norms


def _mixed(w):
    return 0.3 * _absolute(w) + 0.7 * _half_square(w)


CASES = {
    "l1": (L1(0.2), _absolute),
    "l2": (L2(0.2), _half_square),
    "elastic_net": (ElasticNet(0.2, share=0.3), _mixed),
    "group_lasso": (GroupLasso(0.2), _groups(0)),
    "group_lasso outputs": (GroupLasso(0.2, "outputs"), _groups(-1)),
}
every = pytest.mark.parametrize("name", CASES)


def _with_biases(penalty):
    return type(penalty)(**{**vars(penalty), "biases": True})


def test_every_registered_penalty_is_tested_here():
    assert set(members("penalty")) == {name.split()[0] for name in CASES} | {"sum"}


@every
def test_values_are_those_of_the_formula_and_biases_are_exempt(name):
    penalty, term = CASES[name]
    assert float(penalty(TENSORS)) == pytest.approx(0.2 * _sum(term), rel=1e-12)
    with_biases = float(_with_biases(penalty)(TENSORS))
    assert with_biases == pytest.approx(0.2 * _sum(term, biases=True), rel=1e-12)


@every
def test_derivatives_agree_with_difference_quotients(name):
    penalty, _ = CASES[name]
    check_gradients(_with_biases(penalty), WEIGHTS)
    slope = grad(penalty)(TENSORS)["0.bias"].numpy()
    assert not slope.any()


@every
def test_the_slope_at_zero_is_zero(name):
    penalty, _ = CASES[name]
    zeros = {"w": Tensor(np.zeros((3, 2)))}
    slope = grad(penalty)(zeros)["w"].numpy()
    np.testing.assert_array_equal(slope, 0)


@every
def test_the_type_is_that_of_the_parameters(name):
    penalty, term = CASES[name]
    short = {path: Tensor(value.astype("float32")) for path, value in WEIGHTS.items()}
    found = penalty(short)
    assert (found.shape, found.dtype) == ((), "float32")
    assert float(found) == pytest.approx(0.2 * _sum(term), rel=1e-6)
    large = {"w": Tensor(np.full((300, 300), 1e4, np.float32))}
    assert math.isfinite(float(penalty(large)))


@every
def test_descriptions_survive_json_and_text(name):
    penalty, _ = CASES[name]
    for one in (penalty, _with_biases(penalty), penalty + L2(0.5)):
        assert from_plain("penalty", to_plain(one)) == one
        assert parse_spec("penalty", spec_of(one)) == one


def test_slopes_are_those_of_the_definitions():
    slopes = {
        "l1": grad(L1(0.2))(TENSORS),
        "l2": grad(L2(0.2))(TENSORS),
    }
    for path, value in WEIGHTS.items():
        if value.ndim > 1:
            np.testing.assert_allclose(slopes["l1"][path].numpy(), 0.2 * np.sign(value))
            np.testing.assert_allclose(slopes["l2"][path].numpy(), 0.2 * value, rtol=1e-14)


def test_sums_of_penalties():
    total = L1(0.1) + L2(0.3) + GroupLasso(0.2)
    assert total == Penalties((L1(0.1), L2(0.3), GroupLasso(0.2)))
    wanted = sum(float(term(TENSORS)) for term in total.terms)
    assert float(total(TENSORS)) == pytest.approx(wanted, rel=1e-12)
    mix = ElasticNet(0.4, share=0.25)(TENSORS)
    assert float((L1(0.1) + L2(0.3))(TENSORS)) == pytest.approx(float(mix), rel=1e-12)
    assert settings_of(total, "penalty.") == {
        "penalty.terms.0.factor": 0.1,
        "penalty.terms.1.factor": 0.3,
        "penalty.terms.2.factor": 0.2,
    }
    with pytest.raises(TypeError):
        L1(0.1) + 0.3


def test_without_anything_to_penalise_it_is_zero():
    for penalty in (L2(), Penalties(), L1() + L2()):
        assert float(penalty({})) == 0
        assert float(penalty({"bias": Tensor([1.0])})) == 0
    counts = {"table": Tensor(np.ones((2, 2), np.int64))}
    assert float(L2(1.0)(counts)) == 0, "whole numbers are not trained"


def test_penalties_from_what_users_write():
    assert as_penalty(None) is None
    assert as_penalty(L1(0.1)) == L1(0.1)
    assert as_penalty(0.01) == as_penalty(np.float64(0.01)) == L2(0.01)
    assert as_penalty(1) == L2(1.0)
    assert as_penalty("elastic_net") == ElasticNet()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-0.1, r"L2.factor = -0.1 is outside \[0, ∞\)"),
        ("elastic", "unknown penalty 'elastic'; did you mean 'elastic_net'"),
        (L2, r"penalty must be a penalty such as L2\(0.001\).* got the class L2"),
        (True, "penalty must be .* got True"),
        ([0.1], r"penalty must be .* got \[0.1\]"),
    ],
)
def test_what_is_no_penalty_is_explained(value, message):
    with pytest.raises(SettingError, match=message):
        as_penalty(value)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_lies_between_zero_and_one(share):
    with pytest.raises(SettingError, match=rf"ElasticNet.share = {share} is outside \[0, 1\]"):
        ElasticNet(share=share)


def test_a_penalty_without_a_formula_says_so():
    with pytest.raises(NotImplementedError, match="Penalty cannot be called"):
        Penalty()({})


# ------------------------------------------------------------------ in training


ROWS = RNG.normal(size=(64, 3))
TARGETS = ROWS @ [2.0, -1.0, 0.0] + RNG.normal(0, 0.1, 64) + 0.5


def _trained(penalty, backend):
    """Weights and bias of a linear model at the least structural risk."""
    run = tw.fit(
        tw.Sequential(tw.Linear(1)), ROWS, TARGETS, loss=tw.SquaredError("half_sum"),
        optimizer=tw.SGD(tw.Cosine(0.5)), batch_size=64, epochs=400, dtype="float64",
        penalty=penalty, backend=backend, progress=False,
    )  # fmt: skip
    return run.model.parameters["0.weight"][:, 0], run.model.parameters["0.bias"][0]


both = pytest.mark.parametrize("backend", ["interpreter", "native"])


@both
def test_training_with_l2_ends_at_ridge_regression(backend):
    centred = ROWS - ROWS.mean(0)
    gram = centred.T @ centred / 64 + 0.4 * np.eye(3)
    wanted = np.linalg.solve(gram, centred.T @ (TARGETS - TARGETS.mean()) / 64)
    weights, bias = _trained(0.4, backend)
    np.testing.assert_allclose(weights, wanted, rtol=1e-9)
    assert bias == pytest.approx(TARGETS.mean() - ROWS.mean(0) @ wanted, rel=1e-9), "bias is free"


@both
@pytest.mark.parametrize("penalty", [L1(0.1), ElasticNet(0.2, share=0.4)], ids=str)
def test_training_with_l1_ends_at_the_elastic_net(penalty, backend):
    share = getattr(penalty, "share", 1.0)
    judge = sklearn.linear_model.ElasticNet(alpha=penalty.factor, l1_ratio=share, tol=1e-12)
    judge.fit(ROWS, TARGETS)
    weights, bias = _trained(penalty, backend)
    np.testing.assert_allclose(weights, judge.coef_, atol=1e-3)
    assert bias == pytest.approx(judge.intercept_, abs=1e-3)


# ------------------------------------------------------------------ judges


def test_l2_is_pytorchs_weight_decay():
    torch = pytest.importorskip("torch")
    start = torch.tensor(WEIGHTS["0.weight"])
    layer = torch.nn.Parameter(start.clone())
    rule = torch.optim.SGD([layer], lr=0.1, weight_decay=0.3)
    layer.grad = torch.zeros_like(layer)
    rule.step()
    slope = grad(L2(0.3))({"w": WEIGHTS["0.weight"]})["w"].numpy()
    moved = WEIGHTS["0.weight"] - 0.1 * slope
    np.testing.assert_allclose(moved, layer.detach().numpy(), rtol=1e-14)


def test_penalties_agree_with_keras():
    keras = pytest.importorskip("keras")
    weight = WEIGHTS["0.weight"].astype("float32")
    given = {"w": Tensor(weight)}
    for penalty, judge in (
        (L1(0.3), keras.regularizers.L1(0.3)),
        (L2(0.6), keras.regularizers.L2(0.3)),
        (L1(0.2) + L2(0.6), keras.regularizers.L1L2(0.2, 0.3)),
    ):
        assert float(penalty(given)) == pytest.approx(float(judge(weight)), rel=1e-5)
