"""Cases, the grid, and the operations of a step."""

import pytest

from thalweg.bench.cases import CASES, TARGETS, chosen_cases, grid_case, grid_cases
from thalweg.bench.peers import all_peers
from thalweg.errors import SettingError


def test_every_target_is_of_a_case_and_a_library():
    networks = {case.network for case in CASES}
    for target in TARGETS:
        assert target.network in networks
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
