"""Bad input: what cannot vary, lengths that do not fit, members whose arguments are refused."""

import threading

import numpy as np
import pytest
from tests.training.problems import blobs

import thalweg as tw
from thalweg.errors import DataError, SettingError, ShapeError
from thalweg.training.arguments import Arguments
from thalweg.training.population.varying import Varying

X, Y = blobs(rows=60)
THREE = np.array([0.1, 0.2, 0.3])


def fit(net=None, y=Y, **options):
    given = {"epochs": 1, "members": 3, "progress": False, **options}
    return tw.fit(tw.Linear(3) if net is None else net, X, y, **given)


@pytest.fixture(autouse=True)
def backend():
    """What is refused is refused before a backend has its part: once is enough."""


@pytest.fixture(autouse=True)
def no_thread_is_left():
    """Whatever is refused, nobody goes on working."""
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": 0}, r"members = 0 is outside its range: at least 1"),
        ({"members": -2}, r"members = -2 is outside its range"),
        ({"members": 2.5}, r"members must be a whole number, got 2.5"),
        ({"members": True}, r"members must be a whole number, got True"),
        ({"members": "3"}, r"members must be a whole number, got '3'"),
    ],
)
def test_the_number_of_members_is_whole_and_at_least_one(options, message):
    with pytest.raises(SettingError, match=message):
        fit(**options)


def test_lengths_that_differ_are_all_named():
    with pytest.raises(SettingError, match=r"members = 3, but clip has 2 values, seed has 4"):
        fit(clip=THREE[:2], seed=[1, 2, 3, 4])
    with pytest.raises(SettingError, match=r"optimizer.learning_rate has 1 values"):
        fit(optimizer=tw.Adam(THREE[:1]))
    with pytest.raises(SettingError, match=r"seed has 0 values"):
        fit(seed=np.array([], int))
    with pytest.raises(SettingError, match=r"sample_weight has 60 values"):
        fit(sample_weight=np.ones((60, 3)))
    with pytest.raises(SettingError, match=r"network has 2 values; give one value"):
        fit(tw.PerMember([tw.Linear(3), tw.Linear(3)]))


def test_arrays_of_two_axes_are_refused():
    with pytest.raises(SettingError, match=r"learning_rate is an array of shape \(3, 2\)"):
        fit(optimizer=tw.Adam(np.ones((3, 2))))
    with pytest.raises(SettingError, match=r"seed is an array of shape \(1, 3\)"):
        fit(seed=np.ones((1, 3), int))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("dtype", ["float32", "float64", "float32"], "members share their data"),
        ("backend", np.array(["native"] * 3), "members share the cores"),
        ("threads", [1, 2, 3], "members share the cores"),
        ("checkpoint", tw.PerMember(["a", "b", "c"]), "each member has a file of its own"),
        ("callbacks", tw.PerMember([[], [], []]), "a callback is told which member"),
        ("resume", [True, False, True], "members are resumed together"),
    ],
)
def test_what_cannot_vary_is_named_with_the_reason(name, value, reason):
    with pytest.raises(SettingError, match=rf"{name} cannot vary by member: {reason}"):
        fit(**{name: value})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tw.Linear(np.array([8, 16])), r"Linear.features must be a whole number, got an "),
        (lambda: tw.Linear(2, bias=np.array([True, False])), r"Linear.bias must be True or False"),
        (
            lambda: tw.CrossEntropy(smoothing_convention=np.array(["share"])),
            r"smoothing_convention = array\(\['share'\].* is not one of uniform, share; it is no",
        ),
    ],
)
def test_what_shapes_a_network_is_given_one_by_one(make, message):
    with pytest.raises(SettingError, match=message + r".*PerMember"):
        make()


@pytest.mark.parametrize("name", ["optimizer", "network", "loss"])
def test_a_list_of_other_things_names_per_member(name):
    values = {"optimizer": ["adam"] * 3, "network": [tw.Linear(3)] * 3, "loss": ["focal"] * 3}
    options = {name: values[name]}
    with pytest.raises(SettingError, match=rf"{name} is a list.*PerMember"):
        fit(options.pop("network", None), **options)


@pytest.mark.parametrize("values", [3, "abc", {"a": 1}, None])
def test_per_member_takes_a_list(values):
    with pytest.raises(SettingError, match=r"PerMember takes a list with a value for each member"):
        tw.PerMember(values)


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"optimizer": tw.Adam(THREE)}, r"optimizer\.learning_rate"),
        ({"clip": THREE}, "clip"),
        ({"penalty": tw.L2(THREE)}, r"penalty\.factor"),
        ({"average": THREE}, "average"),
        ({"seed": np.arange(3)}, "seed"),
        ({"epochs": np.arange(1, 4)}, "epochs"),
        ({"batch_size": np.arange(1, 4)}, "batch_size"),
        ({"early_stopping": np.arange(1, 4)}, "early_stopping"),
        ({"stop": tw.SmallChange(THREE)}, r"stop\.tolerance"),
        ({"stop": [tw.SmallChange(THREE)]}, r"stop\.0\.tolerance"),
        ({"loss": tw.CrossEntropy(THREE)}, r"loss\.label_smoothing\.0"),
    ],
)
def test_without_members_an_array_is_refused_by_its_path(options, path):
    with pytest.raises(SettingError, match=rf"{path} is an array of shape \(3,\).*members=K"):
        fit(members=None, **options)


def test_without_members_values_of_members_are_refused():
    with pytest.raises(SettingError, match=r"optimizer has a value for each of 2 members"):
        fit(members=None, optimizer=tw.PerMember(["adam", "sgd"]))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": [8, 16, 61]}, SettingError, r"member 2: batch_size = 61 is beyond the 60"),
        ({"seed": [1, -2, 3]}, SettingError, r"member 1: seed = -2 is outside its range"),
        ({"epochs": [1, 1, 2.5]}, SettingError, r"member 2: epochs must be a whole number"),
        ({"rows": [[0, 1], [0, 60], [1, 2]]}, SettingError, r"member 1: rows names row 60"),
        ({"rows": np.array([[True] * 60, [False] * 60, [True] * 60])}, DataError, r"member 1: ro"),
        ({"optimizer": tw.PerMember(["adam", "adm", "adam"])}, SettingError, r"member 1: unknown"),
        ({"y": tw.PerMember([Y, Y[:5], Y])}, ShapeError, r"member 1: x has 60 rows, y has 5"),
        ({"net": tw.PerMember([tw.Linear(3), tw.Linear(2), tw.Linear(3)])}, DataError, r"member 1"),
    ],
)
def test_who_is_refused_is_told_by_number(options, error, message):
    with pytest.raises(error, match=message):
        fit(**options, threads=1)


def test_numbers_that_do_not_go_together_are_refused_by_member():
    schedule = tw.Triangular(lowest=0.1, highest=np.array([0.2, 0.05, 0.3]))
    with pytest.raises(SettingError, match=r"member 1: Triangular.lowest = 0.1 must be"):
        fit(optimizer=tw.SGD(schedule))


def test_an_executor_is_for_members():
    with pytest.raises(SettingError, match=r"executor is for the members of a population"):
        fit(members=None, executor=3)
    with pytest.raises(SettingError, match=r"executor must be a concurrent.futures.Executor"):
        fit(executor=3)


def test_each_network_looks_at_the_validation_rows_itself():
    lacking = X[:9].copy()
    lacking[2, 1] = np.nan
    nets = [tw.Sequential(tw.Impute(), tw.Linear(3)), tw.Linear(3)]
    with pytest.raises(DataError, match=r"member 1: validation x holds nan in row 2, column 1"):
        fit(tw.PerMember(nets), members=2, threads=1, validation=(lacking, Y[:9]))


def test_a_list_of_shares_is_one_for_each_member():
    given = Arguments(tw.Linear(1), None, None, validation=[0.1, 0.2])
    assert [Varying(given, 2).of(k).validation for k in range(2)] == [0.1, 0.2]


def test_no_values_are_refused():
    with pytest.raises(SettingError, match="PerMember has no value"):
        tw.PerMember([])
