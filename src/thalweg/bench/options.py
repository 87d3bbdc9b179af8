"""What a user may ask of the benchmark."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from thalweg.bench.cases import GRIDS, IMAGE_ROUNDS, Case, chosen_cases
from thalweg.bench.machine import core_count
from thalweg.bench.peers import all_peers, newest_backend
from thalweg.bench.population_protocol import FixedWork
from thalweg.bench.populations import MAIN, chosen_populations
from thalweg.bench.protocol import Protocol
from thalweg.errors import SettingError
from thalweg.training.backends import BACKENDS

QUICK = {
    "cases": "30-64-64-2",
    "rounds": 3,
    "seconds": 0.1,
    "grid": "none",
    "grid_rounds": 3,
    "features": "none",
    "populations": "none",
    "cross_validation": "none",
}
OWN = "thalweg"
MAIN_ROUNDS, MAIN_FACTOR = 2, 2.0
"""The main population has so many rounds more, and so many times the seconds of a measurement."""

VALIDATION_ROUNDS = 5
"""The most rounds of cross-validation."""


@dataclass(frozen=True)
class Options:
    """A checked call.

    Attributes:
        cases: to measure.
        peers: names, thalweg first.
        threads: numbers of threads.
        grid: name of the crossover grid.
        protocol: of the cases.
        grid_protocol: of the grid's cells.
        backend: thalweg's.
        epochs: of the column with the total.
        out: folder for the files, if any.
        features: whether features of training are measured.
        populations: cases with members.
        validation: whether cross-validation is measured.
        keep: whether what the folder's report holds and is not measured now stays in it.
        population_protocol: of cases with members.
    """

    cases: tuple[Case, ...]
    peers: tuple[str, ...]
    threads: tuple[int, ...]
    grid: str
    protocol: Protocol
    grid_protocol: Protocol
    backend: str
    epochs: int
    out: Path | None
    features: bool = True
    populations: tuple[Case, ...] = ()
    validation: bool = False
    keep: bool = False
    population_protocol: FixedWork = field(default_factory=FixedWork)

    def protocol_of(self, case: Case) -> Protocol:
        """The cases'; of images fewer rounds, since their steps are long."""
        if not case.form:
            return self.protocol
        return replace(self.protocol, rounds=min(self.protocol.rounds, IMAGE_ROUNDS))

    def population_protocol_of(self, case: Case) -> FixedWork:
        """Of a case with members; more of the main one."""
        found = self.population_protocol
        if case != MAIN:
            return found
        seconds = MAIN_FACTOR * found.most_seconds
        return replace(found, rounds=found.rounds + MAIN_ROUNDS, most_seconds=seconds)

    @property
    def validation_rounds(self) -> int:
        """Of cross-validation, whose calls take seconds."""
        return min(self.protocol.rounds, VALIDATION_ROUNDS)


def parser() -> argparse.ArgumentParser:
    """The options, with their help."""
    parser = argparse.ArgumentParser(
        prog="python -m thalweg.bench",
        description="Trains the same networks with thalweg and other libraries, and compares.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--cases", default="all", metavar="LIST", help="networks such as lenet,resnet; all, none")
    add("--peers", default="all", metavar="LIST", help=f"libraries: {', '.join(all_peers())}; all")
    add("--rounds", type=int, default=7, help="interleaved rounds (%(default)s)")
    add("--seconds", type=float, default=0.5, help="of one measurement (%(default)s)")
    add("--threads", default="1,all", metavar="LIST", help="numbers of threads (%(default)s)")
    add("--grid", choices=list(GRIDS), default="small", help="crossover cells (%(default)s)")
    add("--grid-rounds", type=int, default=3, help="rounds of each cell (%(default)s)")
    add("--grid-seconds", type=float, default=0.1, help="of a cell's measurement (%(default)s)")
    add("--grid-peers", default="pytorch,jax", metavar="LIST", help="in the grid (%(default)s)")
    add(
        "--backend",
        choices=sorted(BACKENDS),
        default=newest_backend(),
        help="thalweg's (%(default)s)",
    )
    add("--epochs", type=int, default=10, help="of the column with the total (%(default)s)")
    add("--out", type=Path, metavar="DIR", help="write benchmarks.md, .json and .svg there")
    add("--features", choices=("all", "none"), default="all", help="of training (%(default)s)")
    add(
        "--populations",
        default="default",
        metavar="LIST",
        help="cases with members: numbers of members such as 256,64; lenet; default, none",
    )
    add("--population-rounds", type=int, default=3, help="of a population (%(default)s)")
    add(
        "--population-seconds",
        type=float,
        default=4.0,
        help="the most of one training of all members; slower libraries train fewer steps "
        "(%(default)s)",
    )
    add(
        "--cross-validation",
        choices=("all", "none"),
        default="all",
        help="ten folds beside scikit-learn's (%(default)s)",
    )
    add("--keep", action="store_true", help="keep in DIR's report what is not measured now")
    add("--quick", action="store_true", help="one small network, no grid, short rounds")
    return parser


def parse(arguments: Sequence[str] | None = None) -> tuple[Options, tuple[str, ...]]:
    """Options, and the libraries of the grid.

    Raises:
        SettingError: for a value that cannot be.
    """
    words = parser()
    if words.parse_args(arguments).quick:
        words.set_defaults(**QUICK)
    given = words.parse_args(arguments)
    _check_numbers(given)
    protocol = Protocol(given.rounds, given.seconds)
    cells = Protocol(given.grid_rounds, given.grid_seconds, epochs=2, steps=0)
    options = Options(
        chosen_cases(given.cases),
        chosen_peers("--peers", given.peers),
        chosen_threads(given.threads),
        given.grid,
        protocol,
        cells,
        given.backend,
        given.epochs,
        given.out,
        given.features == "all",
        chosen_populations(given.populations),
        given.cross_validation == "all",
        given.keep,
        FixedWork(given.population_rounds, given.population_seconds),
    )
    _check_out(options.out)
    wanted = chosen_peers("--grid-peers", given.grid_peers)
    return options, tuple(name for name in wanted if name in options.peers)


def _check_numbers(given: argparse.Namespace) -> None:
    for name in ("rounds", "grid_rounds", "population_rounds", "epochs"):
        if getattr(given, name) < 1:
            option = name.replace("_", "-")
            raise SettingError(f"--{option} = {getattr(given, name)} is below 1")
    for name in ("seconds", "grid_seconds", "population_seconds"):
        if not 0 < getattr(given, name) <= 60:
            option = name.replace("_", "-")
            raise SettingError(f"--{option} = {getattr(given, name)} is outside (0, 60]")


def _check_out(out: Path | None) -> None:
    if out is not None and out.exists() and not out.is_dir():
        raise SettingError(f"--out: {out} is a file; name a folder")


def chosen_peers(option: str, names: str) -> tuple[str, ...]:
    """Libraries of a list, in the benchmark's order; thalweg is always among them.

    Raises:
        SettingError: for an unknown name.
    """
    known = list(all_peers())
    wanted = known if names == "all" else [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in known:
            raise SettingError(f"{option}: {name!r} is not one of all, {', '.join(known)}")
    return tuple(name for name in known if name == OWN or name in wanted)


def chosen_threads(names: str) -> tuple[int, ...]:
    """Numbers of threads of a list such as ``1,all``, each once, ascending.

    Raises:
        SettingError: for what is no number from 1 to the machine's cores.
    """
    most = core_count()
    found: set[int] = set()
    for word in names.split(","):
        text = str(most) if word.strip() == "all" else word.strip()
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise SettingError(f"--threads: {word.strip()!r} is neither all nor 1 to {most}")
        found.add(int(text))
    return tuple(sorted(found))
