"""LeNet-5 on 8,000 handwritten digits: 6,400 to train, 1,600 to test, plain and augmented.

``python tools/image_figures.py 3`` prints the test accuracy of three seeds, their mean and their
deviation. Settings were chosen on the last thousand of the training images, never on test images.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import thalweg as tw

FILE = Path(__file__).parents[2] / "shared" / "data" / "mnist8k.npz"
TRAINING = 6400
WAYS = {
    "without augmentation": {"epochs": 30, "weight_decay": 0.5, "augment": None},
    "rotated, scaled, shifted": {"epochs": 60, "weight_decay": 0.1, "augment": tw.RandomAffine()},
}


def accuracy(seed: int, epochs: int, weight_decay: float, augment: tw.RandomAffine | None) -> float:
    """The share of test images that one trained network knows."""
    with np.load(FILE, allow_pickle=False) as file:
        x, y = file["x"], file["y"]
    schedule = tw.WarmUp(tw.Cosine(3e-3), length=100)
    run = tw.fit(
        tw.Sequential(tw.ImageInput(standardise=True), tw.models.lenet5()),
        x[:TRAINING],
        y[:TRAINING],
        loss=tw.CrossEntropy(label_smoothing=0.1),
        optimizer=tw.AdamW(schedule, weight_decay=weight_decay),
        epochs=epochs,
        batch_size=64,
        augment=augment,
        seed=seed,
        progress=False,
    )
    return float(np.mean(np.asarray(run.model.predict(x[TRAINING:])) == y[TRAINING:]))


def main(seeds: int) -> None:
    """Print a line for each way of training."""
    for name, way in WAYS.items():
        found = np.array([accuracy(seed, **way) for seed in range(seeds)])
        each = ", ".join(f"{value:.4f}" for value in found)
        print(f"{name:26} {found.mean():.4f} ± {found.std():.4f} ({each})", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
