"""Print the results on real data sets beside other libraries' networks of the same structure.

Run from the project's root: ``python tools/figures.py [seeds]``. The tables adult.csv, housing.csv,
titanic.csv and the pictures mnist8k.npz are looked for in ``../shared/data``; what is absent is
left out, and so is PyTorch where it is not installed. Splits, encodings and structures are the same
for all libraries, and so are the rows that decide when training stops; times are of the training
alone. Means and standard deviations over the seeds stand at the end.
"""

from __future__ import annotations

import importlib.util
import itertools
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
    (str(DATA / "adult.csv"), "income", ()),
    (str(DATA / "housing.csv"), "median_house_value", ()),
    (str(DATA / "titanic.csv"), "survived", ("alive",)),  # which says the same in words
    ("digits", "target", ()),
]
Scores = dict[str, float]


def table_scores(
    source: str, target: str, drop: tuple[str, ...], seed: int
) -> dict[str, tuple[Scores, float]]:
    """Scores on the test rows by library, with the seconds that training took."""
    prepared = prepare_table(source, target, drop=drop, seed=seed)
    began = time.perf_counter()
    run = fit_prepared(prepared, TableSettings(seed=seed), progress=False)
    ours = run.test, time.perf_counter() - began
    theirs = sklearn_scores(prepared.x, prepared.y, prepared.split, prepared.task, (64, 64), seed)
    linear = run.baselines.get("logistic regression") or run.baselines["linear model"]
    found = {"thalweg": ours, "scikit-learn": theirs}
    if importlib.util.find_spec("torch"):
        found["PyTorch"] = torch_scores(
            prepared.x, prepared.y, prepared.split, prepared.task, (64, 64), seed
        )
    if prepared.task == "regression":
        for name in list(found)[1:]:
            scores, seconds = found[name]
            scaled = {key: scores[key] * prepared.target.scale for key in ("rmse", "mae")}
            found[name] = ({**scores, **scaled}, seconds)
    return {**found, "linear": (linear, 0.0)}


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


def torch_scores(
    x: Any, y: Any, split: Any, task: str, hidden: tuple[int, ...], seed: int
) -> tuple[Scores, float]:
    """A plain PyTorch loop: Adam 0.001, batches of 128, patience 20, the best weights restored."""
    import torch

    torch.manual_seed(seed)
    classes = task == "classification"
    train, validation, test = split
    inputs = torch.tensor(np.asarray(x, np.float32))
    targets = torch.tensor(np.ravel(y).astype(np.int64 if classes else np.float32))
    widths = [x.shape[1], *hidden]
    layers = [
        part
        for before, after in itertools.pairwise(widths)
        for part in (torch.nn.Linear(before, after), torch.nn.ReLU())
    ]
    outputs = int(np.max(y)) + 1 if classes else 1
    net = torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], outputs))
    loss = torch.nn.CrossEntropyLoss() if classes else torch.nn.MSELoss()
    rule = torch.optim.Adam(net.parameters(), lr=1e-3)

    def risk(rows: Any) -> Any:
        found = net(inputs[rows])
        return loss(found if classes else found[:, 0], targets[rows])

    best, kept, waited = float("inf"), net.state_dict(), 0
    began = time.perf_counter()
    for _ in range(100):
        order = torch.tensor(train)[torch.randperm(len(train))]
        for batch in order.split(128):
            rule.zero_grad()
            risk(batch).backward()
            rule.step()
        with torch.no_grad():
            now = float(risk(torch.tensor(validation)))
        waited += 1
        if now < best:
            best, waited = now, 0
            kept = {name: value.clone() for name, value in net.state_dict().items()}
        if waited >= 20:
            break
    seconds = time.perf_counter() - began
    net.load_state_dict(kept)
    with torch.no_grad():
        found = net(inputs[torch.tensor(test)])
    if classes:
        return classification_metrics(y[test], torch.softmax(found, 1).numpy()), seconds
    return regression_metrics(np.ravel(y[test]), found[:, 0].numpy()), seconds


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


def print_means(name: str, seeds: list[dict[str, tuple[Scores, float]]]) -> None:
    """A Markdown row with means and standard deviations for each library."""
    for library in seeds[0]:
        scores = [found[library][0] for found in seeds]
        columns = {key: [one[key] for one in scores] for key in scores[0]}
        values = ", ".join(
            f"{key} {np.mean(column):.4f} ± {np.std(column):.4f}" for key, column in columns.items()
        )
        taken = np.mean([found[library][1] for found in seeds])
        seconds = f"{taken:.1f} s" if taken else ""
        print(f"| {name} | mean of {len(seeds)} | {library} | {values} | {seconds} |", flush=True)


def main(seeds: int) -> None:
    """Print the whole table."""
    print("| data | seed | library | test scores | training |\n|---|---|---|---|---|")
    for source, target, drop in TABLES:
        if Path(source).suffix and not Path(source).exists():
            print(f"{source} is absent", file=sys.stderr)
            continue
        all_found = [table_scores(source, target, drop, seed) for seed in range(seeds)]
        for seed, found in enumerate(all_found):
            print_rows(Path(source).stem, seed, found)
        print_means(Path(source).stem, all_found)
    for seed in range(seeds if (DATA / "mnist8k.npz").exists() else 0):
        print_rows("mnist8k 784-256-10", seed, mnist_scores(seed))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
