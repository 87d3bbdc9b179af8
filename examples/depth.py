"""Depth and width: linear regions of rectifier networks, and errors with the same budget.

    python examples/depth.py [--plot depth.png]

A rectifier network cuts its input into regions on each of which it is linear; ``regions.py`` counts
them exactly. A network that folds an interval k times has 2^k regions with two units a layer, where
one hidden layer of n units has n + 1 at most. Random and trained networks have far fewer than the
bound allows. Below, networks of one and of several hidden layers with as many parameters are fitted
to the same targets: depth wins where the target is itself a composition, not everywhere.

Source: Montúfar, Pascanu, Cho and Bengio, "On the number of linear regions of deep neural
networks", 2014; Telgarsky, "Benefits of depth in neural networks", 2016.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import regions
from numpy.typing import NDArray

import thalweg as tw

Array = NDArray[np.float64]


def rectifiers(widths: Sequence[int]) -> tw.Sequential:
    """Hidden layers of the given widths, and one output."""
    hidden = [layer for width in widths for layer in (tw.Linear(width), tw.ReLU())]
    return tw.Sequential(*hidden, tw.Linear(1))


def folded(folds: int) -> tuple[int, Array]:
    """The folding network's pieces, and its outputs at the multiples of 2^-folds."""
    parameters = regions.folding_network(folds)
    x = np.linspace(0, 1, 2**folds + 1)[:, None]
    outputs = tw.apply_network(rectifiers((2,) * folds), parameters, x).numpy()[:, 0]
    return regions.slopes(regions.on_line(parameters, np.zeros(1), np.ones(1))), outputs


def random_network(widths: Sequence[int], inputs: int, seed: int) -> dict[str, Array]:
    """A network at its start, with biases that are random too."""
    hidden = [
        layer
        for width in widths
        for layer in (tw.Linear(width, bias_start=tw.Normal(std=1.0)), tw.ReLU())
    ]
    return tw.initialise(tw.Sequential(*hidden, tw.Linear(1)), inputs, seed=seed, dtype="float64")


def random_counts(widths: Sequence[int], seed: int = 0, reach: float = 10.0) -> tuple[int, int]:
    """Regions of a random network on a line through [-reach, reach]², and in that square."""
    parameters = random_network(widths, 2, seed)
    corner = np.array([reach, 0.7 * reach])
    line = regions.on_line(parameters, -corner, corner)
    return len(line), len(regions.in_rectangle(parameters, -reach, reach))


# ------------------------------------------------------------------ same budget


def sawtooth(x: Array) -> Array:
    """A tent map applied three times: 8 pieces on [0, 1]."""
    y = x[:, 0]
    for _ in range(3):
        y = 1 - np.abs(2 * y - 1)
    return y


def chirp(x: Array) -> Array:
    """Waves that get shorter: cos 4π(x + x³)."""
    return np.cos(4 * np.pi * (x[:, 0] + x[:, 0] ** 3))


def ring(x: Array) -> Array:
    """A ring in the square: a function of the radius alone."""
    radius = np.sqrt(((2 * x - 1) ** 2).sum(axis=1))
    return np.exp(-20 * (radius - 0.6) ** 2)


TARGETS: dict[str, tuple[Callable[[Array], Array], int]] = {
    "sawtooth": (sawtooth, 1),
    "chirp": (chirp, 1),
    "ring": (ring, 2),
}
SHAPES: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((35,), (8, 8), (6, 6, 6), (5, 5, 5, 5)),
    2: ((65,), (14, 14), (10, 10, 10), (8, 8, 8, 8)),
}
"""Widths of about the same number of parameters, by the number of inputs."""


def fitted(
    name: str, widths: Sequence[int], starts: int = 4, epochs: int = 400
) -> tuple[float, tw.Model]:
    """The best of some trained networks, with its root mean square error between the points."""
    function, inputs = TARGETS[name]
    x = grid(inputs, 257 if inputs == 1 else 25)
    between = grid(inputs, 1000 if inputs == 1 else 60)
    found: list[tuple[float, int, tw.Model]] = []
    for seed in range(starts):
        run = tw.fit(
            tw.Sequential(tw.MinMax(-1.0, 1.0), *rectifiers(widths)),
            x,
            function(x),
            optimizer=tw.LBFGS(memory=50),
            epochs=epochs,
            seed=seed,
            dtype="float64",
            progress=False,
            threads=1,
        )
        error = np.sqrt(np.mean((run.model.predict(between) - function(between)) ** 2))
        found.append((float(error), seed, run.model))
    error, _, model = min(found, key=lambda item: item[:2])
    return error, model


def grid(inputs: int, points: int) -> Array:
    """A grid on [0, 1]^inputs, (points^inputs, inputs)."""
    sides = np.meshgrid(*[np.linspace(0, 1, points)] * inputs, indexing="ij")
    return np.stack([side.ravel() for side in sides], axis=1)


def pieces_of(model: tw.Model) -> int:
    """The linear pieces on [0, 1] of a trained network of one input, which it scales to [-1, 1]."""
    return regions.slopes(regions.on_line(model.parameters, -np.ones(1), np.ones(1)))


# ------------------------------------------------------------------ printing and drawing


def plot(path: str) -> None:
    """Draw a folded interval, and the regions of a random network in a square."""
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for folds in (1, 2, 4):
        pieces, outputs = folded(folds)
        left.plot(np.linspace(0, 1, len(outputs)), outputs, label=f"{folds} folds, {pieces} pieces")
    left.set(title="folding networks, 2 units a layer")
    left.legend(loc="lower center")
    polygons = regions.in_rectangle(random_network((8, 8), 2, 0), -2, 2)
    centres = np.array([(1, *piece.corners.mean(axis=0)) @ piece.map[:, 0] for piece in polygons])
    faces = PolyCollection(
        [piece.corners for piece in polygons], edgecolors="black", linewidths=0.5
    )
    faces.set_array(centres)
    right.add_collection(faces)
    right.set(title=f"2-8-8-1: {len(polygons)} regions", xlim=(-2, 2), ylim=(-2, 2))
    figure.savefig(path)


def print_regions(folds: int, seeds: int) -> None:
    """Print the folding network's pieces, and mean counts of random networks."""
    print("folds  units  pieces  one hidden layer of as many units has at most")
    for count in range(1, folds + 1):
        print(f"{count:>5}  {2 * count:>5}  {folded(count)[0]:>6}  {2 * count + 1}")
    print(f"\nrandom networks of two inputs, mean of {seeds}: regions, and the bound")
    print("hidden layers    on a line    bound    in a square    bound")
    for widths in ((16,), (8, 8), (4, 4, 4, 4), (32,), (16, 16), (8, 8, 8, 8)):
        line, square = np.mean([random_counts(widths, seed) for seed in range(seeds)], axis=0)
        bounds = [regions.most_regions(widths, inputs) for inputs in (1, 2)]
        name = "-".join(map(str, widths))
        print(f"{name:<14}{line:>12.1f}{bounds[0]:>9,}{square:>15.1f}{bounds[1]:>13,}")


def print_budget(name: str, starts: int, epochs: int) -> None:
    """Print the errors of shapes of about the same number of parameters on a target."""
    inputs = TARGETS[name][1]
    for widths in SHAPES[inputs]:
        error, model = fitted(name, widths, starts, epochs)
        count = sum(array.size for array in model.parameters.values())
        pieces = f"{pieces_of(model):>8}" if inputs == 1 else ""
        print(f"{name:<10}{'-'.join(map(str, widths)):<14}{count:>10}{error:>10.5f}{pieces}")


def main(argv: Sequence[str] | None = None) -> None:
    """Print counts of regions, and errors of deep and of wide networks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, default=10, help="of the folding network")
    parser.add_argument("--seeds", type=int, default=10, help="random networks to count")
    parser.add_argument("--targets", nargs="*", default=list(TARGETS), metavar="NAME")
    parser.add_argument("--starts", type=int, default=4, help="the best of so many")
    parser.add_argument("--epochs", type=int, default=400, help="iterations of L-BFGS")
    parser.add_argument("--plot", metavar="FILE", help="draw regions")
    chosen = parser.parse_args(argv)
    print_regions(chosen.folds, chosen.seeds)
    print("\nthe same budget: root mean square error, and linear pieces on [0, 1]")
    print("target    hidden layers parameters     error  pieces")
    for name in chosen.targets:
        print_budget(name, chosen.starts, chosen.epochs)
    if chosen.plot:
        plot(chosen.plot)


if __name__ == "__main__":
    main()
