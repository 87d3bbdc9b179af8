"""Units that start equal stay equal: why weights start from random numbers.

    python examples/symmetry.py [--plot symmetry.png]

Where all weights of a layer are the same number, its units give the same output and get the same
gradient, so no step of any length tells them apart: a layer of 16 units is one unit, sixteen times.
The equality below is that of bits, after every epoch. With zeros and tanh not even that one unit
learns, and rectifiers whose net input is 0 pass no gradient at all; a bias of 0.01 opens them, yet
they stay equal. Random weights break the symmetry from the first step.

(Bits stay equal where every unit is computed in the same order, as the compiled programs do. A
library of matrix products that takes the last columns of a matrix in another order breaks the
symmetry by rounding alone: ``backend="interpreter"`` may show it, since it multiplies with NumPy.)
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import thalweg as tw
from thalweg.nn.activations import Activation
from thalweg.nn.initialisers import Initialiser

Array = NDArray[np.float64]

UNITS = 16
STARTS: dict[str, Initialiser] = {
    "zeros": tw.Zeros(),
    "constant 0.5": tw.Constant(0.5),
    "random": tw.Auto(),
}
ACTIVATIONS: dict[str, Activation] = {
    "tanh": tw.Tanh(),
    "logistic": tw.Logistic(),
    "relu": tw.ReLU(),
}


class Record(NamedTuple):
    """What a run shows of its hidden layer.

    Attributes:
        different: how many different units there are, at the start and after each epoch.
        moved: whether any hidden weight differs from its start at the end.
        losses: the training loss of each epoch.
        parameters: what training left.
    """

    different: tuple[int, ...]
    moved: bool
    losses: Array
    parameters: dict[str, Array]


def data(rows: int = 256) -> tuple[Array, Array]:
    """Points of a square with the product of their coordinates, which one unit cannot give."""
    x = np.random.default_rng(0).uniform(-1, 1, (rows, 2))
    return x, 2 * x[:, 0] * x[:, 1] + 0.5


def network(
    activation: str, start: Initialiser, bias: float = 0.0, units: int = UNITS
) -> tw.Sequential:
    """One hidden layer, with all weights drawn from ``start``."""
    return tw.Sequential(
        tw.Linear(units, weight=start, bias_start=tw.Constant(bias)),
        ACTIVATIONS[activation],
        tw.Linear(1, weight=start),
    )


def different_units(parameters: dict[str, Array]) -> int:
    """How many hidden units differ in any bit of weights, bias or outgoing weight."""
    units = np.concatenate(
        [parameters["0.weight"], parameters["0.bias"][None], parameters["2.weight"].T]
    )
    return len({unit.tobytes() for unit in np.ascontiguousarray(units.T)})


def train(
    activation: str,
    start: str,
    bias: float = 0.0,
    epochs: int = 60,
    units: int = UNITS,
    batch_size: int = 32,
    dtype: str = "float32",
) -> Record:
    """Train in small batches with Adam and look at the hidden units after each epoch."""
    net, (x, y) = network(activation, STARTS[start], bias, units), data()
    first = tw.initialise(net, 2, dtype=dtype)
    different = [different_units(first)]
    run = tw.fit(
        net,
        x,
        y,
        optimizer=tw.Adam(0.02),
        batch_size=batch_size,
        epochs=epochs,
        callbacks=[lambda epoch: different.append(different_units(dict(epoch.parameters)))],
        dtype=dtype,
        progress=False,
        threads=1,
    )
    last = dict(run.model.parameters)
    moved = not np.array_equal(last["0.weight"], first["0.weight"])
    return Record(tuple(different), moved, run.history["train_loss"], last)


def open_units(start: str, bias: float) -> float:
    """The share of rectifiers that pass a gradient at the start, over units and rows."""
    hidden = tw.Linear(UNITS, weight=STARTS[start], bias_start=tw.Constant(bias))
    net = tw.apply_network(hidden, tw.initialise(hidden, 2), data()[0].astype(np.float32))
    return float((net.numpy() > 0).mean())


def plot(path: str) -> None:
    """Draw the losses of equal and of random starts."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for start in STARTS:
        axes.plot(train("tanh", start).losses, label=start)
    axes.set(xlabel="epoch", ylabel="training loss", yscale="log", title=f"tanh, {UNITS} units")
    axes.legend()
    figure.savefig(path)


def main(argv: Sequence[str] | None = None) -> None:
    """Print how many different units there are before, while and after training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--plot", metavar="FILE", help="draw the losses")
    chosen = parser.parse_args(argv)
    print(f"{UNITS} hidden units, {chosen.epochs} epochs; different units: most in any epoch")
    print("activation  weights       bias  at first  later  weights  loss at the end")
    for activation in ACTIVATIONS:
        for start in STARTS:
            for bias in (0.0, 0.01) if activation == "relu" else (0.0,):
                record = train(activation, start, bias, chosen.epochs)
                print(
                    f"{activation:<12}{start:<14}{bias:<6}{record.different[0]:>8}"
                    f"{max(record.different[1:]):>7}  {'move' if record.moved else 'stay':<7}"
                    f"{record.losses[-1]:>16.5f}"
                )
    print("\nrectifiers that pass a gradient at the start, share over units and rows")
    for start in STARTS:
        shares = [f"bias {bias}: {open_units(start, bias):.3f}" for bias in (0.0, 0.01)]
        print(f"{start:<14}" + "   ".join(shares))
    if chosen.plot:
        plot(chosen.plot)


if __name__ == "__main__":
    main()
