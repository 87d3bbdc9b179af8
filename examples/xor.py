"""XOR by a network with two hidden units: with given weights, and learned from random starts.

    python examples/xor.py [--starts 200] [--plot xor.png]

With W all ones, c = (0, -1), w = (1, -2) and b = 0 the network relu(xW + c)·w + b is XOR exactly.
Learning finds such weights from some starts and stays in a bad place from others. How often depends
on the activation and on the number of hidden units. All starts are trained at once, as one network
whose parameters have an axis for the starts; Adam moves each number by its own gradient, so no
start sees another.

Source of the fixed weights: Goodfellow, Bengio and Courville, "Deep learning", 2016, section 6.1.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import thalweg as tw
from thalweg.nn.activations import Activation

Array = NDArray[np.float64]

INPUTS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TARGETS = np.array([0.0, 1.0, 1.0, 0.0])

NETWORK = tw.Sequential(tw.Linear(2), tw.ReLU(), tw.Linear(1))
WEIGHTS = {
    "0.weight": np.ones((2, 2)),
    "0.bias": np.array([0.0, -1.0]),
    "2.weight": np.array([[1.0], [-2.0]]),
    "2.bias": np.zeros(1),
}

ACTIVATIONS: dict[str, Activation] = {
    "relu": tw.ReLU(),
    "leaky_relu": tw.LeakyReLU(),
    "elu": tw.ELU(),
    "gelu": tw.GELU(),
    "softplus": tw.Softplus(),
    "tanh": tw.Tanh(),
    "logistic": tw.Logistic(),
}


def fixed_outputs() -> Array:
    """What the network with the given weights answers to the four rows."""
    return tw.apply_network(NETWORK, WEIGHTS, INPUTS).numpy()[:, 0]


def hidden_outputs() -> Array:
    """Where its hidden units take the four rows: there a line can part the classes."""
    hidden = tw.Sequential(NETWORK[0], NETWORK[1])
    return tw.apply_network(hidden, {k: WEIGHTS[k] for k in ("0.weight", "0.bias")}, INPUTS).numpy()


class Population(NamedTuple):
    """Many networks of the same shape, trained from different starts.

    Attributes:
        outputs: of each network for the four rows, (4, starts).
        start: the parameters they began with, the first axis for the starts.
    """

    outputs: Array
    start: dict[str, Array]

    @property
    def solved(self) -> NDArray[np.bool_]:
        """Which networks answer every row within 0.1."""
        return np.abs(self.outputs - TARGETS[:, None]).max(axis=0) < 0.1

    @property
    def share(self) -> float:
        """The share of starts that end with XOR."""
        return float(self.solved.mean())


def many_networks(activation: Activation, units: int, starts: int) -> tw.Network:
    """Networks 2 - units - 1 side by side: rows (N, 2) → outputs (N, starts)."""
    drawn = activation.preferred_initialiser

    def networks(x: tw.Tensor, scope: tw.Scope) -> tw.Tensor:
        weight = scope.parameter("W", (starts, 2, units), drawn, fans=(2, units))
        bias = scope.parameter("c", (starts, 1, units), tw.Zeros())
        hidden = scope.apply("activation", activation, x @ weight + bias)
        outer = scope.parameter("w", (starts, units, 1), tw.Xavier(), fans=(units, 1))
        return tw.transpose((hidden @ outer)[:, :, 0]) + scope.parameter("b", (starts,), tw.Zeros())

    return networks


def sum_of_squares(outputs: tw.Tensor, targets: tw.Tensor) -> tw.Tensor:
    """Each row's squared errors, added over the networks."""
    return tw.square(outputs - targets).sum(1)


def learn(
    activation: str, units: int, starts: int = 200, epochs: int = 1000, seed: int = 0
) -> Population:
    """Train networks from random starts with Adam on all four rows."""
    networks = many_networks(ACTIVATIONS[activation], units, starts)
    start = tw.initialise(networks, 2, seed=seed, dtype="float64")
    run = tw.fit(
        networks,
        INPUTS,
        np.repeat(TARGETS[:, None], starts, axis=1),
        loss=sum_of_squares,
        optimizer=tw.Adam(0.02),
        epochs=epochs,
        start=start,
        dtype="float64",
        progress=False,
        threads=1,
    )
    return Population(np.asarray(run.model.predict(INPUTS)), start)


def plot(path: str, shares: dict[str, list[float]], units: Sequence[int]) -> None:
    """Draw the share of starts that succeed against the number of hidden units."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, values in shares.items():
        axes.plot(units, values, marker="o", label=name)
    axes.set(xlabel="hidden units", ylabel="share of starts that learn XOR", ylim=(0, 1.02))
    axes.set_xscale("log", base=2)
    axes.set_xticks(units, [str(count) for count in units])
    axes.legend()
    figure.savefig(path)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the fixed network's outputs, and a table of how often learning succeeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=200, help="random starts")
    parser.add_argument("--units", type=int, nargs="+", default=[2, 3, 4, 8], help="hidden units")
    parser.add_argument("--activations", nargs="+", default=list(ACTIVATIONS), metavar="NAME")
    parser.add_argument("--plot", metavar="FILE", help="draw the shares")
    chosen = parser.parse_args(argv)
    print("input   hidden   output of the fixed network")
    for row, hidden, output in zip(INPUTS, hidden_outputs(), fixed_outputs(), strict=True):
        print(f"{row[0]:.0f} {row[1]:.0f}     {hidden[0]:.0f} {hidden[1]:.0f}      {output:.0f}")
    print(f"\nstarts of {chosen.starts} that learn XOR, by hidden units")
    print(f"{'':<12}" + "".join(f"{count:>6}" for count in chosen.units))
    shares: dict[str, list[float]] = {}
    for name in chosen.activations:
        found = [learn(name, count, chosen.starts) for count in chosen.units]
        shares[name] = [population.share for population in found]
        print(f"{name:<12}" + "".join(f"{population.solved.sum():>6}" for population in found))
    if chosen.plot:
        plot(chosen.plot, shares, chosen.units)


if __name__ == "__main__":
    main()
