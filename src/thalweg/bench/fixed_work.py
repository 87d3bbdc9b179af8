"""How many steps each network of a population is trained in one measurement."""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.bench.cases import Case

_EPOCHS, _IMAGE_EPOCHS = 10, 4
_OPERATIONS = 7e11
"""The most in one measurement: of wide networks and of thousands fewer epochs are trained."""

_FEW, _FEW_OF_MANY, _FEW_IMAGES, _MANY = 16, 4, 2, 1024


@dataclass(frozen=True)
class Work:
    """What each network is trained.

    Attributes:
        epochs: how many.
        batches: the first ones of each epoch.
    """

    epochs: int
    batches: int

    @property
    def steps(self) -> int:
        """Of each network."""
        return self.epochs * self.batches


def work_of(case: Case) -> Work:
    """The same for all libraries: whole epochs, at least one.

    >>> work_of(Case((30, 64, 64, 2), 32, 256, members=256))
    Work(epochs=10, batches=256)
    >>> work_of(Case((30, 64, 64, 2), 32, 256, members=4096))
    Work(epochs=1, batches=256)
    """
    most = _IMAGE_EPOCHS if case.form else _EPOCHS
    able = int(_OPERATIONS / (case.flops * case.batches * case.members))
    return Work(min(max(able, 1), most), case.batches)


def few_of(case: Case) -> Work:
    """A short training, in which making the networks weighs most."""
    many = _FEW_OF_MANY if case.members > _MANY else _FEW
    return Work(1, min(case.batches, _FEW_IMAGES if case.form else many))


@dataclass(frozen=True)
class Speed:
    """How long a library's calls take.

    Attributes:
        making: seconds of a call without its steps.
        step: seconds of one step of all networks.
    """

    making: float
    step: float

    def seconds(self, work: Work) -> float:
        """Of a whole call."""
        return self.making + self.step * work.steps


def speed_from(short: float, few: Work, long: float, more: Work) -> Speed:
    """Making and step from the seconds of two calls, one of which trained more steps.

    >>> speed_from(1.0, Work(1, 4), 2.0, Work(3, 4))
    Speed(making=0.5, step=0.125)
    """
    step = max((long - short) / (more.steps - few.steps), 0.0)
    return Speed(max(short - step * few.steps, 0.0), step)


def shortened(work: Work, speed: Speed, most: float) -> Work:
    """The work itself where it takes no more seconds; else fewer epochs, else fewer batches.

    >>> shortened(Work(10, 256), Speed(0.0, 0.01), 30.0)
    Work(epochs=10, batches=256)
    >>> shortened(Work(10, 256), Speed(0.0, 0.01), 6.0)
    Work(epochs=2, batches=256)
    >>> shortened(Work(10, 256), Speed(0.0, 0.1), 6.0)
    Work(epochs=1, batches=60)
    """
    if speed.seconds(work) <= most:
        return work
    able = max(int((most - speed.making) / speed.step), 1) if speed.step else work.steps
    if able >= work.batches:
        return Work(min(able // work.batches, work.epochs), work.batches)
    return Work(1, able)
