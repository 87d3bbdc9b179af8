"""The tree-structured Parzen estimator of Optuna, asked for a batch of trials at once."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thalweg.descriptions import register, size
from thalweg.searching.proposals import Known, chance, losses
from thalweg.searching.samplers.points import QuasiRandomSampler
from thalweg.searching.samplers.sampler import Sampler
from thalweg.searching.spaces.choices import Choice
from thalweg.searching.spaces.domain import Domain
from thalweg.searching.spaces.ranges import Range, Whole
from thalweg.searching.spaces.space import Settings, Space

if TYPE_CHECKING:
    import optuna


@register("sampler", "tpe")
@dataclass(frozen=True)
class TPESampler(Sampler):
    """Proposes where good trials are dense and bad ones are not: max l(x) / g(x).

    l and g are densities, by kernels over all names together, of the settings of the best trials
    and of the others. The trials of one batch know of each other: those asked for already count as
    bad, so that they keep apart. Before there are ``startup`` trials, points are quasi-random.

    Args:
        startup: trials before anything is learned from them.
        candidates: draws from l among which the best ratio is taken.

    Source: James Bergstra, Rémi Bardenet, Yoshua Bengio, Balázs Kégl, Algorithms for
    hyper-parameter optimization, 2011; Shuhei Watanabe, Tree-structured Parzen estimator, 2023. The
    computation is Optuna's.

    >>> space = Space({"rate": Range(0.0, 1.0)})
    >>> known = [Known(n, {"rate": n / 15}, abs(n - 5)) for n in range(16)]
    >>> proposals = TPESampler().propose(space, 0, 16, 4, known)
    >>> all(0.1 < one["rate"] < 0.6 for one in proposals)
    True
    """

    startup: int = size(8, help="trials before anything is learned from them")
    candidates: int = size(24, high=10_000, help="draws among which the best is taken")

    def _propose(
        self, space: Space, seed: int, first: int, count: int, known: Sequence[Known]
    ) -> list[Settings]:
        if len(known) < self.startup or all(one.failed for one in known):
            return QuasiRandomSampler().propose(space, seed, first, count)
        with _quiet():
            study = self._study(space, seed, first, known)
            return [_asked(study, space) for _ in range(count)]

    def _study(self, space: Space, seed: int, first: int, known: Sequence[Known]) -> optuna.Study:
        """Optuna's record of what is known, in memory."""
        import optuna

        conditional = any(domain.when for domain in space.domains.values())
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=1,
            n_ei_candidates=self.candidates,
            multivariate=True,
            group=conditional,
            constant_liar=True,
            seed=int(chance(seed, first).integers(2**32)),
        )
        study = optuna.create_study(sampler=sampler, direction="minimize")
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params={name: _told(space[name], one.settings[name]) for name in active},
                    distributions={name: _distribution(space[name]) for name in active},
                    value=value,
                )
                for one, value in zip(known, losses(known, float("inf")), strict=True)
                for active in [space.active(one.settings)]
            ]
        )
        return study


def _asked(study: optuna.Study, space: Space) -> Settings:
    trial = study.ask()
    found = Settings()
    for name, domain in space.domains.items():
        if domain.takes_part(found):
            found[name] = _suggested(trial, name, domain)
    return found


def _suggested(trial: optuna.Trial, name: str, domain: Domain) -> Any:
    if isinstance(domain, Range):
        low, high, step = domain.low, domain.high, domain.step
        return domain.read(trial.suggest_float(name, low, high, log=domain.log, step=step))
    if isinstance(domain, Whole):
        low, high, step = domain.low, domain.high, domain.step or 1
        return trial.suggest_int(name, low, high, log=domain.log, step=step)
    if isinstance(domain, Choice):
        return domain.values[trial.suggest_categorical(name, list(range(domain.count)))]
    return domain.at(0.5)


def _told(domain: Domain, value: Any) -> Any:
    return domain.number(value) if isinstance(domain, Choice) else value


def _distribution(domain: Domain) -> Any:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(domain, Range):
        return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Whole):
        return IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step or 1)
    return CategoricalDistribution(list(range(domain.count or 1)))


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Optuna without its log lines and warnings; its settings are put back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna

        former = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(former)
