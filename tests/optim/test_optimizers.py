"""Update rules against float64 formulas over many steps, and what holds for all of them."""

import json

import numpy as np
import pytest
from tests.optim import rules
from tests.optim.rules import GRADIENTS, START, STEPS, expected, moved

from thalweg.autodiff.transforms import value_and_grad
from thalweg.descriptions import constraints, from_plain, members, to_plain
from thalweg.errors import SettingError
from thalweg.graph import Tensor
from thalweg.optim.lbfgs import LBFGS
from thalweg.optim.modern import orthogonalised
from thalweg.optim.optimizers import (
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdaMax,
    AdamW,
    DecoupledDecay,
    Group,
    Groups,
    Lion,
    Moment,
    Momentum,
    Muon,
    Nadam,
    Nesterov,
    RAdam,
    RMSprop,
    RMSpropMomentum,
    Slot,
    as_optimizer,
)
from thalweg.optim.schedules import ConstantRate, ExponentialDecay, InverseRootDecay

FALLING = ExponentialDecay(0.1, 0.98, per="update")


def falling(t):
    return 0.1 * 0.98 ** (t - 1)


def adam_for_bias(x, g, t, m):
    return rules.adam(0.02, 0.9, 0.999, 1e-8, decay=0.01)(x, g, t, m)


def by_width(inputs, outputs):
    return np.sqrt(max(1, outputs / inputs))


def like_adam(inputs, outputs):
    return 0.2 * np.sqrt(max(inputs, outputs))


CASES = {
    "sgd": (SGD(0.1), rules.sgd(0.1)),
    "sgd, schedule": (SGD(FALLING), rules.sgd(falling)),
    "momentum": (Momentum(0.1, momentum=0.8), rules.momentum(0.1, 0.8)),
    "momentum, schedule": (Momentum(FALLING, momentum=0.8), rules.momentum(falling, 0.8)),
    "momentum, rate inside": (
        Momentum(FALLING, momentum=0.8, rate_inside=True),
        rules.momentum(falling, 0.8, inside=True),
    ),
    "nesterov": (Nesterov(0.1, momentum=0.8), rules.momentum(0.1, 0.8, nesterov=True)),
    "nesterov, rate inside": (
        Nesterov(FALLING, momentum=0.8, rate_inside=True),
        rules.momentum(falling, 0.8, inside=True, nesterov=True),
    ),
    "adagrad": (AdaGrad(0.1, 1e-3), rules.adagrad(0.1, 1e-3)),
    "adagrad, mean": (AdaGrad(0.1, 1e-3, form="mean"), rules.adagrad(0.1, 1e-3, mean=True)),
    "adagrad, inside": (
        AdaGrad(0.1, 1e-2, epsilon_inside=True),
        rules.adagrad(0.1, 1e-2, inside=True),
    ),
    "adagrad, mean, inside": (
        AdaGrad(0.1, 1e-2, form="mean", epsilon_inside=True),
        rules.adagrad(0.1, 1e-2, mean=True, inside=True),
    ),
    "rmsprop": (RMSprop(0.01, 0.8, 1e-3), rules.rmsprop(0.01, 0.8, 1e-3)),
    "rmsprop, inside": (
        RMSprop(0.01, 0.8, 1e-2, epsilon_inside=True),
        rules.rmsprop(0.01, 0.8, 1e-2, inside=True),
    ),
    "rmsprop, centered": (
        RMSprop(0.01, 0.8, 1e-3, centered=True),
        rules.rmsprop(0.01, 0.8, 1e-3, centered=True),
    ),
    "rmsprop_momentum": (
        RMSpropMomentum(FALLING, 0.8, 1e-3, momentum=0.7),
        rules.rmsprop(falling, 0.8, 1e-3, rho=0.7),
    ),
    "rmsprop_momentum, all": (
        RMSpropMomentum(FALLING, 0.8, 1e-2, True, True, momentum=0.7, rate_inside=True),
        rules.rmsprop(falling, 0.8, 1e-2, True, True, rho=0.7, rate_inside=True),
    ),
    "adadelta": (AdaDelta(0.7, 0.8, 1e-4), rules.adadelta(0.7, 0.8, 1e-4)),
    "adam": (Adam(0.05, 0.8, 0.99, 1e-4), rules.adam(0.05, 0.8, 0.99, 1e-4)),
    "adam, schedule": (Adam(FALLING, 0.8, 0.99, 1e-4), rules.adam(falling, 0.8, 0.99, 1e-4)),
    "adam, amsgrad": (
        Adam(0.05, 0.8, 0.9, 1e-4, amsgrad=True),
        rules.adam(0.05, 0.8, 0.9, 1e-4, amsgrad=True),
    ),
    "adam, inside": (
        Adam(0.05, 0.8, 0.99, 1e-2, epsilon_inside=True),
        rules.adam(0.05, 0.8, 0.99, 1e-2, inside=True),
    ),
    "adam, corrected": (
        Adam(0.05, 0.8, 0.99, 1e-2, epsilon_corrected=True),
        rules.adam(0.05, 0.8, 0.99, 1e-2, before=True),
    ),
    "adam, all": (
        Adam(0.05, 0.8, 0.9, 1e-2, amsgrad=True, epsilon_inside=True, epsilon_corrected=True),
        rules.adam(0.05, 0.8, 0.9, 1e-2, amsgrad=True, inside=True, before=True),
    ),
    "adamw": (
        AdamW(FALLING, 0.8, 0.99, 1e-4, weight_decay=0.3),
        rules.adam(falling, 0.8, 0.99, 1e-4, decay=0.3),
    ),
    "adamw, no biases": (
        AdamW(0.05, 0.8, 0.99, 1e-4, weight_decay=0.3, biases=False),
        lambda x, g, t, m: rules.adam(0.05, 0.8, 0.99, 1e-4, decay=0.3 * (x.ndim == 2))(x, g, t, m),
    ),
    "nadam": (
        Nadam(0.05, 0.8, 0.99, 1e-4, momentum_decay=0.1),
        rules.nadam(0.05, 0.8, 0.99, 1e-4, 0.1),
    ),
    "radam": (RAdam(0.05, 0.8, 0.99, 1e-4), rules.radam(0.05, 0.8, 0.99, 1e-4)),
    "radam, never rectified": (RAdam(0.05, 0.8, 0.5, 1e-4), rules.radam(0.05, 0.8, 0.5, 1e-4)),
    "adamax": (AdaMax(0.05, 0.8, 0.9, 1e-3), rules.adamax(0.05, 0.8, 0.9, 1e-3)),
    "lion": (Lion(0.01, 0.8, 0.95, weight_decay=0.2), rules.lion(0.01, 0.8, 0.95, 0.2)),
    "muon": (
        Muon(0.05, 0.9, 0.2, others=AdamW(0.02)),
        rules.muon(0.05, 0.9, 0.2, True, 5, by_width, adam_for_bias),
    ),
    "muon, plain, like adam": (
        Muon(0.05, 0.9, 0.2, nesterov=False, steps=3, scale="adam", others=AdamW(0.02)),
        rules.muon(0.05, 0.9, 0.2, False, 3, like_adam, adam_for_bias),
    ),
    "decoupled_decay": (
        DecoupledDecay(AdaGrad(0.1, 1e-3), 0.3, biases=True),
        lambda x, g, t, m: rules.adagrad(0.1, 1e-3)(x * (1 - 0.1 * 0.3), g, t, m),
    ),
    "decoupled_decay, alone": (
        DecoupledDecay(AdaGrad(0.1, 1e-3), 0.3, scaled_by="nothing"),
        lambda x, g, t, m: rules.adagrad(0.1, 1e-3)(x * (1 - 0.3 * (x.ndim == 2)), g, t, m),
    ),
    "groups": (
        Groups((Group("b", SGD(0.1)),), otherwise=AdaGrad(0.1, 1e-3)),
        lambda x, g, t, m: (rules.adagrad(0.1, 1e-3) if x.ndim == 2 else rules.sgd(0.1))(
            x, g, t, m
        ),
    ),
}
WITHIN_A_STEP = sorted(set(members("optimizer")) - {"lbfgs"})


def each_case():
    return pytest.mark.parametrize(("optimizer", "rule"), CASES.values(), ids=CASES)


@each_case()
def test_every_rule_follows_its_formula(optimizer, rule):
    wanted, got = expected(rule), moved(optimizer)
    single = moved(optimizer, "float32")
    for t in range(STEPS):
        for path, value in wanted[t].items():
            np.testing.assert_allclose(got[t][path], value, rtol=1e-10, atol=1e-11)
            assert single[t][path].dtype == np.float32
            np.testing.assert_allclose(single[t][path], value, rtol=1e-3, atol=2e-4)


def test_every_registered_rule_has_a_case():
    assert {name.partition(",")[0] for name in CASES} == set(WITHIN_A_STEP)


FROZEN = {
    "adadelta": (-0.2258968327531086, -0.2746381574610208),
    "adagrad": (-0.23193168142404819, -0.26124626746554397),
    "adam": (-0.22051178687176587, -0.2790282998380579),
    "adamax": (-0.22218537402012747, -0.276970107630515),
    "adamw": (-0.22038093832009092, -0.2788611018321697),
    "decoupled_decay": (-0.22038093832009092, -0.2790282998380579),
    "groups": (-0.22051178687176587, -0.14573468536251932),
    "lion": (-0.21579716308976588, -0.28168741815135034),
    "momentum": (-2.8602199529990964, -0.33406297835419474),
    "muon": (-0.21790880584716563, -0.2788611018321697),
    "nadam": (-0.22252605838673775, -0.2774519715982423),
    "nesterov": (-2.785852957047054, -0.31523014905502705),
    "radam": (-0.2227659196530306, -0.2788141547727476),
    "rmsprop": (-0.2212715542927437, -0.27479515816287303),
    "rmsprop_momentum": (-0.27851729978855944, -0.2320053307369016),
    "sgd": (-0.40569244612865696, -0.26773214487246727),
}
"""w[1, 2] and b[0] after the steps, with each rule's defaults."""


@pytest.mark.parametrize("name", sorted(FROZEN))
def test_frozen_values_of_the_defaults(name):
    last = moved(default(name))[-1]
    np.testing.assert_allclose([last["w"][1, 2], last["b"][0]], FROZEN[name], rtol=1e-11)


def test_every_rule_has_frozen_values():
    assert set(FROZEN) == set(WITHIN_A_STEP)


# ------------------------------------------------------------------ forms that agree, and do not


def along(optimizer, gradient, start, steps, *, ahead=False):
    """Parameters (or the points of the gradients, ``ahead``) of steps down a function."""
    parameters = {"w": Tensor(start)}
    state = optimizer.initial_state(parameters)
    found = []
    for step in range(steps):
        moment = Moment(step, steps)
        point = optimizer.point(parameters, state, moment)
        found.append((point if ahead else parameters)["w"].numpy())
        at = {"w": Tensor(gradient(point["w"].numpy()))}
        parameters, state = optimizer.update(at, state, parameters, moment)
    return np.array(found)


CURVATURE = np.array([[3.0, 0.5], [0.5, 0.2]])


@pytest.mark.parametrize("inside", [True, False])
def test_the_forms_of_nesterov_are_one_under_the_change_of_variables(inside):
    start, steps = np.array([1.0, -2.0]), 50
    rate = FALLING if inside else 0.1
    forms = {
        form: along(
            Nesterov(rate, 0.9, rate_inside=inside, form=form),
            CURVATURE.dot,
            start,
            steps,
            ahead=True,
        )
        for form in ("rewritten", "look_ahead")
    }
    np.testing.assert_allclose(forms["rewritten"], forms["look_ahead"], rtol=1e-12, atol=1e-14)
    kept = along(
        Nesterov(rate, 0.9, rate_inside=inside, form="look_ahead"), CURVATURE.dot, start, 9
    )
    assert np.abs(kept[3:] - forms["rewritten"][3:9]).max() > 0.01


def test_the_look_ahead_form_is_the_published_one():
    theta, delta, published = np.array([1.0, -2.0]), np.zeros(2), []
    for t in range(1, 51):
        published.append(theta)
        delta = 0.9 * delta - falling(t) * (CURVATURE @ (theta + 0.9 * delta))
        theta = theta + delta
    rule = Nesterov(FALLING, 0.9, rate_inside=True, form="look_ahead")
    found = along(rule, CURVATURE.dot, published[0], 50)
    np.testing.assert_allclose(found, published, rtol=1e-12, atol=1e-14)


def test_nesterov_ahead_is_faster_than_momentum_on_a_long_valley():
    start = np.array([0.5, 2.0])
    ahead, plain = (
        along(cls(0.03, 0.9), np.diag([30.0, 1.0]).dot, start, 60) for cls in (Nesterov, Momentum)
    )
    assert np.linalg.norm(ahead[-1]) < 0.5 * np.linalg.norm(plain[-1])


def test_textbook_momentum_equals_the_default_for_a_constant_rate():
    inside, outside = (
        moved(Momentum(0.1, momentum=0.8, rate_inside=flag))[-1] for flag in (True, False)
    )
    np.testing.assert_allclose(inside["w"], outside["w"], rtol=1e-12)


def test_the_mean_form_of_adagrad_with_a_falling_rate_is_the_sum_form():
    rate = InverseRootDecay(0.1, 1.0)
    np.testing.assert_allclose(rate.rates(4), 0.1 / np.sqrt([1, 2, 3, 4]))
    mean = moved(AdaGrad(rate, 0.0, form="mean"))[-1]
    np.testing.assert_allclose(mean["w"], moved(AdaGrad(0.1, 0.0))[-1]["w"], rtol=1e-12)
    constant = moved(AdaGrad(0.1, 0.0, form="mean"))[-1]
    assert np.abs(mean["w"] - constant["w"]).max() > 0.05


@pytest.mark.parametrize("cls", [AdaGrad, RMSprop, Adam])
def test_epsilon_inside_and_outside_the_root_differ_and_meet_at_zero(cls):
    outside, inside = (cls(0.05, epsilon=0.1, epsilon_inside=flag) for flag in (False, True))
    assert np.abs(moved(outside)[-1]["w"] - moved(inside)[-1]["w"]).max() > 1e-3
    outside, inside = (cls(0.05, epsilon=0.0, epsilon_inside=flag) for flag in (False, True))
    np.testing.assert_allclose(moved(outside)[-1]["w"], moved(inside)[-1]["w"], rtol=1e-12)
    first = {"w": np.array([[0.03]])}
    step = moved(cls(1.0, epsilon=1e-2, epsilon_inside=True), gradients=[first], start=first)
    size = 0.03**2 * (1 - 0.9 if cls is RMSprop else 1)
    np.testing.assert_allclose(step[0]["w"], 0.03 - 0.03 / np.sqrt(size + 1e-2), rtol=1e-12)


def test_the_first_step_of_adam_has_the_size_of_the_rate():
    first = moved(Adam(0.05, epsilon=0.0))[0]
    np.testing.assert_allclose(
        START["w"] - first["w"], 0.05 * np.sign(GRADIENTS[0]["w"]), rtol=1e-12
    )


def test_amsgrad_never_divides_by_less_after_a_large_gradient():
    burst = [{"w": np.array([[100.0 if t == 0 else 0.1]])} for t in range(60)]
    start = {"w": np.zeros((1, 1))}
    sizes = [
        -np.diff([value["w"][0, 0] for value in moved(rule, gradients=burst, start=start)])
        for rule in (Adam(0.1, 0.0, 0.5, amsgrad=True), Adam(0.1, 0.0, 0.5))
    ]
    assert sizes[0][-1] < 1e-3
    assert sizes[1][-1] == pytest.approx(0.1, rel=1e-3)


def test_where_one_large_gradient_outweighs_two_small_ones_only_amsgrad_follows_it():
    """Reddi, Kale and Kumar, 2018, theorem 1: slopes 3, -1, -1 in turn on [-1, 1]."""

    def end(rule):
        theta, state = {"w": Tensor(np.zeros(1))}, rule.initial_state({"w": np.zeros(1)})
        for step in range(300):
            gradient = {"w": Tensor(np.array([3.0 if step % 3 == 0 else -1.0]))}
            theta, state = rule.update(gradient, state, theta, Moment(step))
            theta = {"w": Tensor(np.clip(theta["w"].numpy(), -1.0, 1.0))}
        return float(theta["w"].numpy()[0])

    rate = InverseRootDecay(0.3, 1.0)
    assert end(Adam(rate, 0.0, 0.1)) > 0.8
    assert end(Adam(rate, 0.0, 0.1, amsgrad=True)) < -0.8


def test_adadelta_ignores_the_scale_of_the_gradients():
    small, large = (
        [{path: value * factor for path, value in now.items()} for now in GRADIENTS]
        for factor in (1.0, 1e3)
    )
    rule = AdaDelta(epsilon=1e-12)
    a, b = moved(rule, gradients=small)[-1], moved(rule, gradients=large)[-1]
    np.testing.assert_allclose(a["w"], b["w"], rtol=1e-5)


def test_rmsprop_centered_stays_finite_where_rounding_makes_the_variance_negative():
    same = [{"w": np.full((1, 3), 0.1)} for _ in range(300)]
    for kind in (RMSprop, RMSpropMomentum):
        last = moved(kind(1e-6, 0.5, 1e-3, centered=True), "float32", same, {"w": np.ones((1, 3))})
        assert np.isfinite(last[-1]["w"]).all()


def test_lion_moves_every_number_by_the_rate():
    first = moved(Lion(0.01))[0]
    np.testing.assert_allclose(np.abs(first["w"] - START["w"]), 0.01, rtol=1e-12)


@pytest.mark.parametrize("shape", [(3, 8), (8, 3), (5, 5), (1, 4)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape):
    matrix = np.random.default_rng(1).normal(size=shape)
    found = orthogonalised(Tensor(matrix), 5).numpy()
    assert np.abs(np.linalg.svd(found)[1] - 1).max() < 0.35
    np.testing.assert_allclose(found, rules.orthogonal(matrix, 5), rtol=1e-9, atol=1e-12)
    u, _, vt = np.linalg.svd(matrix, full_matrices=False)
    assert np.sum(found * (u @ vt)) > 0.65 * min(shape)


def test_muon_keeps_a_moving_mean_for_matrices_and_adamw_the_rest():
    state = Muon().initial_state(START)
    assert set(state["momentum"]) == {"w"}
    assert set(state["others.mean"]) == set(state["others.square"]) == {"b"}


# ------------------------------------------------------------------ what holds for all


def default(name):
    """A rule of each kind with its defaults, wrappers around Adam."""
    cls = members("optimizer")[name]
    return Groups((Group("b", SGD(0.1)),)) if name == "groups" else cls()


def descend(rule, function, start, steps):
    """The values of a function of ``w`` along the steps of a rule, gradients at its points."""
    gradient = value_and_grad(lambda point: function(point["w"]))
    parameters = {"w": Tensor(start)}
    state = rule.initial_state(parameters)
    values = []
    for step in range(steps):
        moment = Moment(step, steps)
        value, slope = gradient(rule.point(parameters, state, moment))
        values.append(float(value))
        parameters, state = rule.update(slope, state, parameters, moment)
    return values


RATES = {"adagrad": 0.3, "adadelta": 20.0, "lion": 0.02, "muon": 0.03, "rmsprop_momentum": 3e-3}


def rated(name, rates, otherwise):
    rate = rates.get(name, otherwise)
    if name == "groups":
        return Groups((Group("w", Adam(rate)),))
    return default(name).with_rate(rate)


@pytest.mark.parametrize("name", WITHIN_A_STEP)
def test_every_rule_minimises_a_quadratic(name):
    target = np.array([[1.0, -2.0], [0.5, 3.0]])
    scale = np.array([[1.0, 2.0], [0.5, 1.5]])
    rule = rated(name, RATES, 0.05)
    values = descend(rule, lambda w: (((w - target) * scale) ** 2).sum(), np.zeros((2, 2)), 300)
    assert values[0] > 30
    assert values[-1] < 0.05 * values[0]
    assert min(values[200:]) < 0.02 * values[0]


@pytest.mark.parametrize("name", WITHIN_A_STEP)
def test_every_rule_goes_down_the_rosenbrock_function(name):
    def rosenbrock(w):
        x, y = w[0, 0], w[0, 1]
        return (1.0 - x) ** 2 + 100.0 * (y - x * x) ** 2

    slow = dict.fromkeys(("sgd", "momentum", "nesterov", "radam"), 2e-4)
    rule = rated(name, {**slow, "adagrad": 0.3, "adadelta": 10.0}, 0.01)
    values = descend(rule, rosenbrock, np.array([[-1.2, 1.0]]), 200)
    assert values[0] == pytest.approx(24.2)
    assert min(values) < 5.0


@pytest.mark.parametrize("name", sorted(members("optimizer")))
def test_descriptions_survive_json_and_refuse_values_out_of_range(name):
    cls = members("optimizer")[name]
    assert from_plain("optimizer", json.loads(json.dumps(to_plain(cls())))) == cls()
    for field, constraint in constraints(cls).items():
        if constraint.role != "setting":
            continue
        if constraint.low == 0 and not constraint.low_open:
            with pytest.raises(SettingError, match=rf"\.{field} = -1 is outside \[0, "):
                cls(**{field: -1})
        if constraint.high == 1 and constraint.high_open:
            with pytest.raises(
                SettingError, match=rf"{cls.__name__}\.{field} = 1.0 is outside .*1\)"
            ):
                cls(**{field: 1.0})


def test_bad_values_name_value_and_range():
    for make, message in (
        (lambda: Adam(beta1=1), r"Adam.beta1 = 1 is outside \[0, 1\)"),
        (lambda: Adam(beta2=-0.1), r"Adam.beta2 = -0.1 is outside \[0, 1\)"),
        (lambda: Momentum(momentum=1.5), r"Momentum.momentum = 1.5 is outside \[0, 1\)"),
        (lambda: AdaDelta(epsilon=0), r"AdaDelta.epsilon = 0 is outside \(0, ∞\)"),
        (lambda: AdaGrad(form="max"), "AdaGrad.form.*max"),
        (lambda: Nesterov(form="ahead"), "Nesterov.form.*ahead"),
        (lambda: Muon(steps=0), r"Muon.steps = 0 is outside \[1, "),
        (lambda: Muon(others="adam"), "Muon.others must be an optimizer"),
        (lambda: Adam(amsgrad=1), "Adam.amsgrad must be True or False, got 1"),
    ):
        with pytest.raises(SettingError, match=message):
            make()


@pytest.mark.parametrize("name", WITHIN_A_STEP)
def test_states_have_the_declared_slots_before_and_after(name):
    rule = default(name)
    before = rule.initial_state(START)
    names = [slot.name for slot in rule.slots]
    assert list(before) == names
    assert len(set(names)) == len(names)
    parameters = {path: Tensor(value) for path, value in START.items()}
    gradients = {path: Tensor(value) for path, value in GRADIENTS[0].items()}
    moved_to, after = rule.update(gradients, before, parameters, Moment(0))
    assert list(moved_to) == list(START)
    assert {slot: list(part) for slot, part in after.items()} == {
        slot: list(part) for slot, part in before.items()
    }
    for slot in rule.slots:
        for path, value in before[slot.name].items():
            assert value.shape == (() if slot.shared else START[path].shape)
            assert np.all(value.numpy() == slot.start)


def test_the_shared_slot_of_nadam_is_one_number():
    assert Nadam().slots[-1] == Slot("momentum_product", 1.0, shared=True)
    product = Nadam().initial_state({"w": np.ones(2, np.float32)})["momentum_product"]
    assert {path: value.dtype.name for path, value in product.items()} == {"": "float64"}


@pytest.mark.parametrize("name", WITHIN_A_STEP)
def test_the_rate_can_be_read_and_replaced(name):
    rule = default(name).with_rate(ConstantRate(0.25))
    assert rule.chosen_rate == ConstantRate(0.25)
    assert float(rule.rate(Moment(3, 10))) == 0.25
    assert type(rule) is members("optimizer")[name]


def test_rules_for_all_rows_are_no_part_of_others():
    for make in (
        lambda: DecoupledDecay(LBFGS()),
        lambda: Muon(others=LBFGS()),
        lambda: Groups((Group("b", LBFGS()),)),
        lambda: Groups(otherwise=LBFGS()),
    ):
        with pytest.raises(SettingError, match="LBFGS, which works on all rows at once"):
            make()


def test_names_stand_for_optimizers_and_near_names_are_offered():
    assert as_optimizer("adam") == Adam()
    with pytest.raises(SettingError, match="did you mean 'adam'"):
        as_optimizer("adem")
    with pytest.raises(SettingError, match="must be a name or an optimiser, got 3"):
        as_optimizer(3)
