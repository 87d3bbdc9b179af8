"""What training a population leaves."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from thalweg.data.table import nearest
from thalweg.descriptions import structure_of
from thalweg.errors import DataError, SettingError
from thalweg.graph import Array
from thalweg.model.ensemble import ensemble
from thalweg.model.forward import Ready, native_forward
from thalweg.model.model import Model
from thalweg.training.beginning import whole_number
from thalweg.training.failure import Failure
from thalweg.training.history import Timing
from thalweg.training.population.member import MemberRun
from thalweg.training.population.varying import Varying, single
from thalweg.training.result import TrainedRun

_RISING = ("accuracy",)
"""Words in the names of numbers that are better when higher."""


class Population:
    """K networks that were trained together.

    Attributes:
        members: K.
        settings: the values by member of everything that varies, by name.
        runs: the members' runs in order; None for those that Ctrl-C left without a step.
        failures: why members ended at a value that was not finite, by their number.
        stop_reason: ``interrupted`` after Ctrl-C, else ``epochs``.
        seconds: that the population took, compiling and all.
    """

    def __init__(
        self, varying: Varying, members: Mapping[int, MemberRun], reason: str, seconds: float
    ) -> None:
        self.members = varying.members
        self.settings: dict[str, Any] = dict(varying.values)
        self.stop_reason = reason or "epochs"
        self.seconds = seconds
        self.runs: tuple[TrainedRun | None, ...] = tuple(
            members[place].result() if place in members else None for place in range(self.members)
        )
        self.failures: dict[int, Failure] = {
            place: member.failure
            for place, member in sorted(members.items())
            if member.failure is not None
        }

    def __repr__(self) -> str:
        done = sum(run is not None for run in self.runs)
        failed = f", {len(self.failures)} not finite" if self.failures else ""
        return f"Population({done} of {self.members} networks in {self.seconds:.2f} s{failed})"

    def __len__(self) -> int:
        return self.members

    @cached_property
    def history(self) -> dict[str, Array]:
        """Numbers by member and epoch, (K, epochs); NaN where a member had no such epoch."""
        rows = [run.history.rows if run is not None else [] for run in self.runs]
        longest = max((len(row) for row in rows), default=0)
        names = list(dict.fromkeys(name for row in rows for epoch in row for name in epoch))
        found = {name: np.full((self.members, longest), np.nan) for name in names}
        for member, row in enumerate(rows):
            for epoch, values in enumerate(row):
                for name, value in values.items():
                    found[name][member, epoch] = value
        return found

    @property
    def models(self) -> Models:
        """The trained networks in order."""
        return Models(self.runs)

    @property
    def timing(self) -> Timing:
        """Compiling and training of all members added up, and their updates."""
        timings = [run.timing for run in self.runs if run is not None]
        return Timing(
            sum(item.compile_seconds for item in timings),
            sum(item.seconds for item in timings),
            sum(item.updates for item in timings),
        )

    @property
    def networks_per_second(self) -> float:
        """Networks trained to their end a second, compiling and all."""
        return sum(run is not None for run in self.runs) / self.seconds if self.seconds else 0.0

    def scores(self, metric: str = "validation_loss") -> Array:
        """A number of each member's history, (K,): of the epoch whose weights its model has.

        NaN stands for members that did not get so far, or whose values were not finite.

        Raises:
            SettingError: a name that the history does not have.
        """
        if not self.history:
            return np.full(self.members, np.nan)
        if metric not in self.history:
            near = nearest(metric, list(self.history))
            hint = f"; did you mean {near!r}?" if near else ""
            raise SettingError(
                f"the history has no {metric!r}, but {', '.join(self.history)}{hint}"
            )
        return np.array([self._score(place, metric) for place in range(self.members)])

    def _score(self, place: int, metric: str) -> float:
        run = self.runs[place]
        if run is None or place in self.failures or not run.history.rows:
            return float("nan")
        epoch = run.best_epoch or len(run.history.rows)
        return float(run.history.rows[epoch - 1].get(metric, np.nan))

    def ranked(self, metric: str | None = None, *, maximise: bool | None = None) -> list[int]:
        """The members' numbers, best first; those without a score are left out.

        Args:
            metric: of the history; by default the validation loss, or the training loss.
            maximise: whether higher is better; by default for accuracies.
        """
        name = metric or self._default_metric
        rises = any(word in name for word in _RISING) if maximise is None else maximise
        values = self.scores(name)
        order = np.argsort(-values if rises else values, kind="stable")
        return [int(place) for place in order if not np.isnan(values[place])]

    @property
    def _default_metric(self) -> str:
        return "validation_loss" if "validation_loss" in self.history else "train_loss"

    def best(self, metric: str | None = None, *, maximise: bool | None = None) -> Member:
        """The best member by a number of the history; see :meth:`ranked`.

        Raises:
            DataError: no member has a finite one.
        """
        order = self.ranked(metric, maximise=maximise)
        if not order:
            raise DataError(
                f"none of the {self.members} networks has a finite "
                f"{metric or self._default_metric}; see .failures"
            )
        return self[order[0]]

    def __getitem__(self, place: int) -> Member:
        number = range(self.members)[place]
        run = self.runs[number]
        if run is None:
            raise DataError(f"member {number} was not trained: Ctrl-C came before")
        own = {name: single(values[number]) for name, values in self.settings.items()}
        return Member(number, run, own)

    def ensemble(self, members: int | Sequence[int] | None = None, combine: str = "mean") -> Model:
        """Members as one model; see :func:`thalweg.ensemble`.

        Args:
            members: how many of the best, or their numbers; by default all that have a score.
            combine: ``mean``, ``vote`` or ``mean_outputs``.

        Raises:
            SettingError: more than have a score.
        """
        chosen = self.ranked() if members is None or isinstance(members, int) else list(members)
        if isinstance(members, int):
            whole_number("members", members, 1)
            if members > len(chosen):
                raise SettingError(
                    f"an ensemble of the {members} best is asked for, but {len(chosen)} of the "
                    f"{self.members} networks have a finite score{self._told_failures()}"
                )
            chosen = chosen[:members]
        if not chosen:
            raise DataError(f"no network has a finite score{self._told_failures()}")
        return ensemble([self[place].model for place in chosen], combine)

    def _told_failures(self) -> str:
        return f"; see .failures of {', '.join(map(str, self.failures))}" if self.failures else ""

    def outputs(self, x: Any) -> Array:
        """Raw outputs of all members for the same rows, (K, N, …); see :meth:`Model.outputs`.

        Raises:
            SettingError: members of different output shapes.
            DataError: a member was not trained.
        """
        ready: dict[object, Ready] = {}
        found: list[Array] = []
        for place in range(self.members):
            model = self[place].model
            forward = native_forward(
                model.network, ready.setdefault(structure_of(model.network), Ready())
            )
            found.append(forward(model.parameters, model.states, model.inputs(x)[0]))
        if len({item.shape for item in found}) > 1:
            raise SettingError("the members' outputs have different shapes; ask each .models[k]")
        return np.stack(found)

    def predict(self, x: Any) -> Array:
        """Labels or values of all members, (K, N); see :meth:`Model.predict`.

        A label says nothing where a member's outputs are NaN: a warning names such members, and
        :meth:`predict_proba` shows them.
        """
        outputs = self.outputs(x)
        wrong = [place for place, values in enumerate(outputs) if np.isnan(values).any()]
        if wrong and self[0].model.classes is not None:
            warnings.warn(
                f"the outputs of members {', '.join(map(str, wrong))} are NaN for some rows, whose "
                "labels mean nothing; see .failures",
                stacklevel=2,
            )
        return np.stack(
            [
                self[place].model.decide(self[place].model.predictions(values))
                for place, values in enumerate(outputs)
            ]
        )

    def predict_proba(self, x: Any) -> Array:
        """Probabilities of all members, (K, N, classes); see :meth:`Model.predict_proba`.

        Raises:
            DataError: the networks predict numbers.
        """
        if self[0].model.classes is None:
            raise DataError("predict_proba is for classes; these predict numbers: predict(x)")
        return np.stack(
            [
                self[place].model.spread(self[place].model.predictions(outputs))
                for place, outputs in enumerate(self.outputs(x))
            ]
        )


class Member(NamedTuple):
    """One network of a population.

    Attributes:
        number: its place.
        run: as :func:`fit` would have given it.
        settings: its own values of what varies.
    """

    number: int
    run: TrainedRun
    settings: dict[str, Any]

    @property
    def model(self) -> Model:
        """The trained network."""
        return self.run.model


class Models(Sequence[Model]):
    """The models of a population in order.

    Args:
        runs: the members' runs.
    """

    def __init__(self, runs: Sequence[TrainedRun | None]) -> None:
        self._runs = runs

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Model]:
        return (self[place] for place in range(len(self)))

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[number] for number in range(len(self))[place]]
        run = self._runs[place]
        if run is None:
            raise DataError(f"member {place} was not trained: Ctrl-C came before")
        return run.model
