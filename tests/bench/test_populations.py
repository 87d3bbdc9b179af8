"""Cases with members: what they train on, the losses expected, and who trains them."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

import thalweg as tw
from thalweg.bench.cases import Case, image_case
from thalweg.bench.options import parse
from thalweg.bench.peers import Peer, Trained, all_peers
from thalweg.bench.peers.joblib_loop import Orders
from thalweg.bench.populations import (
    MAIN,
    POPULATION_TARGETS,
    POPULATIONS,
    by_epoch,
    chosen_populations,
    make_population,
    population_case,
    population_losses,
    population_of,
    problem_of,
)
from thalweg.bench.problem import make_problem, network
from thalweg.bench.protocol import Protocol, expected_losses, relative_error
from thalweg.bench.worker import LONGEST_RUN, Worker
from thalweg.errors import SettingError

CASE = Case((5, 8, 3), 6, 4, seed=2, members=5)
IMAGES = replace(image_case("lenet", 4, 2), members=2)


def test_the_cases_are_those_that_were_promised():
    tables = [case for case in POPULATIONS if case.widths == MAIN.widths]
    assert [case.members for case in tables] == [1, 8, 64, 256, 4096]
    assert {case.widths[1] for case in POPULATIONS if not case.form} == {8, 16, 32, 64, 128, 256}
    assert POPULATIONS[-1].name == "16 × LeNet-5, batch 64"
    assert len({case.word for case in POPULATIONS}) == len(POPULATIONS)
    for target in POPULATION_TARGETS:
        assert [case for case in POPULATIONS if target.of(case)] == [MAIN]
        assert not target.of(replace(MAIN, members=0))
        assert all_peers()[target.peer].ways(MAIN)
        assert target.name == "256 × 30-64-64-2"


def test_cases_are_chosen_by_members_or_network():
    assert chosen_populations("256") == (MAIN,)
    assert chosen_populations("default") == POPULATIONS
    assert chosen_populations("none") == ()
    found = chosen_populations("lenet, 3,30-8-8-2,256,3")
    assert [case.word for case in found] == [
        "16xlenet:64", "3x30-64-64-2:32", "64x30-8-8-2:32", "256x30-64-64-2:32",
    ]  # fmt: skip
    options, _ = parse(["--populations", "8", "--cross-validation", "none"])
    assert options.populations == (population_case(8),)
    assert not options.validation
    assert parse(["--quick"])[0].populations == ()


@pytest.mark.parametrize("name", ["0", "-1", "resnet", "", "2.5"])
def test_an_unknown_population_is_named(name):
    with pytest.raises(SettingError, match=f"--populations: '{name}' is neither default, none"):
        parse(["--populations", name])


def test_members_have_the_weights_and_orders_of_their_seeds():
    problem = make_population(CASE)
    assert problem.checked == [0, 2, 4]
    for place in range(5):
        own = tw.initialise(network(CASE), (5,), 2 + place, "float32")
        member = problem.member(place)
        found = [part for parts in member.weights for part in parts]
        assert all(np.array_equal(a, b) for a, b in zip(found, own.values(), strict=True))
        assert member.case == replace(CASE, members=0)
    for order in problem.orders(2, None):
        assert order.shape == (5, 24)
        assert np.array_equal(np.sort(order, axis=1), np.tile(np.arange(24), (5, 1)))
        assert len({tuple(line) for line in order}) == 5
    assert problem.order(1, 24) is problem.order(1, 24)
    assert problem.orders(1, 2)[0].max() == 11
    ratios = problem.rates[1:] / problem.rates[:-1]
    np.testing.assert_allclose(ratios, 100 ** (1 / 4), rtol=1e-6)


def test_images_start_alike():
    problem, plain = make_population(IMAGES), make_problem(replace(IMAGES, members=0))
    for parts, own in zip(problem.weights, plain.weights, strict=True):
        for part, value in zip(parts, own, strict=True):
            assert np.array_equal(part[0], value)
            assert np.array_equal(part[1], value)


def test_a_plain_problem_is_no_population():
    with pytest.raises(TypeError, match="5-8-3, batch 6 is no population"):
        population_of(problem_of(replace(CASE, members=0)))
    assert make_population(replace(CASE, members=1)).rates == [np.float32(1e-3)]


def test_the_losses_are_those_of_each_network_alone():
    problem = make_population(CASE)
    expected = population_losses(problem, 3)
    alone = {
        place: tw.fit(
            network(CASE), problem.x, problem.y, optimizer=tw.Adam(float(problem.rates[place])),
            batch_size=6, epochs=3, seed=2 + place, classes=[0, 1, 2], dtype="float64",
            backend="interpreter", progress=False,
        ).history["train_loss"]
        for place in problem.checked
    }  # fmt: skip
    assert len(expected) == 9
    assert relative_error(by_epoch(problem, alone), expected) < 1e-7


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("case", [CASE, replace(CASE, members=1), IMAGES], ids=str)
def test_thalweg_trains_the_members_that_are_expected(case, threads):
    problem, peer = make_population(case), all_peers()["thalweg"]
    session = peer.open(problem, "", threads)
    found = session.train(2)
    assert relative_error(found.losses, population_losses(problem, 2)) < 1e-4
    assert found.seconds > 0
    assert found.start_seconds is None
    first = session.train(3, 1)
    assert relative_error(first.losses, population_losses(problem, 3, 1)) < 1e-4


def test_thalweg_says_what_it_refuses():
    problem = make_population(CASE)
    with pytest.raises(SettingError, match="backend"):
        all_peers("magic")["thalweg"].open(problem, "", 2).train(1)


def test_the_expected_losses_are_the_checked_members():
    found = expected_losses(CASE, Protocol(epochs=2, steps=3))
    assert (len(found.steps), len(found.epochs)) == (9, 6)
    assert found.epochs == population_losses(make_population(CASE), 2)


def test_steps_of_all_members_are_counted():
    class Counted(Peer):
        name = title = "counted"
        packages = ()
        member_variants = ("",)

        def load(self, threads):
            pass

        def open(self, problem, variant, threads):
            class Session:
                def train(self, epochs, batches=None):
                    return Trained([0.5] * epochs * len(problem.checked), 2.0 * epochs)

            return Session()

    worker = Worker(Counted(), 1)
    worker.answer({"operation": "open", "case": json.loads(json.dumps(asdict(CASE)))})
    answer = worker.answer({"operation": "train", "epochs": LONGEST_RUN + 3})
    assert answer["steps"] == (LONGEST_RUN + 3) * CASE.batches * CASE.members
    assert len(answer["losses"]) == (LONGEST_RUN + 3) * 3
    assert answer["seconds"] == 2.0 * (LONGEST_RUN + 3)


def test_libraries_that_train_one_after_another_leave_thousands_out():
    many = replace(CASE, members=4096)
    able = {name for name, peer in all_peers().items() if peer.ways(CASE)}
    assert able == {
        "thalweg", "pytorch", "torch-vmap", "jax-vmap", "jax-map", "joblib",
    }  # fmt: skip
    assert able - {name for name, peer in all_peers().items() if peer.ways(many)} == {
        "pytorch", "joblib",
    }  # fmt: skip
    assert all_peers()["joblib"].ways(IMAGES) == ()
    assert "products" not in all_peers()["torch-vmap"].ways(IMAGES)
    assert not all_peers()["torch-vmap"].ways(replace(CASE, members=0))


def test_variants_that_cannot_help_are_not_tried():
    peers = all_peers()
    assert peers["jax-vmap"].first_ways(CASE, 1) == ("vmap",)
    assert peers["jax-vmap"].first_ways(CASE, 2) == ("vmap", "vmap, sharded")
    assert peers["jax-map"].first_ways(CASE, 1) == ("map", "map, groups")
    assert peers["torch-vmap"].first_ways(CASE, 2) == ("vmap", "products")
    assert set(peers["torch-vmap"].late_variants) < set(peers["torch-vmap"].ways(CASE))
    assert peers["pytorch"].first_ways(CASE, 1) == ("fused", "foreach", "plain")


def test_given_orders_come_out_of_shuffling_again_and_again():
    wanted = np.array([[2, 0, 1, 3], [3, 2, 1, 0], [0, 3, 2, 1]], np.int32)
    orders, rows = Orders(wanted), np.arange(4)
    for order in wanted:
        places = np.arange(4)
        orders.shuffle(places)
        rows = rows[places]
        assert np.array_equal(rows, order)


@pytest.mark.parametrize(
    ("name", "way", "case"),
    [
        pytest.param(name, way, case, marks=[pytest.mark.soak] * (name != "joblib"))
        for name in ("pytorch", "torch-vmap", "jax-vmap", "jax-map", "joblib")
        for case in (CASE, replace(CASE, widths=(5, 8, 2)), IMAGES)
        for way in all_peers()[name].ways(case)
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside torch.compile
def test_the_losses_of_others_are_those_of_float64(name, way, case):
    peer = all_peers()[name]
    if absent := peer.missing():
        pytest.skip(f"not installed: {', '.join(absent)}")
    problem = make_population(case)
    session = peer.open(problem, way, 1)
    bound = 1e-3 if name == "joblib" else 1e-4
    assert relative_error(session.train(3).losses, population_losses(problem, 3)) < bound
    assert relative_error(session.train(4, 1).losses, population_losses(problem, 4, 1)) < bound
