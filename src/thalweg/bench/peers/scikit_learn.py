"""scikit-learn's MLPClassifier."""

from __future__ import annotations

import time
import warnings
from typing import Any

from thalweg.bench.peers.base import Peer, Trained, floats
from thalweg.bench.problem import BETA1, BETA2, EPSILON, LEARNING_RATE, Problem


class ScikitLearn(Peer):
    """``MLPClassifier.fit`` for a number of epochs, starting weights set through a warm start."""

    name = "sklearn"
    title = "scikit-learn"
    packages = ("scikit-learn",)
    image_variants = ()
    note = (
        "`MLPClassifier.fit`, same batches, no penalty, no shuffling; its Adam adds ε before the "
        "correction of the second moment, so losses agree less closely; it "
        "has no convolutions"
    )

    def different(self, outputs: int) -> str:
        """With two classes it trains one logistic unit."""
        return "one logistic output in place of two softmax outputs" if outputs == 2 else ""

    def load(self, threads: int) -> None:
        """Import, limit the threads of its matrix products."""
        import sklearn.neural_network  # noqa: F401  # pyright: ignore[reportUnusedImport]
        from threadpoolctl import threadpool_limits

        threadpool_limits(threads)

    def open(self, problem: Problem, variant: str, threads: int) -> ScikitLearnSession:
        """Build the network."""
        return ScikitLearnSession(problem)


class ScikitLearnSession:
    """One classifier; a first epoch makes its arrays.

    Args:
        problem: rows and starting weights.
    """

    def __init__(self, problem: Problem) -> None:
        from sklearn.neural_network import MLPClassifier

        case = problem.case
        self.problem = problem
        kind: Any = MLPClassifier
        self.classifier = kind(
            case.widths[1:-1], solver="adam", alpha=0.0, batch_size=case.batch_size,
            learning_rate_init=LEARNING_RATE, beta_1=BETA1, beta_2=BETA2, epsilon=EPSILON,
            shuffle=False, warm_start=True, tol=0.0, n_iter_no_change=2**31, random_state=0,
            max_iter=1,
        )  # fmt: skip
        self._fit(problem.x, problem.y)

    def _fit(self, x: Any, y: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.classifier.fit(x, y)

    def train(self, epochs: int, batches: int | None = None) -> Trained:
        """One call of ``fit``."""
        rows, weights = self.problem.rows(batches), self.problem.weights
        one_output = self.problem.case.widths[-1] == 2
        values = [(weight.copy(), bias.copy()) for weight, bias in weights]
        if one_output:
            weight, bias = values[-1]
            values[-1] = weight[:, 1:] - weight[:, :1], bias[1:] - bias[:1]
        self.classifier.coefs_ = [weight for weight, _ in values]
        self.classifier.intercepts_ = [bias for _, bias in values]
        self.classifier.max_iter = epochs
        self.classifier.loss_curve_.clear()
        began = time.perf_counter()
        self._fit(self.problem.x[rows], self.problem.y[rows])
        seconds = time.perf_counter() - began
        return Trained(floats(self.classifier.loss_curve_), seconds)
