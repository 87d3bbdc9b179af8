"""Cases, the grid, and the operations of a step."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.bench.cases import CASES, TARGETS, chosen_cases, grid_case, grid_cases, image_case
from thalweg.bench.peers import all_peers
from thalweg.bench.problem import make_problem, network, starting_weights
from thalweg.errors import SettingError


def test_every_target_is_of_a_case_and_a_library():
    for target in TARGETS:
        assert len([case for case in CASES if target.of(case)]) == 1
        assert target.peer in all_peers()


def test_the_operations_of_a_step():
    small = CASES[0]
    forward = 2 * 32 * (30 * 64 + 64 * 64 + 64 * 2)
    of_inputs = 2 * 32 * (64 * 64 + 64 * 2)
    assert small.flops == 2 * forward + of_inputs
    assert small.rows == 32 * 256


@pytest.mark.parametrize("grid", ["small", "full"])
def test_the_grid_reaches_from_8_to_1024_and_from_1_to_1024(grid):
    cells = grid_cases(grid)
    assert {cell.widths[0] for cell in cells} >= {8, 1024}
    assert {cell.batch_size for cell in cells} >= {1, 1024}
    assert all(cell.rows >= cell.widths[-1] for cell in cells)
    assert grid_cases("none") == []


def test_an_epoch_of_a_cell_is_neither_long_nor_short():
    assert grid_case(8, 1).batches == 256
    assert grid_case(1024, 1024).batches == 4
    assert grid_case(1024, 1).batches == 16
    assert grid_case(8, 1).parameters == 2 * 9 * 8 + 9 * 10


def test_an_unknown_case_is_named():
    assert [case.network for case in chosen_cases("784-256-128-10")] == ["784-256-128-10"]
    assert chosen_cases("none") == ()
    with pytest.raises(SettingError, match="'3-4' is not one of all, none, 30-64-64-2"):
        chosen_cases("30-64-64-2,3-4")


def test_cases_are_chosen_by_network_or_by_network_and_batch():
    assert [case.word for case in chosen_cases("lenet,resnet")] == [
        "lenet:1", "lenet:16", "lenet:64", "lenet:256", "resnet:64",
    ]  # fmt: skip
    assert [case.name for case in chosen_cases("resnet, lenet:64, lenet:64")] == [
        "ResNet-style, batch 64", "LeNet-5, batch 64",
    ]  # fmt: skip
    with pytest.raises(SettingError, match="'lenet:2' is not one of all, none, 30-64-64-2"):
        chosen_cases("lenet:2")


def test_the_operations_of_a_step_with_images():
    first, second = 28 * 28 * 25 * 6, 10 * 10 * 25 * 6 * 16
    dense = 400 * 120 + 120 * 84 + 84 * 10
    assert image_case("lenet", 64, 1).flops == 2 * 64 * (2 * first + 3 * (second + dense))
    stem, stage1 = 1024 * 27 * 16, 1024 * 2 * 9 * 16 * 16
    stage2 = 256 * (9 * 16 * 32 + 9 * 32 * 32 + 16 * 32)
    stage3 = 64 * (9 * 32 * 64 + 9 * 64 * 64 + 32 * 64)
    resnet = 2 * stem + 3 * (stage1 + stage2 + stage3 + 640)
    assert image_case("resnet", 3, 1).flops == 2 * 3 * resnet


def test_the_first_batches_hold_two_classes():
    for case in CASES:
        y = np.arange(case.checked_batches * case.batch_size) % case.widths[-1]
        assert len(set(y)) >= 2
        assert case.checked_batches <= case.batches


@pytest.mark.parametrize("form", ["lenet", "resnet"])
def test_the_architecture_is_that_of_the_named_model(form):
    case = image_case(form, 2, 5)
    found = tw.initialise(network(case), case.row_shape)
    given = starting_weights(make_problem(case))
    assert {path: value.shape for path, value in found.items()} == {
        path: value.shape for path, value in given.items()
    }
    assert case.parameters == sum(value.size for value in found.values())
    assert case.widths[-1] == 10
