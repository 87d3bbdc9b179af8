"""Other libraries, where they are installed: their losses are those of float64."""

import pytest

from thalweg.bench.cases import Case, image_case
from thalweg.bench.peers import all_peers
from thalweg.bench.problem import make_problem
from thalweg.bench.protocol import Entry, Protocol, measure, relative_error
from thalweg.bench.reference import reference_losses
from thalweg.bench.workers import Process

CASE = Case((6, 16, 12, 3), 8, 5)
OTHERS = [name for name in all_peers() if name != "thalweg"]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.soak] * (name != "sklearn")) for name in OTHERS],
)
def test_the_losses_are_those_of_float64(name, tmp_path):
    if absent := all_peers()[name].missing():
        pytest.skip(f"not installed: {', '.join(absent)}")
    opened = []

    def opener(entry):
        opened.append(Process(entry.peer, entry.threads, "interpreter", tmp_path))
        return opened[-1]

    rows, _ = measure(CASE, [Entry(name, 1)], opener, Protocol(rounds=1, seconds=0.01))
    opened[0].close()
    assert rows[0].status == "measured", rows[0].reason
    assert rows[0].step_error < 1e-3
    assert rows[0].epoch_error < 1e-3
    assert rows[0].step_seconds > 0


def test_two_classes_are_another_network_in_scikit_learn():
    peer = all_peers()["sklearn"]
    assert "logistic" in peer.different(2)
    assert peer.different(3) == ""


IMAGES = {
    name: peer.ways(image_case("lenet", 4, 3))
    for name, peer in all_peers().items()
    if name != "thalweg"
}


def test_libraries_without_convolutions_are_left_out_of_images():
    without = [name for name, ways in IMAGES.items() if not ways]
    assert without == ["sklearn", "keras", "torch-vmap", "jax-vmap", "jax-map", "joblib"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside torch.compile
@pytest.mark.parametrize("form", ["lenet", "resnet"])
@pytest.mark.parametrize(
    ("name", "way"),
    [
        pytest.param(name, way, marks=[pytest.mark.soak] * (name != "pytorch"))
        for name, ways in IMAGES.items()
        for way in ways
    ],
)
def test_the_losses_on_images_are_those_of_float64(name, way, form):
    if absent := all_peers()[name].missing():
        pytest.skip(f"not installed: {', '.join(absent)}")
    problem = make_problem(image_case(form, 4, 3))
    session = all_peers()[name].open(problem, way, 1)
    assert relative_error(session.train(2).losses, reference_losses(problem, 2)) < 1e-4
    expected = reference_losses(problem, 3, 1)
    assert relative_error(session.train(3, 1).losses, expected) < 1e-4
