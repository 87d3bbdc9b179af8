"""One case with its processes: who takes part, fresh processes or kept ones, starts."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from thalweg.bench.cases import TARGETS, Case
from thalweg.bench.fixed_work import few_of
from thalweg.bench.options import Options
from thalweg.bench.peers import all_peers
from thalweg.bench.population_protocol import Trainer, measure_population
from thalweg.bench.populations import EVERYWHERE, MAIN
from thalweg.bench.protocol import Contender, Entry, measure
from thalweg.bench.results import ABSENT, Row
from thalweg.bench.workers import Process, WorkerError

Teller = Callable[[str], None]
Lines = Sequence[str]
Open = Callable[[Entry], Process]


class Workers:
    """The processes of a benchmark, each kept until its time is over.

    Args:
        backend: thalweg's.
        folder: for what they write.
    """

    def __init__(self, backend: str, folder: Path) -> None:
        self.backend = backend
        self.folder = folder
        self._open: dict[tuple[str, int], Process] = {}

    def fresh(self, entry: Entry, place: str) -> Process:
        """A new process; one with the same place finds what the former's compilers kept."""
        folder = self.folder / place / f"{entry.peer}-{entry.threads}"
        return Process(entry.peer, entry.threads, self.backend, folder)

    def kept(self, entry: Entry) -> Process:
        """The process that served before, or a new one where it ended."""
        key = entry.peer, entry.threads
        if key in self._open and not self._open[key].alive:
            self._open.pop(key).close()
        if key not in self._open:
            self._open[key] = self.fresh(entry, "grid")
        return self._open[key]

    def close(self) -> None:
        """End those that were kept."""
        for process in self._open.values():
            process.close()
        self._open.clear()


class Measuring:
    """Measures cases as they are asked for.

    Args:
        options: libraries, threads, rounds.
        folder: for what processes write.
    """

    def __init__(self, options: Options, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.workers = Workers(options.backend, folder)
        self.tell: Teller = lambda line: None
        self._peers = all_peers(options.backend)
        self._main: list[Trainer] = []

    def names(self, case: Case, wanted: Sequence[str] | None = None) -> list[str]:
        """The libraries that train a case, installed or not."""
        names = self.options.peers if wanted is None else wanted
        if case.members and case != MAIN:
            names = [name for name in names if name in EVERYWHERE]
        return [name for name in names if self._peers[name].ways(case)]

    def entries(self, case: Case, wanted: Sequence[str] | None = None) -> list[Entry]:
        """Installed libraries with each number of threads."""
        return [
            Entry(name, count)
            for name in self.names(case, wanted)
            if not self._peers[name].missing()
            for count in self.options.threads
        ]

    def case(self, case: Case) -> list[Row]:
        """One case with fresh processes, and a row for each library that is not installed."""
        with self._fresh(case) as opener:
            rows, contenders = measure(
                case, self.entries(case), opener, self.options.protocol_of(case), self._different,
                self.tell,
            )  # fmt: skip
        if has_starts(case):
            for contender in contenders:
                self._note_starts(contender, _plain_start)
        return [*rows, *self._absent(case)]

    def population(self, case: Case) -> list[Row]:
        """One case with members; the main one in fresh processes, as a plain case."""
        entries = self.entries(case)
        protocol = self.options.population_protocol_of(case)
        if case != MAIN:
            kept = self.workers.kept
            found = measure_population(case, entries, kept, protocol, self._different, self.tell)
            return [trainer.row for trainer in found]
        with self._fresh(case) as opener:
            found = measure_population(case, entries, opener, protocol, self._different, self.tell)
        self._main = found
        return [*(trainer.row for trainer in found), *self._absent(case)]

    def main_starts(self) -> None:
        """Starts of the main population; its rows, which are written before, take them in."""
        for trainer in self._main:
            self._note_starts(
                trainer, lambda answer, each=trainer: each.start_of(answer["first_seconds"])
            )

    def cell(self, case: Case, wanted: Sequence[str]) -> list[Row]:
        """One cell of the crossover, in processes that served before."""
        entries = self.entries(case, wanted)
        return measure(case, entries, self.workers.kept, self.options.grid_protocol)[0]

    def _different(self, name: str, outputs: int) -> str:
        return self._peers[name].different(outputs)

    def _absent(self, case: Case) -> list[Row]:
        rows: list[Row] = []
        for name in self.names(case):
            if absent := self._peers[name].missing():
                reason = f"no package {', '.join(absent)}"
                rows += [Row(case, name, count, ABSENT, reason) for count in self.options.threads]
        return rows

    @contextmanager
    def _fresh(self, case: Case) -> Generator[Open]:
        opened: list[Process] = []

        def opener(entry: Entry) -> Process:
            opened.append(self.workers.fresh(entry, _folder(case)))
            return opened[-1]

        try:
            yield opener
        finally:
            for process in opened:
                process.close()

    def _note_starts(
        self, contender: Contender, start_of: Callable[[dict[str, Any]], float]
    ) -> None:
        row = contender.row
        self.tell(f"{row.case.name}: start of {row.peer}, threads: {row.threads}")
        try:
            if contender.alive:
                self._start_twice(row, start_of)
        except WorkerError as error:
            row.note = f"{row.note}; " if row.note else ""
            row.note += f"its start in a fresh process failed ({error})"

    def _start_twice(self, row: Row, start_of: Callable[[dict[str, Any]], float]) -> None:
        """In fresh processes: with empty caches, and with those that the first one left."""
        found: list[float] = []
        batches = few_of(row.case).batches if row.case.members else None
        for _ in range(2):
            entry = Entry(row.peer, row.threads)
            process = self.workers.fresh(entry, f"{_folder(row.case)}-starts")
            try:
                answer = process.ask(
                    "open", case=asdict(row.case), variant=row.variant, batches=batches
                )
            finally:
                process.close()
            found.append(start_of(answer))
            row.import_seconds = answer["import_seconds"]
        row.start_seconds, row.start_again_seconds = found


def _plain_start(answer: dict[str, Any]) -> float:
    return float(answer["start_seconds"])


def has_starts(case: Case) -> bool:
    """Whether starts are measured in processes of their own: of images where there is a target."""
    return not case.form or any(target.of(case) for target in TARGETS)


def _folder(case: Case) -> str:
    return case.word.replace(":", "-")
