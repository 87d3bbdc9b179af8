"""What each feature of training adds to the time of a step, on one network in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import thalweg as tw
from thalweg.bench.cases import Case
from thalweg.bench.problem import make_problem
from thalweg.descriptions import make
from thalweg.nn.layer import blueprint, initial_states
from thalweg.training.executor import Sums
from thalweg.training.job import Job, Rows
from thalweg.training.native import NativeExecutor
from thalweg.training.recipe import Recipe, initial_slots
from thalweg.training.step import State

CASE = Case((784, 256, 128, 10), 128, 100)
PLAIN = "plain step (Adam)"
_MANY = 10**6
_RATE = 1e-3


@dataclass(frozen=True)
class Feature:
    """A way of training, and what it may cost.

    Attributes:
        name: for the table.
        make: changes a recipe.
        most: the largest ratio to the plain step that is aimed at, if any.
        note: what the ratio is made of, where it is not obvious.
    """

    name: str
    make: Callable[[Recipe], Recipe]
    most: float | None = None
    note: str = ""


@dataclass
class FeatureRow:
    """Times of a feature's step.

    Attributes:
        name: the feature.
        threads: how many were used.
        rounds: seconds of a step, round by round.
        most: the ratio that is aimed at, if any.
        note: what the ratio is made of.
    """

    name: str
    threads: int
    rounds: list[float] = field(default_factory=list[float])
    most: float | None = None
    note: str = ""

    @property
    def step_seconds(self) -> float:
        """The median round."""
        return statistics.median(self.rounds)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "step_seconds": self.step_seconds}


def network(*after: Callable[[], tw.Layer], behind: bool = False) -> tw.Sequential:
    """The case's network with more layers in front of (or behind) each activation."""
    layers: list[tw.Layer] = []
    for width in CASE.widths[1:-1]:
        more = [make() for make in after]
        layers += [tw.Linear(width), *([] if behind else more), tw.ReLU()]
        layers += more if behind else []
    return tw.Sequential(*layers, tw.Linear(CASE.widths[-1]))


def _optimizer(name: str, most: float | None = None) -> Feature:
    def change(recipe: Recipe) -> Recipe:
        return replace(recipe, optimizer=make("optimizer", name, learning_rate=_RATE))

    return Feature(f"optimizer {name}", change, most)


def _layers(name: str, *after: Callable[[], tw.Layer], most: float | None = None) -> Feature:
    behind = name == "dropout"
    return Feature(name, lambda r: replace(r, network=network(*after, behind=behind)), most)


def features() -> list[Feature]:
    """What is measured, the plain step first."""
    return [
        Feature(PLAIN, lambda recipe: recipe),
        *(_optimizer(name, 1.1) for name in ("adamw", "rmsprop", "nadam")),
        *(_optimizer(name) for name in _OTHERS),
        _layers("batch normalisation", tw.BatchNorm1d, most=1.3),
        _layers("layer normalisation", tw.LayerNorm, most=1.3),
        _layers("dropout", lambda: tw.Dropout(0.2), most=1.15),
        Feature("clipping by norm", lambda r: replace(r, clipping=tw.ClipNorm(1.0)), 1.1),
        Feature("averaged weights", lambda r: replace(r, average=tw.EMA(0.99)), 1.1),
        Feature("L2 penalty", lambda r: replace(r, penalty=tw.L2(1e-4))),
        Feature("mixup", lambda r: replace(r, augmentation=tw.Mixup(0.2))),
        Feature("cosine schedule", lambda r: replace(r, optimizer=tw.Adam(tw.Cosine(_RATE)))),
        Feature("gradients of 4 batches", lambda r: replace(r, accumulate=4)),
    ]


_OTHERS = (
    "sgd", "momentum", "nesterov", "adagrad", "adadelta", "radam", "adamax", "lion", "muon",
)  # fmt: skip


class Contestant:
    """A feature's executor, run a little in every round.

    Args:
        feature: what is measured.
        threads: how many.
    """

    def __init__(self, feature: Feature, threads: int) -> None:
        problem = make_problem(CASE)
        recipe = feature.make(Recipe(network(), tw.CrossEntropy(), tw.Adam(_RATE)))
        plan = blueprint(recipe.network, CASE.widths[0])
        parameters = tw.initialise(recipe.network, CASE.widths[0], CASE.seed)
        slots = initial_slots(recipe, parameters)
        state = State(parameters, slots, initial_states(plan), 0)
        rows = Rows(problem.x, problem.y, None)
        job = Job(recipe, rows, _MANY, CASE.batch_size, CASE.seed, threads=threads)
        self.row = FeatureRow(feature.name, threads, [], feature.most, feature.note)
        self._executor = NativeExecutor(job)
        self._executor.prepare(state)
        self._executor.load(state)
        self._step = 0

    def measure(self, seconds: float) -> float:
        """Seconds of a step, over about so many seconds."""
        began = time.perf_counter()
        done = self._executor.run(range(self._step, _MANY), Sums(), seconds).steps
        passed = time.perf_counter() - began
        self._step += done
        return passed / done


def measure_features(
    threads: Sequence[int], rounds: int, seconds: float, tell: Callable[[str], None]
) -> list[FeatureRow]:
    """Every feature in turn, round after round.

    Args:
        threads: numbers of threads.
        rounds: that count, after one that does not.
        seconds: of one measurement.
        tell: takes a line of progress.
    """
    found: list[FeatureRow] = []
    for count in threads:
        contestants = [Contestant(feature, count) for feature in features()]
        for number in range(rounds + 1):
            tell(f"features of training, threads: {count}, round {number} of {rounds}")
            for contestant in contestants:
                passed = contestant.measure(seconds)
                if number:
                    contestant.row.rounds.append(passed)
        found += [contestant.row for contestant in contestants]
    return found
