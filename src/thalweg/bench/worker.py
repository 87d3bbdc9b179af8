"""A process that trains one library with one number of threads, on request.

Requests and answers are lines of JSON on standard input and output:

    {"operation": "open", "case": {...}}               -> start_seconds, variant, …
    {"operation": "open_late", "batches": 16}          -> the same, of a faster variant or not
    {"operation": "train", "epochs": 3, "batches": 1, "calls": 2}
                                                       -> losses, seconds, steps, …
    {"operation": "memory"}                            -> peak_bytes

What libraries print goes to standard error. A failure ends the process; its reason is the last
line there.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from thalweg.bench.cases import Case
from thalweg.bench.machine import processor_seconds
from thalweg.bench.peers import Peer, Session, all_peers
from thalweg.bench.populations import problem_of
from thalweg.bench.problem import Problem

LONGEST_RUN = 20
"""Epochs trained without going back to the starting weights."""

_TRIALS, _TRIAL_SECONDS, _LONG_SECONDS = 3, 0.1, 2.0


class Worker:
    """One library and its present network.

    Args:
        peer: the library.
        threads: how many it may use.
    """

    def __init__(self, peer: Peer, threads: int) -> None:
        self.peer = peer
        self.threads = threads
        self.session: Session | None = None
        self.case: Case | None = None
        self._best: dict[str, Any] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request asks."""
        operation = request["operation"]
        if operation == "open":
            case, variant = case_of(request["case"]), request.get("variant")
            return self.open(case, variant, request.get("batches"))
        if operation == "open_late":
            return self.open_late(request["batches"])
        if operation == "train":
            return self.train(request["epochs"], request.get("batches"), request.get("calls", 1))
        if operation == "memory":
            return {"peak_bytes": peak_bytes()}
        raise ValueError(f"unknown operation {operation!r}")

    def open(self, case: Case, variant: str | None, batches: int | None = None) -> dict[str, Any]:
        """Build the network in one variant, or in each that is not late and keep the fastest.

        Args:
            case: what will be trained.
            variant: the only one; None for those of the library.
            batches: the first ones, on which they are compared; all for None.
        """
        problem = problem_of(case)
        began = time.perf_counter()
        self.peer.load(self.threads)
        imported = time.perf_counter() - began
        self.session, self.case = None, case
        self._best = {"import_seconds": imported}
        names = self.peer.first_ways(case, self.threads) if variant is None else (variant,)
        self._keep_fastest(problem, names, batches)
        return self._best

    def open_late(self, batches: int) -> dict[str, Any]:
        """Try the late variants too; what is fastest of all stays."""
        assert self.case is not None
        late = [name for name in self.peer.ways(self.case) if name in self.peer.late_variants]
        if late:
            self._keep_fastest(problem_of(self.case), late, batches)
        return self._best

    def _keep_fastest(self, problem: Problem, names: Sequence[str], batches: int | None) -> None:
        for name in names:
            session, found = self._try(problem, name, batches)
            if self.session is None or found["epoch_seconds"] < self._best["epoch_seconds"]:
                self.session = session
                self._best |= found

    def _try(
        self, problem: Problem, variant: str, batches: int | None
    ) -> tuple[Session, dict[str, Any]]:
        began = time.perf_counter()
        session = self.peer.open(problem, variant, self.threads)
        opened = time.perf_counter() - began
        first = session.train(1, batches)
        epochs = min(max(round(_TRIAL_SECONDS / max(first.seconds, 1e-9)), 1), LONGEST_RUN)
        trials = 1 if first.seconds > _LONG_SECONDS else _TRIALS
        epoch = min(session.train(epochs, batches).seconds / epochs for _ in range(trials))
        start = first.start_seconds
        if start is None:
            start = max(first.seconds - epoch, 0.0)
        return session, {
            "variant": variant,
            "start_seconds": opened + start,
            "first_seconds": opened + first.seconds + (first.start_seconds or 0.0),
            "epoch_seconds": epoch,
        }

    def train(self, epochs: int, batches: int | None, calls: int = 1) -> dict[str, Any]:
        """Train so many epochs, in runs that all begin with the starting weights.

        Args:
            epochs: of a call; a call of many is several runs.
            batches: the first ones of each epoch; all for None.
            calls: how often.
        """
        assert self.session is not None
        assert self.case is not None
        losses: list[float] = []
        seconds = cpu = whole = 0.0
        runs = [min(LONGEST_RUN, epochs - begun) for begun in range(0, epochs, LONGEST_RUN)]
        for count in runs * calls:
            before, began = processor_seconds(), time.perf_counter()
            done = self.session.train(count, batches)
            passed = time.perf_counter() - began
            used = processor_seconds() - before
            whole += used
            cpu += used * done.seconds / passed
            seconds += done.seconds
            losses += done.losses
        steps = calls * epochs * (batches or self.case.batches) * max(self.case.members, 1)
        return {
            "losses": losses,
            "seconds": seconds,
            "cpu_seconds": cpu,
            "process_seconds": whole,
            "steps": steps,
        }


def case_of(plain: dict[str, Any]) -> Case:
    """The case in a request."""
    return replace(Case(**plain), widths=tuple(plain["widths"]))


def peak_bytes() -> int:
    """The most memory that this process held so far; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage counts what the parent held when it started this process
        lines = status.read_text(encoding="utf-8").splitlines()
        found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
        return int(found[0]) * 1024 if found else 0
    if sys.platform == "win32":
        return 0
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def answers_only() -> TextIO:
    """Standard output for answers alone: everything else that is printed goes to standard error."""
    kept = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(kept, "w", encoding="utf-8")


def serve(worker: Worker, requests: TextIO, answers: TextIO) -> None:
    """Answer until there are no more requests."""
    for line in requests:
        answers.write(json.dumps(worker.answer(json.loads(line))) + "\n")
        answers.flush()


def main(name: str, threads: str, backend: str) -> None:
    """Serve one library."""
    answers = answers_only()
    serve(Worker(all_peers(backend)[name], int(threads)), sys.stdin, answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
