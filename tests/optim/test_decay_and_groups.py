"""Decoupled decay beside L2 in the loss, and parameter groups, alone and in training."""

import json

import numpy as np
import pytest
from tests.optim.rules import GRADIENTS, START, moved

import thalweg as tw
from thalweg.autodiff.transforms import grad
from thalweg.descriptions import from_plain, to_plain
from thalweg.descriptions.spec import parse_spec
from thalweg.errors import DescriptionError, SettingError
from thalweg.graph import Tensor
from thalweg.nn.penalties import L2
from thalweg.optim.optimizers import (
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    DecoupledDecay,
    Group,
    Groups,
    Lion,
    Moment,
    Muon,
    Nadam,
    Nesterov,
    Optimizer,
)
from thalweg.optim.schedules import Cosine

RNG = np.random.default_rng(8)
X = RNG.normal(size=(60, 5))
Y = X @ RNG.normal(size=5) + 0.1 * RNG.normal(size=60)
OPTIONS = {"epochs": 6, "batch_size": 16, "dtype": "float64", "progress": False, "seed": 2}
BACKENDS = pytest.mark.parametrize("backend", ["native", "interpreter"])


def network():
    return tw.Sequential(tw.Linear(4), tw.Tanh(), tw.Linear(1))


def trained(optimizer, **options):
    """The parameters after a short run."""
    run = tw.fit(network(), X, Y, optimizer=optimizer, **{**OPTIONS, **options})
    return run.model.parameters


def close(one, other, rtol=1e-10):
    assert set(one) == set(other)
    for path, value in one.items():
        np.testing.assert_allclose(value, other[path], rtol=rtol, atol=1e-12, err_msg=path)


def distance(one, other):
    return max(np.abs(value - other[path]).max() for path, value in one.items())


# ------------------------------------------------------------------ L2 and decoupled decay


def with_penalty(rule, factor, steps=50):
    """A quadratic loss with L2 in it, and the rule on the loss alone, step by step."""

    def descend(rule, penalty):
        parameters = {path: Tensor(value) for path, value in START.items()}
        state = rule.initial_state(parameters)
        for step in range(steps):
            gradients = {path: value * 0.7 + 0.3 for path, value in parameters.items()}
            if penalty:
                of_penalty = grad(L2(factor))(parameters)
                gradients = {path: g + of_penalty[path] for path, g in gradients.items()}
            parameters, state = rule.update(gradients, state, parameters, Moment(step, steps))
        return {path: value.numpy() for path, value in parameters.items()}

    return descend(rule, True), descend(DecoupledDecay(rule, factor), False)


@pytest.mark.parametrize("rate", [0.1, Cosine(0.1)])
def test_l2_in_the_loss_is_decoupled_decay_for_sgd(rate):
    coupled, decoupled = with_penalty(SGD(rate), 0.2)
    close(coupled, decoupled, rtol=1e-12)


@pytest.mark.parametrize("rule", [Adam(0.1), AdaGrad(0.1), Lion(0.02)])
def test_l2_in_the_loss_is_not_decoupled_decay_for_adam_and_its_kin(rule):
    coupled, decoupled = with_penalty(rule, 0.2)
    assert np.abs(coupled["w"] - decoupled["w"]).max() > 0.05
    np.testing.assert_allclose(coupled["b"], decoupled["b"], rtol=1e-12)


@BACKENDS
def test_in_training_the_penalty_is_the_decay_for_sgd_and_not_for_adam(backend):
    for rule, equal in ((SGD(0.1), True), (Adam(0.05), False)):
        coupled = trained(rule, penalty=tw.L2(0.1), backend=backend)
        decoupled = trained(DecoupledDecay(rule, 0.1), backend=backend)
        assert (distance(coupled, decoupled) < 1e-10) == equal
        assert distance(coupled, trained(rule, backend=backend)) > 1e-3


@BACKENDS
def test_adamw_is_adam_with_decoupled_decay(backend):
    wrapped = DecoupledDecay(Adam(0.05), 0.3, biases=True)
    close(
        trained(AdamW(0.05, weight_decay=0.3), backend=backend), trained(wrapped, backend=backend)
    )
    spared = AdamW(0.05, weight_decay=0.3, biases=False)
    close(trained(spared, backend=backend), trained(DecoupledDecay(Adam(0.05), 0.3)))


def test_decay_without_gradients_shrinks_weights_by_the_factor_each_step():
    still = [{path: np.zeros_like(value) for path, value in START.items()} for _ in range(10)]
    for rule, factor in (
        (DecoupledDecay(SGD(0.5), 0.1), 0.95),
        (DecoupledDecay(SGD(0.5), 0.1, scaled_by="nothing"), 0.9),
    ):
        last = moved(rule, gradients=still)[-1]
        np.testing.assert_allclose(last["w"], START["w"] * factor**10, rtol=1e-13)
        np.testing.assert_array_equal(last["b"], START["b"])
    everything = moved(DecoupledDecay(SGD(0.5), 0.1, biases=True), gradients=still)[-1]
    np.testing.assert_allclose(everything["b"], START["b"] * 0.95**10, rtol=1e-13)


def test_the_decay_follows_the_schedule_of_the_rule():
    rule = DecoupledDecay(SGD(Cosine(0.5)), 0.1)
    still = [{path: np.zeros_like(value) for path, value in START.items()} for _ in range(10)]
    wanted = START["w"] * np.prod(1 - 0.1 * Cosine(0.5).rates(10))
    np.testing.assert_allclose(moved(rule, gradients=still, total=10)[-1]["w"], wanted, rtol=1e-13)


def test_wrappers_refuse_bad_values():
    for make, message in (
        (lambda: DecoupledDecay(SGD(), -0.1), r"DecoupledDecay.decay = -0.1 is outside \[0, "),
        (lambda: DecoupledDecay("sgd"), "DecoupledDecay.then must be an optimizer, got 'sgd'"),
        (lambda: DecoupledDecay(SGD(), scaled_by="it"), "DecoupledDecay.scaled_by.*it"),
        (lambda: Groups(groups=(SGD(),)), r"Groups.groups\[0\] must be a group"),
        (lambda: Group(""), "Group.pattern must be .*, got ''"),
        (lambda: Group(0), r"Group.pattern must be .* such as '\*\.bias', got 0"),
        (lambda: Group("0", "sgd"), "Group.optimizer must be an optimizer, got 'sgd'"),
    ):
        with pytest.raises(SettingError, match=message):
            make()


# ------------------------------------------------------------------ groups


def test_each_parameter_takes_the_rule_of_the_first_group_that_fits():
    rule = Groups((Group("*.bias", SGD(0.1)), Group("0", SGD(0.2))), otherwise=SGD(0.3))
    paths = ["0.weight", "0.bias", "00.weight", "2.weight", "2.bias", "0.inner.weight"]
    ones = {path: Tensor(np.ones(2)) for path in paths}
    after, state = rule.update(ones, {}, {p: v * 0.0 for p, v in ones.items()}, Moment(0))
    assert {path: float(-value.numpy()[0]) for path, value in after.items()} == {
        "0.weight": 0.2, "0.bias": 0.1, "00.weight": 0.3, "2.weight": 0.3, "2.bias": 0.1,
        "0.inner.weight": 0.2,
    }  # fmt: skip
    assert state == {}


def test_groups_of_one_rule_are_that_rule():
    one = Adam(0.05, 0.8)
    both = moved(Groups((Group("w", one),), otherwise=one))
    for ours, theirs in zip(both, moved(one), strict=True):
        for path, value in ours.items():
            np.testing.assert_array_equal(value, theirs[path])


def test_slots_of_different_rules_are_kept_apart():
    rule = Groups((Group("w", Nadam(0.1)), Group("v", Nadam(0.2))), otherwise=Adam(0.1))
    state = rule.initial_state({**START, "v": np.ones(2)})
    assert {name: sorted(slot) for name, slot in state.items()} == {
        "0.mean": ["w"], "0.square": ["w"], "0.momentum_product": [""],
        "1.mean": ["v"], "1.square": ["v"], "1.momentum_product": [""],
        "2.mean": ["b"], "2.square": ["b"],
    }  # fmt: skip


def test_groups_may_hold_wrappers_and_groups():
    inner = Groups((Group("b", SGD(0.1)),), otherwise=AdaGrad(0.1))
    rule = Groups((Group("[wb]", DecoupledDecay(inner, 0.1)),), otherwise=Muon())
    plain = moved(DecoupledDecay(inner, 0.1))[-1]
    nested = moved(rule, start={**START, "v": np.ones((2, 2))}, gradients=[
        {**now, "v": np.ones((2, 2))} for now in GRADIENTS
    ])[-1]  # fmt: skip
    for path, value in plain.items():
        np.testing.assert_array_equal(value, nested[path])


def test_a_pattern_without_parameters_is_refused_with_those_that_there_are():
    paths = {"0.weight": (2, 3), "0.bias": (3,)}
    with pytest.raises(SettingError, match=r"'1' fits none of the parameters 0\.weight, 0\.bias"):
        Groups((Group("1"),)).check(paths)
    with pytest.raises(SettingError, match="'WEIGHT' fits none"):
        Groups((Group("WEIGHT"),)).check({"weight": (2, 3)})
    with pytest.raises(SettingError, match=r"all that '\*.bias' fits belongs to earlier groups"):
        Groups((Group("0"), Group("*.bias"))).check(paths)
    with pytest.raises(SettingError, match="'9' fits none"):
        DecoupledDecay(Groups((Group("9"),))).check(paths)
    inner = Groups((Group("0.weight"),))
    Muon(others=Groups((Group("0.bias"),))).check(paths)
    with pytest.raises(SettingError, match=r"'0\.weight' fits none of the parameters 0\.bias"):
        Muon(others=inner).check(paths)
    rule = Groups((Group("0", Muon(others=Groups((Group("nonsense", SGD(0.1)),)))),))
    with pytest.raises(SettingError, match="'nonsense' fits none"):
        tw.fit(network(), X, Y, optimizer=rule, **OPTIONS)
    with pytest.raises(SettingError, match=r"'3\.weight' fits none"):
        tw.fit(network(), X, Y, optimizer=Groups((Group("3.weight"),)), **OPTIONS)


def test_groups_survive_json_and_are_read_from_text():
    rule = Groups(
        (Group("0", AdamW(1e-4)), Group("*.bias", DecoupledDecay(SGD(0.1), 0.2))),
        otherwise=Muon(0.01, others=Lion()),
    )
    assert from_plain("optimizer", json.loads(json.dumps(to_plain(rule)))) == rule
    text = 'groups(group("0", adamw(1e-4)), group("*.bias", decoupled_decay(sgd(0.1), 0.2)))'
    assert parse_spec("optimizer", text).groups == rule.groups
    plain = to_plain(rule)
    plain["groups"][0]["pattern"] = 3
    with pytest.raises(DescriptionError, match="pattern"):
        from_plain("optimizer", plain)


@BACKENDS
def test_a_rate_of_zero_freezes_a_group_in_training(backend):
    rule = Groups((Group("0", SGD(0.0)), Group("2.bias", Adam(0.05))), otherwise=AdamW(0.02))
    start = tw.initialise(network(), 5, seed=OPTIONS["seed"], dtype="float64")
    ended = trained(rule, backend=backend)
    np.testing.assert_array_equal(ended["0.weight"], start["0.weight"])
    np.testing.assert_array_equal(ended["0.bias"], start["0.bias"])
    assert np.abs(ended["2.weight"] - start["2.weight"]).max() > 1e-3
    frozen = trained(
        Groups((Group("2.bias", Adam(0.05)),), otherwise=AdamW(0.02)), frozen="0", backend=backend
    )
    close(ended, frozen)


def test_the_history_shows_the_rate_of_the_others():
    rule = Groups((Group("0", SGD(0.5)),), otherwise=DecoupledDecay(Adam(Cosine(0.1)), 0.1))
    run = tw.fit(network(), X, Y, optimizer=rule, **OPTIONS)
    steps = OPTIONS["epochs"] * 4
    np.testing.assert_allclose(
        run.history["learning_rate"], Cosine(0.1).rates(steps)[3::4], rtol=1e-12
    )


# ------------------------------------------------------------------ all rules in training


RULES = {
    "nesterov, ahead": Nesterov(0.05, form="look_ahead", rate_inside=True),
    "adagrad": AdaGrad(0.1, form="mean"),
    "rmsprop": tw.RMSprop(0.01, centered=True, epsilon_inside=True),
    "rmsprop, momentum": tw.RMSpropMomentum(0.01, momentum=0.5),
    "adadelta": tw.AdaDelta(),
    "adam": Adam(0.02, amsgrad=True, epsilon_inside=True, epsilon_corrected=True),
    "adamw": AdamW(Cosine(0.02)),
    "nadam": Nadam(0.02),
    "radam": tw.RAdam(0.02, beta2=0.9),
    "adamax": tw.AdaMax(0.02),
    "lion": Lion(0.005, weight_decay=0.1),
    "muon": Muon(0.02, others=Nadam(0.02)),
    "decay": DecoupledDecay(Nesterov(0.05, form="look_ahead"), 0.1, scaled_by="nothing"),
    "groups": Groups(
        (Group("0.weight", Muon(0.02)), Group("2", Nesterov(0.05, form="look_ahead"))),
        otherwise=Nadam(0.02),
    ),
}


@pytest.mark.parametrize("optimizer", RULES.values(), ids=RULES)
def test_both_backends_train_alike(optimizer):
    close(trained(optimizer), trained(optimizer, backend="interpreter"), rtol=1e-9)


def by_hand(optimizer, steps):
    """Full-batch training in float64 with the rule alone, gradients where it looks."""

    def risk(values):
        hidden = tw.tanh(Tensor(X) @ values["0.weight"] + values["0.bias"])
        error = hidden @ values["2.weight"] + values["2.bias"] - Y[:, None]
        return (error * error).mean()

    start = tw.initialise(network(), 5, seed=OPTIONS["seed"], dtype="float64")
    parameters = {path: Tensor(value) for path, value in start.items()}
    state = optimizer.initial_state(parameters)
    for step in range(steps):
        moment = Moment(step, steps)
        gradients = grad(risk)(optimizer.point(parameters, state, moment))
        parameters, state = optimizer.update(gradients, state, parameters, moment)
    return {path: value.numpy() for path, value in parameters.items()}


@pytest.mark.parametrize("name", ["nesterov, ahead", "nadam", "muon", "decay", "groups"])
def test_training_is_the_rule_applied_to_the_gradients_of_the_loss(name):
    ended = trained(RULES[name], batch_size=60, epochs=12, loss=tw.SquaredError())
    close(ended, by_hand(RULES[name], 12), rtol=1e-9)


@pytest.mark.parametrize("name", ["nadam", "groups", "nesterov, ahead"])
def test_a_resumed_run_is_bit_for_bit_the_same(name, tmp_path):
    whole = trained(RULES[name], dtype="float32")
    path = tmp_path / "run.safetensors"
    options = {"optimizer": RULES[name], **OPTIONS, "dtype": "float32", "checkpoint": path}

    def stop(epoch):
        return epoch.number == 3

    tw.fit(network(), X, Y, **options, callbacks=[stop])
    again = tw.fit(network(), X, Y, **options, resume=True).model.parameters
    for key, value in whole.items():
        assert value.tobytes() == again[key].tobytes()


def test_a_rule_of_ones_own_needs_a_rate_slots_and_an_update():
    class Own(SGD):
        """Gradient descent under another name."""

    rule = Own(0.1)
    assert isinstance(rule, Optimizer)
    close(trained(rule), trained(SGD(0.1)))
