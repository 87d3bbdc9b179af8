"""scikit-learn's MLPClassifier for each member, members spread over processes by joblib."""

from __future__ import annotations

import time
import warnings
from functools import cache
from typing import Any

import numpy as np

from thalweg.bench.cases import Case
from thalweg.bench.peers.base import Peer, Trained, floats
from thalweg.bench.populations import Places, PopulationProblem, by_epoch, population_of
from thalweg.bench.problem import BETA1, BETA2, EPSILON, Problem


class Joblib(Peer):
    """``Parallel(n_jobs=threads)`` over calls of ``MLPClassifier.fit``."""

    name = "joblib"
    title = "scikit-learn, joblib"
    packages = ("scikit-learn", "joblib")
    variants = ()
    image_variants = ()
    member_variants = ("",)
    most_members = 256
    note = (
        "`MLPClassifier.fit` for each member, joblib with a process for each thread, processes "
        "kept between measurements; with targets of two columns and its output set to softmax, so "
        "that it trains the same network as the others"
    )

    def ways(self, case: Case) -> tuple[str, ...]:
        """It has no convolutions."""
        return () if case.form else super().ways(case)

    def load(self, threads: int) -> None:
        """Import; one thread for the matrix products of each process."""
        import joblib  # noqa: F401  # pyright: ignore[reportUnusedImport, reportMissingTypeStubs]
        import sklearn.neural_network  # noqa: F401  # pyright: ignore[reportUnusedImport]
        from threadpoolctl import threadpool_limits

        threadpool_limits(1)

    def open(self, problem: Problem, variant: str, threads: int) -> JoblibSession:
        """Nothing is built before the first training."""
        return JoblibSession(population_of(problem), threads)


class JoblibSession:
    """Calls of ``Parallel``.

    Args:
        problem: rows, starting weights, rates and orders.
        threads: processes.
    """

    def __init__(self, problem: PopulationProblem, threads: int) -> None:
        self.problem = problem
        self.threads = threads

    def train(self, epochs: int, batches: int | None = None) -> Trained:
        """One call for each member."""
        from joblib import Parallel, delayed  # pyright: ignore[reportMissingTypeStubs]

        problem, rows = self.problem, self.problem.rows(batches)
        x, y = problem.x[rows], problem.y[rows]
        orders = np.stack(problem.orders(epochs, batches), axis=1)
        members = [problem.member(place) for place in range(problem.members)]
        task: Any = delayed(train_member)
        began = time.perf_counter()
        parallel: Any = Parallel(n_jobs=self.threads)
        losses: Any = parallel(
            task(x, y, member.case, member.weights, rate, order)
            for member, rate, order in zip(members, floats(problem.rates), orders, strict=True)
        )
        seconds = time.perf_counter() - began
        return Trained(by_epoch(problem, losses), seconds)


class Orders(np.random.RandomState):
    """A source of randomness that shuffles rows into given orders.

    Args:
        orders: of each epoch, (epochs, N).
    """

    def __init__(self, orders: Places) -> None:
        super().__init__(0)
        self.orders = iter(orders)
        self.before = np.arange(orders.shape[1])

    def shuffle(self, x: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Write the places of the next order within the one before, which is what is shuffled."""
        after = next(self.orders)
        places = np.empty_like(self.before)
        places[self.before] = np.arange(len(places))
        x[:] = places[after]
        self.before = after


def train_member(
    x: Any, y: Any, case: Case, weights: Any, rate: float, orders: Places
) -> list[float]:
    """Train one member; gives the mean loss of each epoch."""
    classifier = _classifier(case.widths, case.batch_size)
    targets = np.eye(case.widths[-1], dtype=np.int64)[y]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not hasattr(classifier, "coefs_"):
            classifier.fit(x, targets)
            classifier.out_activation_ = "softmax"
        classifier.coefs_ = [weight.copy() for weight, _ in weights]
        classifier.intercepts_ = [bias.copy() for _, bias in weights]
        classifier.loss_curve_.clear()
        settings = {"max_iter": len(orders), "random_state": Orders(orders)}
        classifier.set_params(learning_rate_init=rate, **settings)
        classifier.fit(x, targets)
    return floats(classifier.loss_curve_)


@cache
def _classifier(widths: tuple[int, ...], batch_size: int) -> Any:
    """A classifier whose arrays its first ``fit`` makes; one for each process."""
    from sklearn.neural_network import MLPClassifier

    kind: Any = MLPClassifier
    return kind(
        widths[1:-1], solver="adam", alpha=0.0, batch_size=batch_size, beta_1=BETA1, beta_2=BETA2,
        epsilon=EPSILON, warm_start=True, tol=0.0, n_iter_no_change=2**31, max_iter=1,
    )  # fmt: skip
