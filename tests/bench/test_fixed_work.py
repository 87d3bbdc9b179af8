"""How much is trained: the same for all, less of what is slow."""

from dataclasses import replace

import pytest

from thalweg.bench.cases import image_case
from thalweg.bench.fixed_work import Speed, Work, few_of, shortened, speed_from, work_of
from thalweg.bench.populations import MAIN, POPULATIONS, population_case


def test_the_main_case_trains_ten_epochs_of_256_batches():
    assert work_of(MAIN) == Work(10, 256)
    assert work_of(MAIN).steps == 2560
    assert work_of(population_case(8)) == work_of(MAIN)


def test_wide_and_many_networks_train_fewer_epochs():
    found = {case.word: work_of(case).epochs for case in POPULATIONS}
    assert found["4096x30-64-64-2:32"] == 1
    assert 1 < found["64x30-256-256-2:32"] < found["64x30-128-128-2:32"] == 10
    assert found["16xlenet:64"] == 4
    for case in POPULATIONS:
        assert few_of(case).steps < work_of(case).steps
        operations = work_of(case).steps * case.members * case.flops
        assert operations <= 7e11 or work_of(case).epochs == 1


def test_a_short_training_is_short():
    assert few_of(MAIN) == Work(1, 16)
    assert few_of(population_case(4096)) == Work(1, 4)
    assert few_of(replace(image_case("lenet", 64, 8), members=16)) == Work(1, 2)
    assert few_of(population_case(8, batches=3)) == Work(1, 3)


def test_making_and_step_are_told_apart():
    truth = Speed(0.25, 0.125)
    few, more = Work(1, 16), Work(3, 16)
    assert speed_from(truth.seconds(few), few, truth.seconds(more), more) == truth
    assert speed_from(2.0, few, 1.0, more) == Speed(2.0, 0.0)
    assert speed_from(1.0, few, 33.0, more) == Speed(0.0, 1.0)


@pytest.mark.parametrize(
    ("speed", "most", "work"),
    [
        (Speed(0.0, 0.001), 3.0, Work(10, 256)),
        (Speed(0.5, 0.001), 3.0, Work(9, 256)),
        (Speed(0.0, 0.02), 3.0, Work(1, 150)),
        (Speed(9.0, 0.02), 3.0, Work(1, 1)),
        (Speed(9.0, 0.0), 3.0, Work(10, 256)),
    ],
)
def test_slow_libraries_train_fewer_steps(speed, most, work):
    found = shortened(Work(10, 256), speed, most)
    assert found == work
    if 1 < found.steps < 2560:
        assert speed.seconds(found) <= most
