"""Saturated units and vanishing gradients, by activation, start of the weights, and depth.

    python examples/saturation.py [--plot saturation.png]

On its way back the error passes each layer: δ of a layer is δ of the next one times its weights
times f'(z). Where the factor is below 1 for every layer, gradients die out with depth. The logistic
function has f' ≤ 1/4 everywhere and nearly 0 where it saturates; tanh has f'(0) = 1; a rectifier
has f' = 1 where it is on. How the weights start decides the rest: for weights of deviation σ in
layers of M units the factor is about σ√M · √(mean f'²), which is 0.08 for tanh with σ = 0.01, 0.02
for the logistic function, and 1 for rectifiers with He's start. The table shows it before any
training, with the share of units that are saturated: |f'(z)| < 0.01.

Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
networks", 2010.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import thalweg as tw
from thalweg.nn.activations import Activation
from thalweg.nn.initialisers import Initialiser

Array = NDArray[np.float64]

WIDTH = 64
ROWS = 128
ACTIVATIONS: dict[str, Activation] = {
    "logistic": tw.Logistic(),
    "tanh": tw.Tanh(),
    "relu": tw.ReLU(),
    "elu": tw.ELU(),
    "gelu": tw.GELU(),
}
STARTS: dict[str, Initialiser] = {
    "normal 0.01": tw.Normal(std=0.01),
    "xavier": tw.Xavier(),
    "he": tw.He(),
    "own": tw.Auto(),
    "normal 1": tw.Normal(std=1.0),
}
"""Initialisers of all weights; ``own`` is the one that the activation asks for."""


class Flow(NamedTuple):
    """What a network is like at its start, from the first hidden layer to the last.

    Attributes:
        gradients: mean |∂L/∂W| of each hidden layer.
        deltas: root mean square of δ = ∂L/∂z of each.
        saturated: share of units with |f'(z)| < 0.01 in each, over all rows.
    """

    gradients: Array
    deltas: Array
    saturated: Array

    @property
    def factor(self) -> float:
        """By how much δ changes from one layer to the one before, on the average."""
        return float((self.deltas[0] / self.deltas[-1]) ** (1 / (len(self.deltas) - 1)))


def network(activation: Activation, start: Initialiser, depth: int) -> tw.Sequential:
    """``depth`` hidden layers of equal width, and one output."""
    hidden = [layer for _ in range(depth) for layer in (tw.Linear(WIDTH, weight=start), activation)]
    return tw.Sequential(*hidden, tw.Linear(1, weight=start))


def data(rows: int = ROWS) -> tuple[Array, Array]:
    """Normal inputs, as many as a layer has units, and normal targets."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, WIDTH)), rng.normal(size=rows)


def flow(activation: str, start: str, depth: int, seed: int = 0) -> Flow:
    """Gradients and saturation of a network at its start.

    Zeros are added to each layer's net input z: the gradient in them is δ.
    """
    unit, (x, y) = ACTIVATIONS[activation], data()
    parameters = tw.initialise(network(unit, STARTS[start], depth), WIDTH, seed, dtype="float64")
    nothing = [np.zeros((len(x), WIDTH)) for _ in range(depth)]

    def loss(values: Mapping[str, tw.Tensor], added: list[tw.Tensor]) -> tuple[tw.Tensor, Any]:
        signal, nets = tw.Tensor(x), []
        for layer, more in enumerate(added):
            nets.append(signal @ values[f"{2 * layer}.weight"] + values[f"{2 * layer}.bias"] + more)
            signal = tw.apply_network(unit, {}, nets[-1])
        output = signal @ values[f"{2 * depth}.weight"] + values[f"{2 * depth}.bias"]
        return tw.square(output[:, 0] - y).mean(), nets

    (gradients, deltas), nets = tw.grad(loss, argnums=(0, 1), has_aux=True)(parameters, nothing)
    slope = tw.grad(lambda z: tw.apply_network(unit, {}, z).sum())
    return Flow(
        np.array([np.abs(gradients[f"{2 * i}.weight"].numpy()).mean() for i in range(depth)]),
        np.array([np.sqrt((delta.numpy() ** 2).mean()) for delta in deltas]),
        np.array([(np.abs(slope(z).numpy()) < 0.01).mean() for z in nets]),
    )


def plot(path: str, depth: int = 20) -> None:
    """Draw each layer's δ for every activation and two starts."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, start in zip(figure.subplots(1, 2, sharey=True), ("normal 0.01", "own"), strict=True):
        for name in ACTIVATIONS:
            axes.plot(range(1, depth + 1), flow(name, start, depth).deltas, label=name)
        axes.set(title=f"weights: {start}", xlabel="hidden layer", yscale="log")
        axes.set_xticks(range(2, depth + 1, 2))
    figure.axes[0].set_ylabel("root mean square of δ")
    figure.axes[1].legend()
    figure.savefig(path)


def main(argv: Sequence[str] | None = None) -> None:
    """Print how much of the gradient arrives, and the shares of saturated units."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depths", type=int, nargs="+", default=[2, 5, 10, 20])
    parser.add_argument("--activations", nargs="+", default=list(ACTIVATIONS), metavar="NAME")
    parser.add_argument("--plot", metavar="FILE", help="draw δ in 20 layers")
    chosen = parser.parse_args(argv)
    deepest = max(chosen.depths)
    print("mean |gradient| of the first hidden layer by number of layers;")
    print(f"with {deepest} layers: factor of δ from layer to layer, saturated in first and last")
    depths = "".join(f"{depth:>9}" for depth in chosen.depths)
    print(f"{'activation':<12}{'weights':<12}{depths}   factor  saturated")
    for activation in chosen.activations:
        for start in STARTS:
            flows = {depth: flow(activation, start, depth) for depth in chosen.depths}
            arriving = "".join(f"{flows[depth].gradients[0]:>9.0e}" for depth in chosen.depths)
            deep = flows[deepest]
            print(
                f"{activation:<12}{start:<12}{arriving}{deep.factor:>9.3f}"
                f"  {deep.saturated[0]:.2f}, {deep.saturated[-1]:.2f}"
            )
    if chosen.plot:
        plot(chosen.plot)


if __name__ == "__main__":
    main()
