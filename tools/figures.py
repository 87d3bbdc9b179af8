"""Print the results on real data sets beside scikit-learn's networks of the same structure.

Run from the project's root: ``python tools/figures.py [seeds]``. The tables adult.csv, housing.csv
and the pictures mnist8k.npz are looked for in ``../shared/data``; what is absent is left out.
Splits, encodings and structures are the same for both libraries; times are of the training alone.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import thalweg as tw
from thalweg.data.metrics import classification_metrics, regression_metrics
from thalweg.data.splits import split_rows
from thalweg.tabular.fitting import fit_prepared
from thalweg.tabular.preparing import prepare_table
from thalweg.tabular.settings import TableSettings

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TABLES = [
    (str(DATA / "adult.csv"), "income"),
    (str(DATA / "housing.csv"), "median_house_value"),
    ("digits", "target"),
]
Scores = dict[str, float]


def table_scores(source: str, target: str, seed: int) -> dict[str, tuple[Scores, float]]:
    """Scores on the test rows by library, with the seconds that training took."""
    prepared = prepare_table(source, target, seed=seed)
    began = time.perf_counter()
    run = fit_prepared(prepared, TableSettings(seed=seed), progress=False)
    ours = run.test, time.perf_counter() - began
    theirs = sklearn_scores(prepared.x, prepared.y, prepared.split, prepared.task, (64, 64), seed)
    linear = run.baselines.get("logistic regression") or run.baselines["linear model"]
    if prepared.task == "regression":
        scale = prepared.target.scale
        scaled = {key: theirs[0][key] * scale for key in ("rmse", "mae")}
        theirs = ({**theirs[0], **scaled}, theirs[1])
    return {"thalweg": ours, "scikit-learn": theirs, "linear": (linear, 0.0)}


def sklearn_scores(
    x: Any, y: Any, split: Any, task: str, hidden: tuple[int, ...], seed: int
) -> tuple[Scores, float]:
    """scikit-learn's network with early stopping on the same training and validation rows."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    train, validation, test = split
    rows = np.concatenate([train, validation])
    share = len(validation) / len(rows)
    kind = MLPClassifier if task == "classification" else MLPRegressor
    net = kind(
        hidden_layer_sizes=hidden, random_state=seed, early_stopping=True, validation_fraction=share
    )
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.fit(x[rows], np.ravel(y[rows]))
    seconds = time.perf_counter() - began
    if task == "classification":
        return classification_metrics(y[test], net.predict_proba(x[test])), seconds
    return regression_metrics(np.ravel(y[test]), net.predict(x[test])), seconds


def mnist_scores(seed: int) -> dict[str, tuple[Scores, float]]:
    """784-256-10 on 8,000 pictures of digits: 5,600 to train, 800 to validate, 1,600 to test."""
    held = np.load(DATA / "mnist8k.npz")
    x = held["x"].reshape(-1, 784).astype("float32") / 255
    y = held["y"].astype("int64")
    split = split_rows(len(x), (0.7, 0.1, 0.2), labels=y, seed=seed)
    train, validation, test = split
    net = tw.Sequential(tw.Linear(256), tw.ReLU(), tw.Linear(10))
    began = time.perf_counter()
    run = tw.fit(net, x[train], y[train], validation=(x[validation], y[validation]), epochs=50,
                 early_stopping=10, seed=seed, progress=False)  # fmt: skip
    seconds = time.perf_counter() - began
    ours = classification_metrics(y[test], run.model.predict_proba(x[test]))
    return {
        "thalweg": (ours, seconds),
        "scikit-learn": sklearn_scores(x, y, split, "classification", (256,), seed),
    }


def print_rows(name: str, seed: int, found: dict[str, tuple[Scores, float]]) -> None:
    """A Markdown row for each library."""
    for library, (scores, seconds) in found.items():
        values = ", ".join(f"{key} {value:.4f}" for key, value in scores.items())
        taken = f"{seconds:.1f} s" if seconds else ""
        print(f"| {name} | {seed} | {library} | {values} | {taken} |", flush=True)


def main(seeds: int) -> None:
    """Print the whole table."""
    print("| data | seed | library | test scores | training |\n|---|---|---|---|---|")
    for source, target in TABLES:
        if Path(source).suffix and not Path(source).exists():
            print(f"{source} is absent", file=sys.stderr)
            continue
        for seed in range(seeds):
            print_rows(Path(source).stem, seed, table_scores(source, target, seed))
    for seed in range(seeds if (DATA / "mnist8k.npz").exists() else 0):
        print_rows("mnist8k 784-256-10", seed, mnist_scores(seed))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
