"""Sparse connections and skip connections: what leaving out and what going past brings.

    python examples/sparse_and_skip.py [--plot skip.png]

A unit that is connected to few inputs has fewer weights to learn. Where one knows which inputs
belong together, such a layer needs fewer rows: below, a target is a sum over pairs of inputs, and
units see one pair each. With as many connections at random places nothing is won.

A skip connection hands a signal past one layer or more: added to what the layers make of it
(residual), or put beside it (concatenation). Gradients take the same way back, so the first of many
layers still learns.

Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2016; Huang, Liu,
van der Maaten and Weinberger, "Densely connected convolutional networks", 2017.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import thalweg as tw

Array = NDArray[np.float64]

# ------------------------------------------------------------------ sparse connections

INPUTS = 8
UNITS = 32
PAIRS = tuple((2 * (unit % 4), 2 * (unit % 4) + 1) for unit in range(UNITS))
"""For each unit the pair of inputs that it sees: (0, 1), (2, 3), (4, 5), (6, 7), (0, 1), …"""

SPARSE: dict[str, tw.Layer] = {
    "all inputs": tw.Linear(UNITS),
    "all inputs, fewer units": tw.Linear(12),
    "its pair of inputs": tw.MaskedLinear(PAIRS),
    "two random inputs": tw.SparseLinear(UNITS, density=0.25, seed=1),
}
"""Hidden layers by what a unit sees."""


def sum_over_pairs(rows: int, seed: int, noise: float = 0.1) -> tuple[Array, Array]:
    """Inputs in a cube, and Σ sin 3x₂ᵢx₂ᵢ₊₁ with some noise."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (rows, INPUTS))
    return x, np.sin(3 * x[:, ::2] * x[:, 1::2]).sum(axis=1) + noise * rng.normal(size=rows)


class Fitted(NamedTuple):
    """A trained network: trained numbers that are connected, its test error, and the model."""

    connected: int
    error: float
    model: tw.Model


def fit_sparse(name: str, rows: int = 200, seed: int = 0, epochs: int = 400) -> Fitted:
    """Train one hidden layer on few rows; the error is over many others, without noise."""
    network = tw.Sequential(SPARSE[name], tw.Tanh(), tw.Linear(1))
    x, y = sum_over_pairs(rows, seed)
    run = tw.fit(
        network,
        x,
        y,
        optimizer=tw.Adam(0.01),
        batch_size=50,
        epochs=epochs,
        seed=seed,
        progress=False,
        threads=1,
    )
    other, wanted = sum_over_pairs(2000, seed + 1000, noise=0.0)
    error = float(np.sqrt(np.mean((run.model.predict(other) - wanted) ** 2)))
    connected = sum(int(np.count_nonzero(a)) for a in run.model.parameters.values())
    return Fitted(connected, error, run.model)


# ------------------------------------------------------------------ skip connections

WIDTH = 16
START = tw.Normal(std=0.1)
"""Weights too small for a plain network: each layer multiplies gradients by about 0.1·√16."""


def layer(units: int = WIDTH) -> tw.Sequential:
    """What every network below is made of."""
    return tw.Sequential(tw.Linear(units, weight=START), tw.Tanh())


def plain(depth: int) -> tw.Layer:
    """Layers one after the other."""
    return tw.Sequential(*[layer()] * depth)


def residual(depth: int) -> tw.Layer:
    """x + f(x), again and again."""
    return tw.Sequential(*[tw.Residual(layer())] * depth)


def two_on(depth: int) -> tw.Layer:
    """Each layer's input is added to the output of the layer after it: from i to i + 2."""
    links = tuple((place, place + 2, "sum") for place in range(depth - 1))
    return tw.SkipSequential([layer()] * depth, links=links)


def concatenated(depth: int) -> tw.Layer:
    """(x, f(x)), again and again, with 4 more units each time."""
    return tw.Sequential(*[tw.Concatenated(layer(4))] * depth)


SKIPS: dict[str, Callable[[int], tw.Layer]] = {
    "plain": plain,
    "residual": residual,
    "two layers on": two_on,
    "concatenated": concatenated,
}


def network(kind: str, depth: int) -> tw.Sequential:
    """A first layer, ``depth`` hidden layers of a kind, and one output."""
    return tw.Sequential(tw.Linear(WIDTH), SKIPS[kind](depth), tw.Linear(1))


def waves(rows: int = 512) -> tuple[Array, Array]:
    """Points of a square and waves over it."""
    x = np.random.default_rng(0).uniform(-1, 1, (rows, 2))
    return x, np.sin(4 * x[:, 0]) * np.cos(4 * x[:, 1])


def first_gradient(kind: str, depth: int, seed: int = 0) -> float:
    """Mean |∂L/∂W| of the first layer, before any training."""
    net, (x, y) = network(kind, depth), waves()
    parameters = tw.initialise(net, 2, seed, dtype="float64")
    gradients = tw.grad(
        lambda values: tw.square(tw.apply_network(net, values, x)[:, 0] - y).mean()
    )(parameters)
    return float(np.abs(gradients["0.weight"].numpy()).mean())


def fit_skip(kind: str, depth: int, seed: int = 0, epochs: int = 100) -> Array:
    """The training loss of each epoch."""
    run = tw.fit(
        network(kind, depth),
        *waves(),
        optimizer=tw.Adam(2e-3),
        batch_size=64,
        epochs=epochs,
        seed=seed,
        progress=False,
        threads=1,
    )
    return run.history["train_loss"]


# ------------------------------------------------------------------ printing and drawing


def plot(path: str, depth: int = 16, epochs: int = 100) -> None:
    """Draw the losses of networks that differ in their connections alone."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for kind in SKIPS:
        axes.plot(fit_skip(kind, depth, epochs=epochs), label=kind)
    axes.set(xlabel="epoch", ylabel="training loss", yscale="log", title=f"{depth} hidden layers")
    axes.legend()
    figure.savefig(path)


def main(argv: Sequence[str] | None = None) -> None:
    """Print errors by what units see, and gradients and losses by what layers see."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 200, 400])
    parser.add_argument("--seeds", type=int, default=5, help="data and starts to average over")
    parser.add_argument("--depths", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--epochs", type=int, default=100, help="of the deep networks")
    parser.add_argument("--plot", metavar="FILE", help="draw the losses of deep networks")
    chosen = parser.parse_args(argv)
    print(f"test error by training rows, mean of {chosen.seeds}")
    print(f"{'a unit sees':<26}weights" + "".join(f"{rows:>8}" for rows in chosen.rows))
    for name in SPARSE:
        found = [
            [fit_sparse(name, rows, seed) for seed in range(chosen.seeds)] for rows in chosen.rows
        ]
        errors = [np.mean([item.error for item in items]) for items in found]
        print(f"{name:<26}{found[0][0].connected:>7}" + "".join(f"{e:>8.3f}" for e in errors))
    print("\nfirst layer's mean |gradient| at the start, and the training loss at the end")
    print(f"{'connections':<14}" + "".join(f"{depth:>11} layers" for depth in chosen.depths))
    for kind in SKIPS:
        cells = ""
        for depth in chosen.depths:
            loss = fit_skip(kind, depth, epochs=chosen.epochs)[-1]
            cells += f"{first_gradient(kind, depth):>10.0e}{loss:>8.4f}"
        print(f"{kind:<14}{cells}")
    if chosen.plot:
        plot(chosen.plot)


if __name__ == "__main__":
    main()
