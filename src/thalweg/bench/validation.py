"""Ten-fold cross-validation: the whole call with thalweg and with scikit-learn, in seconds.

Each measurement is a process of its own that imports its library, reads the data, then takes the
time of the call and of a second one. thalweg starts once with an empty cache of machine code and
once with the one that the first process left. Rounds of all libraries follow one another.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thalweg.bench.peers import version_of

FOLDS, EPOCHS, BATCH, HIDDEN, RATE = 10, 100, 32, (64, 64), 1e-3
VALIDATION_TARGET = 20.0
"""How many times faster than scikit-learn thalweg aims to be."""

CLOSE = 0.02
"""Mean accuracies that differ by no more are those of networks that learned the same."""

_CALLS = 2
_PATIENCE = 600.0
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
}
"""NumPy's matrix products take one thread, since the cores are for folds; joblib's processes warn
that the network might learn on.
"""


@dataclass
class ValidationRow:
    """One way to cross-validate.

    Attributes:
        name: for the table.
        threads: how many.
        rounds: seconds of the first call of a process, round by round.
        again: of the second call.
        accuracy: mean over the folds.
        reason: why it could not be measured.
    """

    name: str
    threads: int
    rounds: list[float] = field(default_factory=list[float])
    again: list[float] = field(default_factory=list[float])
    accuracy: float = 0.0
    reason: str = ""

    @property
    def seconds(self) -> float:
        """The median of the first calls."""
        return statistics.median(self.rounds)

    @property
    def again_seconds(self) -> float:
        """The median of the second calls."""
        return statistics.median(self.again)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Way(NamedTuple):
    """A library with threads, and what its cache of machine code holds."""

    library: str
    threads: int
    cache: str = ""

    @property
    def name(self) -> str:
        """For the table.

        >>> Way("thalweg", 2, "empty").name
        'thalweg, empty cache'
        """
        return f"{self.library}, {self.cache} cache" if self.cache else self.library


def ways(threads: tuple[int, ...]) -> list[Way]:
    """What is measured; each round takes them in this order, so that a cache is filled first.

    Empty without scikit-learn, which holds the data.
    """
    if not version_of("scikit-learn"):
        return []
    return [
        way
        for count in threads
        for way in (
            Way("thalweg", count, "empty"),
            Way("thalweg", count, "filled"),
            Way("scikit-learn", count),
        )
    ]


def measure_validation(
    chosen: Sequence[Way],
    rows: Sequence[ValidationRow],
    rounds: int,
    backend: str,
    folder: Path,
    tell: Callable[[str], None],
) -> None:
    """Each way in turn, round after round.

    Args:
        chosen: what is measured.
        rows: one for each, to which every round adds as it ends.
        rounds: of all ways.
        backend: thalweg's.
        folder: for caches of machine code.
        tell: takes a line of progress.
    """
    if not chosen:
        tell("cross-validation: not measured, scikit-learn is not installed")
    for number in range(1, rounds + 1):
        for way, row in zip(chosen, rows, strict=True):
            if not row.reason:
                tell(
                    f"cross-validation, round {number} of {rounds}: {way.name}, "
                    f"threads: {way.threads}"
                )
                _measure_once(way, row, backend, folder)


def _measure_once(way: Way, row: ValidationRow, backend: str, folder: Path) -> None:
    cache = folder / f"validation-{way.threads}"
    if way.cache == "empty":
        shutil.rmtree(cache, ignore_errors=True)
    command = [
        sys.executable, "-m", "thalweg.bench.validation", way.library, str(way.threads), backend,
    ]  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=True, timeout=_PATIENCE,
            encoding="utf-8", env={**os.environ, **_ENVIRONMENT, "XDG_CACHE_HOME": str(cache)},
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        row.reason = error.stderr.strip().splitlines()[-1] if error.stderr else str(error)
        return
    except subprocess.TimeoutExpired:
        row.reason = f"no answer in {_PATIENCE:g} s"
        return
    answer = json.loads(done.stdout)
    row.rounds.append(answer["seconds"][0])
    row.again.append(answer["seconds"][-1])
    row.accuracy = answer["accuracy"]


def data() -> tuple[Any, Any]:
    """569 rows of 30 numbers, and their two classes."""
    from sklearn.datasets import load_breast_cancer

    found: Any = load_breast_cancer(return_X_y=True)
    return found


def own_accuracy(x: Any, y: Any, threads: int, backend: str) -> float:
    """thalweg's mean accuracy; every fold standardises by its own training rows."""
    import thalweg as tw

    layers: list[tw.Layer] = [tw.Standardise()]
    for width in HIDDEN:
        layers += [tw.Linear(width), tw.ReLU()]
    network = tw.Sequential(*layers, tw.Linear(2))
    run = tw.cross_validate(
        network, x, y, folds=FOLDS, epochs=EPOCHS, batch_size=BATCH, optimizer=tw.Adam(RATE),
        threads=threads, backend=backend, progress=False,
    )  # fmt: skip
    return float(run.mean["accuracy"])


def scikit_accuracy(x: Any, y: Any, threads: int) -> float:
    """scikit-learn's, every fold with a scaler of its own, without a rule that ends it early."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kind: Any = MLPClassifier
    network = kind(
        HIDDEN, alpha=0.0, batch_size=BATCH, learning_rate_init=RATE, max_iter=EPOCHS, tol=0.0,
        n_iter_no_change=2**31, random_state=0,
    )  # fmt: skip
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = cross_val_score(
            make_pipeline(StandardScaler(), network), x, y, cv=splits, n_jobs=threads
        )
    return float(np.mean(scores))


def main(library: str, threads: str, backend: str) -> None:
    """Cross-validate twice and print seconds and accuracy as JSON."""
    x, y = data()
    count = int(threads)
    if library == "scikit-learn":
        import sklearn.model_selection  # pyright: ignore[reportUnusedImport]
        import sklearn.neural_network  # pyright: ignore[reportUnusedImport]
        import sklearn.pipeline  # noqa: F401  # pyright: ignore[reportUnusedImport]

        def call() -> float:
            return scikit_accuracy(x, y, count)
    else:
        import thalweg  # noqa: F401  # pyright: ignore[reportUnusedImport]

        def call() -> float:
            return own_accuracy(x, y, count, backend)

    seconds: list[float] = []
    accuracy = 0.0
    for _ in range(_CALLS):
        began = time.perf_counter()
        accuracy = call()
        seconds.append(time.perf_counter() - began)
    sys.stdout.write(json.dumps({"seconds": seconds, "accuracy": accuracy}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
