"""Regions: every count comes with a proof by evaluation, and meets what is known exactly."""

import itertools

import numpy as np
import pytest

import thalweg as tw


@pytest.fixture(scope="module")
def depth(example):
    return example("depth")


@pytest.fixture(scope="module")
def regions(example):
    return example("regions")


def pattern(parameters, x):
    """Which units are on at a point, by NumPy."""
    places = sorted({int(path.split(".")[0]) for path in parameters})[:-1]
    on = []
    for place in places:
        net = x @ parameters[f"{place}.weight"] + parameters[f"{place}.bias"]
        on.append(net > 0)
        x = np.maximum(net, 0)
    return np.concatenate(on).tobytes()


def network_values(depth, parameters, points):
    widths = [parameters[path].shape[1] for path in parameters if path.endswith("weight")]
    return tw.apply_network(depth.rectifiers(widths[:-1]), parameters, points).numpy()


@pytest.mark.parametrize("folds", [1, 2, 5, 10])
def test_folding_doubles_the_pieces_exactly(depth, folds):
    pieces, outputs = depth.folded(folds)
    assert pieces == 2**folds
    np.testing.assert_array_equal(outputs, np.arange(2**folds + 1) % 2)  # 0, 1, 0, 1, …


def test_folding_is_the_tent_map_applied_again(depth, regions, rng):
    x = rng.uniform(0, 1, (200, 1))
    expected = x
    for _ in range(4):
        expected = 1 - np.abs(2 * expected - 1)
    outputs = network_values(depth, regions.folding_network(4), x)
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("widths", [(12,), (6, 6), (4, 4, 4, 4)])
@pytest.mark.parametrize("seed", [0, 1])
def test_pieces_of_a_line_are_linear_whole_and_different(depth, regions, rng, widths, seed):
    parameters = depth.random_network(widths, 2, seed)
    ends = rng.normal(0, 5, (2, 2))
    pieces = regions.on_line(parameters, *ends)
    cuts = np.array([piece.corners[:, 0] for piece in pieces])
    assert cuts[0, 0] == 0
    assert cuts[-1, 1] == 1
    np.testing.assert_array_equal(cuts[1:, 0], cuts[:-1, 1])  # nothing between neighbours
    inside = cuts[:, :1] + rng.uniform(0, 1, (len(cuts), 5)) * np.diff(cuts, axis=1)
    points = ends[0] + inside[..., None] * (ends[1] - ends[0])
    expected = np.array(
        [piece.map[0, 0] + piece.map[1, 0] * t for piece, t in zip(pieces, inside, strict=True)]
    )
    outputs = network_values(depth, parameters, points.reshape(-1, 2)).reshape(expected.shape)
    np.testing.assert_allclose(outputs, expected, rtol=1e-9, atol=1e-9)
    patterns = [
        pattern(parameters, p) for p in ends[0] + cuts.mean(1)[:, None] * np.diff(ends, axis=0)
    ]
    assert all(one != other for one, other in itertools.pairwise(patterns))


@pytest.mark.parametrize("widths", [(10,), (6, 6), (4, 4, 4)])
def test_polygons_are_linear_whole_and_different(depth, regions, rng, widths):
    parameters = depth.random_network(widths, 2, seed=3)
    pieces = regions.in_rectangle(parameters, -4, 4)
    assert sum(map(regions.area, pieces)) == pytest.approx(64, rel=1e-12)
    centres = np.array([piece.corners.mean(axis=0) for piece in pieces])
    assert len({pattern(parameters, centre) for centre in centres}) == len(pieces)
    shares = [rng.dirichlet(np.ones(len(piece.corners)), 4) for piece in pieces]
    points = [share @ piece.corners for share, piece in zip(shares, pieces, strict=True)]
    expected = [p.map[0] + x @ p.map[1:] for p, x in zip(pieces, points, strict=True)]
    outputs = network_values(depth, parameters, np.concatenate(points))
    np.testing.assert_allclose(outputs, np.concatenate(expected), rtol=1e-8, atol=1e-8)


def test_one_layer_in_general_position_has_zaslavskys_number(depth, regions):
    for units in (1, 2, 5, 9):
        parameters = depth.random_network((units,), 2, seed=units)
        assert (
            len(regions.in_rectangle(parameters, -1e4, 1e4)) == 1 + units + units * (units - 1) // 2
        )
        assert len(regions.on_line(parameters, np.full(2, -1e4), np.array([1e4, 9e3]))) == units + 1


def test_bounds_are_those_of_the_formula(regions):
    assert regions.most_regions((8,), 1) == 9
    assert regions.most_regions((8,), 2) == 37
    assert regions.most_regions((8, 8), 2) == 37**2
    assert regions.most_regions((1, 8), 2) == 2 * 9  # past one unit there is one dimension


@pytest.mark.parametrize("widths", [(16,), (8, 8), (4, 4, 4, 4)])
def test_random_networks_stay_under_the_bound(depth, regions, widths):
    for seed in range(3):
        line, square = depth.random_counts(widths, seed)
        assert 1 < line <= regions.most_regions(widths, 1)
        assert line <= square <= regions.most_regions(widths, 2)


def test_units_that_agree_are_one_kink(regions):
    parameters = {
        "0.weight": np.array([[1.0, 3.0]]),
        "0.bias": np.array([-1 / 3, -1.0]),
        "2.weight": np.array([[1.0], [-1 / 3]]),
        "2.bias": np.zeros(1),
    }
    pieces = regions.on_line(parameters, np.zeros(1), np.ones(1))
    assert len(pieces) == 2
    assert regions.slopes(pieces) == 1  # what the units give cancels


def test_shapes_have_the_same_budget(depth):
    for inputs, shapes in depth.SHAPES.items():
        counts = [depth.rectifiers(widths).summary(inputs).parameters for widths in shapes]
        assert max(counts) <= 1.1 * min(counts)


def test_depth_helps_on_the_ring(depth):
    wide, _ = depth.fitted("ring", (65,), starts=1, epochs=200)
    deep, model = depth.fitted("ring", (14, 14), starts=1, epochs=200)
    assert deep < 0.6 * wide
    x = depth.grid(2, 60)
    ring = np.exp(-20 * (np.hypot(*(2 * x - 1).T) - 0.6) ** 2)
    assert deep == pytest.approx(np.sqrt(np.mean((model.predict(x) - ring) ** 2)), rel=1e-12)


def test_it_runs_as_a_script(depth, capsys, tmp_path):
    arguments = ["--folds", "3", "--seeds", "1", "--targets", "chirp", "--starts", "1"]
    depth.main([*arguments, "--epochs", "3", "--plot", str(tmp_path / "depth.png")])
    printed = capsys.readouterr().out
    assert "    3      6       8  7" in printed
    assert printed.count("chirp") == 4
    assert (tmp_path / "depth.png").stat().st_size > 10000
