"""Small learning problems for tests of training."""

import numpy as np

import thalweg as tw


def blobs(rows=120, classes=3, seed=0):
    """Points around as many centres as there are classes: inputs (rows, 2) and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    angles = 2 * np.pi * labels / classes
    centres = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return (centres + 0.5 * rng.normal(size=(rows, 2))).astype("float32"), labels


def line(rows=64, seed=0):
    """Inputs (rows, 3) and a target that is linear in them, with a little noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    return x, x @ [1.0, -2.0, 0.5] + 3.0 + 0.01 * rng.normal(size=rows)


def classifier(outputs=3, rate=0.2):
    """A network with dropout, so that runs draw random numbers."""
    return tw.Sequential(
        tw.Linear(8), tw.Tanh(), tw.Dropout(rate), tw.Linear(8), tw.ReLU(), tw.Linear(outputs)
    )


def same_bits(first, second):
    """Whether two mappings of arrays hold the same bits."""
    return first.keys() == second.keys() and all(
        first[key].tobytes() == second[key].tobytes() for key in first
    )
