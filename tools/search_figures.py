"""Print what random searches reach on adult.csv: thalweg's beside loops of PyTorch.

Run from the project's root: ``python tools/search_figures.py [trials] [loops] [minutes] [seed]``,
by default 500 trials, 50 loops, 10 minutes for each, seed 0. The table adult.csv is looked for in
``../shared/data``; PyTorch is left out where it is not installed. Both search the same space at
random over the same rows, with batches, early stopping and the best epoch's weights alike; the
validation rows choose, and the test rows are looked at once, for the network that was chosen. Each
library's row is printed as soon as it is there; Ctrl-C ends a library's search with what it found.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import thalweg as tw
from thalweg.data.metrics import classification_metrics
from thalweg.tabular.preparing import PreparedTable, prepare_table

ADULT = Path(__file__).resolve().parents[2] / "shared" / "data" / "adult.csv"
EPOCHS, PATIENCE = 30, 5
SPACE = {
    "depth": [1, 2, 3],
    "width": [16, 32, 64, 128],
    "activation": ["relu", "tanh", "gelu"],
    "dropout": tw.Range(0.0, 0.5),
    "optimizer.learning_rate": tw.Range(1e-4, 3e-2, log=True),
    "optimizer.weight_decay": tw.Range(1e-4, 1.0, log=True),
    "batch_size": [32, 64, 128, 256],
}
ACTIVATIONS: dict[str, Callable[[], tw.Layer]] = {
    "relu": tw.ReLU, "tanh": tw.Tanh, "gelu": tw.GELU,
}  # fmt: skip
Settings = Mapping[str, Any]


class Found(NamedTuple):
    """What a search found.

    Attributes:
        library: who searched.
        trials: that were trained.
        seconds: that it took.
        validation: log loss of the best network on the validation rows.
        test: its log loss on the test rows.
        settings: of the best network.
        bests: the best validation loss after each trial, in order.
    """

    library: str
    trials: int
    seconds: float
    validation: float
    test: float
    settings: Settings
    bests: list[float]


def network(settings: Settings) -> tw.Sequential:
    """A trial's network: in each hidden layer an activation and dropout behind it."""
    layers: list[tw.Layer] = []
    for _ in range(settings["depth"]):
        layers += [tw.Linear(settings["width"]), ACTIVATIONS[settings["activation"]]()]
        layers.append(tw.Dropout(settings["dropout"]))
    return tw.Sequential(*layers, tw.Linear(2))


def own_search(prepared: PreparedTable, trials: int, seconds: float, seed: int) -> Found:
    """thalweg's."""
    x, y = prepared.x, np.asarray(prepared.y)
    train, validation, test = prepared.split
    began = time.perf_counter()
    run = tw.search(
        network, SPACE, x[train], y[train], validation=(x[validation], y[validation]),
        trials=trials, epochs=EPOCHS, early_stopping=PATIENCE, optimizer=tw.AdamW(),
        time_limit=seconds, seed=seed, progress=False,
    )  # fmt: skip
    model, passed = run.model, time.perf_counter() - began
    losses = [np.inf if trial.value is None else trial.value for trial in run.trials]
    scores = [
        classification_metrics(y[rows], model.predict_proba(x[rows])) for rows in (validation, test)
    ]
    return Found(
        "thalweg", run.trained, passed, scores[0]["log_loss"], scores[1]["log_loss"],
        run.best.settings, list(np.minimum.accumulate(losses)),
    )  # fmt: skip


def torch_search(prepared: PreparedTable, trials: int, seconds: float, seed: int) -> Found:
    """One loop of PyTorch after the other, with settings of the same space from another seed."""
    import torch

    sampler, space = tw.RandomSampler(), tw.Space(SPACE)
    train, validation, test = (torch.tensor(rows) for rows in prepared.split)
    x = torch.tensor(np.asarray(prepared.x, np.float32))
    y = torch.tensor(np.asarray(prepared.y).astype(np.int64))
    best: tuple[float, Any, Settings] = (np.inf, torch.nn.Identity(), {})
    bests: list[float] = []
    began = time.perf_counter()
    try:
        for number in range(trials):
            settings = sampler.propose(space, seed + 1, number, 1, [])[0]
            torch.manual_seed(seed + number)
            loss, net = torch_trial(settings, x, y, train, validation)
            if loss < best[0]:
                best = loss, net, settings
            bests.append(best[0])
            say_progress(len(bests), best[0], time.perf_counter() - began)
            if time.perf_counter() - began > seconds:
                break
    except KeyboardInterrupt:
        if not bests:
            raise
    passed = time.perf_counter() - began
    with torch.no_grad():
        probabilities = torch.softmax(best[1].eval()(x), dim=1).numpy()
    losses = [
        classification_metrics(y[rows].numpy(), probabilities[rows])["log_loss"]
        for rows in (validation, test)
    ]
    return Found("PyTorch loops", len(bests), passed, losses[0], losses[1], best[2], bests)


def torch_network(settings: Settings, inputs: int) -> Any:
    """The same network of PyTorch's layers."""
    from torch import nn

    kinds = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
    widths = [inputs, *[settings["width"]] * settings["depth"]]
    layers: list[Any] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), kinds[settings["activation"]]()]
        layers.append(nn.Dropout(settings["dropout"]))
    return nn.Sequential(*layers, nn.Linear(widths[-1], 2))


def torch_trial(settings: Settings, x: Any, y: Any, train: Any, validation: Any) -> Any:
    """A plain loop with early stopping; gives the best validation loss and the network then."""
    import torch

    net = torch_network(settings, x.shape[1])
    loss = torch.nn.CrossEntropyLoss()
    rule = torch.optim.AdamW(
        net.parameters(), lr=settings["optimizer.learning_rate"],
        weight_decay=settings["optimizer.weight_decay"], fused=True,
    )  # fmt: skip
    best, kept, waited = float("inf"), net.state_dict(), 0
    for _ in range(EPOCHS):
        net.train()
        order = train[torch.randperm(len(train))]
        rows, labels = x[order], y[order]
        for start in range(0, len(order), settings["batch_size"]):
            part = slice(start, start + settings["batch_size"])
            rule.zero_grad()
            loss(net(rows[part]), labels[part]).backward()
            rule.step()
        with torch.no_grad():
            now = float(loss(net.eval()(x[validation]), y[validation]))
        waited += 1
        if now < best:
            best, waited = now, 0
            kept = {name: value.clone() for name, value in net.state_dict().items()}
        if waited >= PATIENCE:
            break
    net.load_state_dict(kept)
    return best, net


def say_progress(count: int, best: float, seconds: float) -> None:
    """Every tenth loop, on standard error."""
    if count % 10 == 0:
        print(f"PyTorch: {count} loops, {seconds:.0f} s, best {best:.4f}", file=sys.stderr)


def print_marks(found: Found) -> None:
    """The best losses on the way."""
    marks = [n for n in (10, 25, 50, 100, 250, 500, 1000) if n <= len(found.bests)]
    told = ", ".join(f"{found.bests[n - 1]:.4f} after {n}" for n in marks)
    print(f"\n{found.library}: {told}", flush=True)


def print_row(found: Found) -> None:
    """A Markdown row."""
    settings = ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in found.settings.items()
    )
    rate = found.trials / found.seconds
    print(
        f"| {found.library} | {found.trials} | {found.seconds:.0f} s | {rate:.2f} | "
        f"{found.validation:.4f} | {found.test:.4f} | {settings} |",
        flush=True,
    )


def main(trials: int = 500, loops: int = 50, minutes: float = 10.0, seed: int = 0) -> None:
    """Print the table, then the best losses on the way."""
    if not ADULT.exists():
        sys.exit(f"{ADULT} is absent")
    prepared = prepare_table(str(ADULT), "income", seed=seed)
    print(
        "| library | trials | time | networks a second | best validation log loss | "
        "its test log loss | its settings |\n|---|---:|---:|---:|---:|---:|---|"
    )
    found = [own_search(prepared, trials, 60 * minutes, seed)]
    print_row(found[0])
    if importlib.util.find_spec("torch"):
        found.append(torch_search(prepared, loops, 60 * minutes, seed))
        print_row(found[1])
    for one in found:
        print_marks(one)


if __name__ == "__main__":
    words = sys.argv[1:]
    kinds: list[Callable[[str], Any]] = [int, int, float, int]
    main(*[kind(word) for kind, word in zip(kinds, words, strict=False)])
