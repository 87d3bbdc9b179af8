"""Universal approximation: one hidden layer, Σ vᵢ φ(wᵢᵀx + bᵢ), and its error against its width.

    python examples/approximation.py [--plot approximation.png]

Three ways to the same statement. Two rectifiers make one hard sigmoid, exactly. Hard sigmoids with
constructed weights make any piecewise linear curve, so the error on a curve with |f''| ≤ M falls as
M/8·h² with the distance h of the knots. And training finds weights by itself, on [0, 1] and on
[0, 1]², with an error that falls as the layer gets wider.

Source: Cybenko, "Approximation by superpositions of a sigmoidal function", 1989; Hornik,
Stinchcombe and White, "Multilayer feedforward networks are universal approximators", 1989.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

import thalweg as tw
from thalweg.nn.activations import Activation

Array = NDArray[np.float64]
Function = Callable[[Array], Array]


def wave(x: Array) -> Array:
    """A smooth curve on [0, 1] with |f''| ≤ 16π²: sin 4πx."""
    return np.sin(4 * np.pi * x[:, 0])


def corner(x: Array) -> Array:
    """A continuous curve with a corner and a steep root: √|x - 0.3|."""
    return np.sqrt(np.abs(x[:, 0] - 0.3))


def hill(x: Array) -> Array:
    """A round hill on [0, 1]²."""
    return np.exp(-12 * ((x - 0.4) ** 2).sum(axis=1))


def saddle(x: Array) -> Array:
    """Waves along one side of [0, 1]² that turn over along the other."""
    return np.cos(2 * np.pi * x[:, 0]) * (2 * x[:, 1] - 1)


TARGETS: dict[str, tuple[Function, int]] = {
    "sin 4πx": (wave, 1),
    "√|x - 0.3|": (corner, 1),
    "hill": (hill, 2),
    "saddle": (saddle, 2),
}
"""Functions and the number of their inputs."""

ACTIVATIONS: dict[str, Activation] = {"relu": tw.ReLU(), "tanh": tw.Tanh()}


# ------------------------------------------------------------------ constructed


def hard_logistic_of_rectifiers(z: Array) -> Array:
    """relu(z/4 + 1/2) - relu(z/4 - 1/2), as a network of two units."""
    network = tw.Sequential(tw.Linear(2), tw.ReLU(), tw.Linear(1, bias=False))
    weights = {
        "0.weight": np.array([[0.25, 0.25]]),
        "0.bias": np.array([0.5, -0.5]),
        "2.weight": np.array([[1.0], [-1.0]]),
    }
    return tw.apply_network(network, weights, z[:, None]).numpy()[:, 0]


def polyline_network(knots: Array, heights: Array) -> tuple[tw.Layer, dict[str, Array]]:
    """One hidden layer of hard sigmoids that joins points by straight lines.

    Unit i is 0 left of knot i, 1 right of knot i + 1 and rises between; its outgoing weight is the
    difference of the two heights.
    """
    steps = np.diff(knots)
    network = tw.Sequential(tw.Linear(len(steps)), tw.HardLogistic(), tw.Linear(1))
    weights = {
        "0.weight": (4 / steps)[None, :],
        "0.bias": -4 * knots[:-1] / steps - 2,
        "2.weight": np.diff(heights)[:, None],
        "2.bias": heights[:1],
    }
    return network, weights


def polyline_error(function: Function, units: int, points: int = 4001) -> float:
    """The largest error on [0, 1] of the polyline through ``units + 1`` points of a curve."""
    knots = np.linspace(0, 1, units + 1)
    network, weights = polyline_network(knots, function(knots[:, None]))
    x = np.linspace(0, 1, points)[:, None]
    outputs = tw.apply_network(network, weights, x).numpy()[:, 0]
    return float(np.abs(outputs - function(x)).max())


# ------------------------------------------------------------------ learned


def grid(inputs: int, points: int) -> Array:
    """A grid on [0, 1]^inputs with ``points`` along each side, (points^inputs, inputs)."""
    sides = np.meshgrid(*[np.linspace(0, 1, points)] * inputs, indexing="ij")
    return np.stack([side.ravel() for side in sides], axis=1)


def hidden_layer(units: int, activation: Activation) -> tw.Layer:
    """Σ vᵢ φ(wᵢᵀx + bᵢ) + c, with inputs scaled to [-1, 1] and biases that spread the units."""
    return tw.Sequential(
        tw.MinMax(-1.0, 1.0),
        tw.Linear(units, weight=tw.Normal(std=2.0), bias_start=tw.Uniform(2.0)),
        activation,
        tw.Linear(1),
    )


def fitted(
    name: str, activation: str, units: int, starts: int = 3, epochs: int = 300
) -> tuple[float, tw.Model]:
    """The best of some trained networks: its root mean square error between training points."""
    function, inputs = TARGETS[name]
    x = grid(inputs, 201 if inputs == 1 else 21)
    between = grid(inputs, 1001 if inputs == 1 else 61)
    found: list[tuple[float, int, tw.Model]] = []
    for seed in range(starts):
        run = tw.fit(
            hidden_layer(units, ACTIVATIONS[activation]),
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


def plot(path: str, epochs: int = 300) -> None:
    """Draw the wave with hard sigmoids through few points, and with few trained units."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.2), layout="constrained")
    x = np.linspace(0, 1, 401)[:, None]
    for axes, units in zip(figure.subplots(1, 3, sharey=True), (4, 8, 16), strict=True):
        knots = np.linspace(0, 1, units + 1)
        network, weights = polyline_network(knots, wave(knots[:, None]))
        axes.plot(x, wave(x), "k", label="sin 4πx")
        axes.plot(x, tw.apply_network(network, weights, x).numpy(), label="hard sigmoids")
        model = fitted("sin 4πx", "tanh", units, epochs=epochs)[1]
        axes.plot(x, model.predict(x), "--", label="trained, tanh")
        axes.set(title=f"{units} units")
    axes.legend()
    figure.savefig(path)


def main(argv: Sequence[str] | None = None) -> None:
    """Print errors against widths, constructed and learned."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--starts", type=int, default=3, help="the best of so many")
    parser.add_argument("--epochs", type=int, default=300, help="iterations of L-BFGS")
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), metavar="NAME")
    parser.add_argument("--plot", metavar="FILE", help="draw the wave")
    chosen = parser.parse_args(argv)
    z = np.arange(-8, 8, 1 / 64)
    same = np.array_equal(hard_logistic_of_rectifiers(z), np.clip(z / 4 + 0.5, 0, 1))
    print(f"two rectifiers make one hard sigmoid, bit for bit on {len(z)} points: {same}")
    print("\nsin 4πx by constructed hard sigmoids: largest error, and the bound 2π²/n²")
    for units in chosen.units:
        print(f"{units:>4} {polyline_error(wave, units):>10.5f} {2 * np.pi**2 / units**2:>10.5f}")
    print(f"\nlearned: root mean square error by hidden units, best of {chosen.starts}")
    print(f"{'':<22}" + "".join(f"{units:>9}" for units in chosen.units))
    for name in chosen.targets:
        for activation in ACTIVATIONS:
            errors = [
                fitted(name, activation, units, chosen.starts, chosen.epochs)[0]
                for units in chosen.units
            ]
            print(f"{name:<12}{activation:<10}" + "".join(f"{error:>9.5f}" for error in errors))
    if chosen.plot:
        plot(chosen.plot)


if __name__ == "__main__":
    main()
