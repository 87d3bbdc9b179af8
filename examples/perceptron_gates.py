"""One neuron as a logic gate: given, learned, and where one neuron cannot do it.

    python examples/perceptron_gates.py [--plot gates.png]

A McCulloch-Pitts neuron fires where Σ wᵢxᵢ ≥ θ. With chosen weights it is AND, OR or NOT; the
perceptron rule finds such weights by itself. XOR has no such weights: a line cannot part its two
classes, which a linear program proves. The same holds for y = tanh(wᵀx + b), a network without
hidden layer.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import thalweg as tw

Array = NDArray[np.float64]

GATES = {
    "AND": (0, 0, 0, 1),
    "OR": (0, 1, 1, 1),
    "NAND": (1, 1, 1, 0),
    "NOT": (1, 0),
    "XOR": (0, 1, 1, 0),
}
"""Outputs for the rows of :func:`inputs`; NOT has one input, the others two."""

NEURONS = {
    "AND": tw.Neuron((1, 1), threshold=2),
    "OR": tw.Neuron((1, 1), threshold=1),
    "NAND": tw.Neuron((-1, -1), threshold=-1),
    "NOT": tw.Neuron((-1,), threshold=0),
}
"""Gates as neurons with chosen weights."""


class Unit(NamedTuple):
    """A trained unit: rows that it gets right after its best epoch, weights, loss, epochs."""

    right: int
    weights: tuple[float, ...]
    bias: float
    loss: float
    epochs: int


def inputs(count: int) -> Array:
    """All rows of ``count`` zeros and ones, (2^count, count)."""
    return np.array(list(itertools.product((0.0, 1.0), repeat=count)))


def rows_of(targets: Sequence[int]) -> Array:
    """The inputs that belong to a gate's outputs."""
    return inputs(len(targets).bit_length() - 1)


def signs_of(targets: Sequence[int]) -> Array:
    """A gate's outputs as -1 and 1."""
    return 2.0 * np.array(targets) - 1.0


def neuron_outputs(name: str) -> list[int]:
    """What the chosen neuron gives for each row."""
    outputs = tw.apply_network(NEURONS[name], {}, rows_of(GATES[name]))
    return [int(value) for value in outputs.numpy()[:, 0]]


def perceptron(
    targets: Sequence[int], seed: int = 0, epochs: int = 100, shuffle: bool = True
) -> Unit:
    """Learn a gate by the perceptron rule: after each wrong row, w ← w ± x and b ← b ± 1.

    That is gradient descent of rate 1 on the perceptron loss, one row a batch. It ends after the
    epoch that leaves every row right.
    """
    x, signs, right = rows_of(targets), signs_of(targets), [0]

    def all_right(epoch: tw.Epoch) -> bool:
        net = x @ epoch.parameters["weight"][:, 0] + epoch.parameters["bias"]
        right.append(int((signs * net > 0).sum()))
        return right[-1] == len(x)

    run = tw.fit(
        tw.Linear(1),
        x,
        np.array(targets),
        loss="perceptron",
        optimizer=tw.SGD(1.0),
        batch_size=1,
        epochs=epochs,
        shuffle=shuffle,
        callbacks=[all_right],
        seed=seed,
        dtype="float64",
        progress=False,
        threads=1,
    )
    return _unit(run, max(right))


def tanh_unit(targets: Sequence[int], seed: int = 0, epochs: int = 200) -> Unit:
    """Train y = tanh(wᵀx + b) on targets -1 and 1 by squared error; its sign is the answer."""
    x, signs = rows_of(targets), signs_of(targets)
    network = tw.Sequential(tw.Linear(1), tw.Tanh())
    run = tw.fit(
        network,
        x,
        signs,
        optimizer=tw.Adam(0.1),
        epochs=epochs,
        seed=seed,
        dtype="float64",
        progress=False,
        threads=1,
    )
    return _unit(run, int((run.model.predict(x) * signs > 0).sum()))


def _unit(run: tw.TrainedRun, right: int) -> Unit:
    weight, bias = run.model.parameters.values()
    losses = run.history["train_loss"]
    return Unit(right, tuple(map(float, weight[:, 0])), float(bias[0]), losses[-1], len(losses))


def separable(targets: Sequence[int]) -> bool:
    """Whether some w and b have t(wᵀx + b) ≥ 1 in every row: a linear program says yes or no."""
    from scipy.optimize import linprog

    x, signs = rows_of(targets), signs_of(targets)
    columns = np.column_stack([x, np.ones(len(x))])
    result = linprog(
        np.zeros(columns.shape[1]),
        A_ub=-signs[:, None] * columns,
        b_ub=-np.ones(len(x)),
        bounds=(None, None),
    )
    return bool(result.status == 0)


def count_separable(count: int) -> tuple[int, int]:
    """How many functions of ``count`` zeros and ones one unit can be, and how many there are."""
    functions = list(itertools.product((0, 1), repeat=2**count))
    return sum(map(separable, functions)), len(functions)


def best_of_starts(targets: Sequence[int], starts: int) -> int:
    """The most rows that the perceptron rule gets right from random starts."""
    return max(perceptron(targets, seed, epochs=30).right for seed in range(starts))


def plot(path: str) -> None:
    """Draw each gate with the line of its learned unit; XOR has none."""
    from matplotlib.figure import Figure

    names = ("AND", "OR", "NAND", "XOR")
    figure = Figure(figsize=(10, 2.8), layout="constrained")
    for axes, name in zip(figure.subplots(1, 4), names, strict=True):
        x, targets = inputs(2), np.array(GATES[name])
        axes.scatter(x[:, 0], x[:, 1], c=targets, cmap="coolwarm", s=80, edgecolors="black")
        axes.set(title=name, xlim=(-0.5, 1.5), ylim=(-0.5, 1.5), xticks=(0, 1), yticks=(0, 1))
        unit = perceptron(GATES[name])
        if unit.right == 4:
            across = np.array([-0.5, 1.5])
            axes.plot(across, -(unit.weights[0] * across + unit.bias) / unit.weights[1], "k--")
    figure.savefig(path)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the gates, given and learned, and what one unit cannot be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=20, help="random starts for XOR")
    parser.add_argument("--plot", metavar="FILE", help="draw the gates")
    chosen = parser.parse_args(argv)
    print("gate   neuron given  perceptron rule      tanh unit          separable")
    for name, targets in GATES.items():
        given = "right" if name in NEURONS and neuron_outputs(name) == list(targets) else "none"
        learned, smooth = perceptron(targets), tanh_unit(targets)
        of = f"of {len(targets)}"
        print(
            f"{name:<5}  {given:<12}  {learned.right} {of}, {learned.epochs:>3} epochs   "
            f"{smooth.right} {of}, loss {smooth.loss:.2f}  {'yes' if separable(targets) else 'no'}"
        )
    best = best_of_starts(GATES["XOR"], chosen.starts)
    print(f"\nXOR, best of {chosen.starts} random starts: {best} of 4 right")
    for count in (1, 2, 3):
        found, total = count_separable(count)
        print(f"functions of {count} inputs that one unit can be: {found} of {total}")
    if chosen.plot:
        plot(chosen.plot)


if __name__ == "__main__":
    main()
