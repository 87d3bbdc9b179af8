"""Worker processes: requests, failures, and one real run of the interpreter."""

import io
import json
import sys
from dataclasses import asdict

import pytest

from thalweg.bench.cases import Case
from thalweg.bench.peers import Own, Peer, Trained, all_peers, newest_backend
from thalweg.bench.protocol import Entry, Protocol, measure
from thalweg.bench.worker import LONGEST_RUN, Worker, peak_bytes, serve
from thalweg.bench.workers import Process, WorkerError, environment

CASE = Case((4, 8, 3), 6, 4)


class Recorded(Peer):
    """A library that remembers what it was asked; its second variant is the faster one."""

    name = title = "recorded"
    packages = ("no-such-package",)
    variants = ("slow", "fast")

    def __init__(self):
        self.runs = []

    def load(self, threads):
        self.threads = threads

    def open(self, problem, variant, threads):
        recorded = self

        class Session:
            def train(self, epochs, batches=None):
                recorded.runs.append((variant, epochs, batches))
                seconds = epochs * (2.0 if variant == "slow" else 1.0)
                return Trained([0.5] * epochs, seconds)

        return Session()


def test_the_fastest_variant_is_kept():
    peer = Recorded()
    worker = Worker(peer, 2)
    answer = worker.answer({"operation": "open", "case": json.loads(json.dumps(asdict(CASE)))})
    assert answer["variant"] == "fast"
    assert answer["epoch_seconds"] == 1.0
    assert peer.threads == 2
    peer.runs.clear()
    worker.answer({"operation": "open", "case": asdict(CASE), "variant": "slow"})
    assert {run[0] for run in peer.runs} == {"slow"}


def test_long_trainings_go_back_to_the_start():
    peer = Recorded()
    worker = Worker(peer, 1)
    worker.answer({"operation": "open", "case": asdict(CASE)})
    peer.runs.clear()
    answer = worker.answer({"operation": "train", "epochs": LONGEST_RUN + 3})
    assert peer.runs == [("fast", LONGEST_RUN, None), ("fast", 3, None)]
    assert answer["steps"] == (LONGEST_RUN + 3) * CASE.batches
    assert answer["seconds"] == LONGEST_RUN + 3
    assert len(answer["losses"]) == LONGEST_RUN + 3


def test_requests_are_lines_of_json():
    answers = io.StringIO()
    requests = io.StringIO('{"operation": "memory"}\n{"operation": "memory"}\n')
    serve(Worker(Own("interpreter"), 1), requests, answers)
    found = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert len(found) == 2
    assert found[0]["peak_bytes"] > 2**20 or sys.platform == "win32"


def test_memory_is_of_this_process():
    before = peak_bytes()
    kept = bytearray(b"x" * 2**26)
    assert peak_bytes() >= before
    assert len(kept) == 2**26


def test_libraries_that_are_not_installed_are_named():
    assert Recorded().missing() == ["no-such-package"]
    assert all_peers()["thalweg"].missing() == []
    assert newest_backend(("interpreter",)) == "interpreter"
    assert newest_backend(("interpreter", "native")) == "native"


def test_the_environment_sets_threads_and_empty_caches(tmp_path):
    found = environment("jax", 3, tmp_path)
    assert found["OMP_NUM_THREADS"] == found["NPROC"] == "3"
    assert found["XDG_CACHE_HOME"].startswith(str(tmp_path))
    assert environment("keras", 1, tmp_path)["KERAS_BACKEND"] == "jax"


def test_a_real_run_of_the_interpreter(tmp_path):
    opened = []

    def opener(entry):
        opened.append(Process(entry.peer, entry.threads, "interpreter", tmp_path))
        return opened[-1]

    rows, _ = measure(CASE, [Entry("thalweg", 1)], opener, Protocol(rounds=2, seconds=0.01))
    process = opened[0]
    assert rows[0].status == "measured", rows[0].reason
    assert len(rows[0].rounds) == 2
    assert 0 < rows[0].step_seconds < 1
    assert rows[0].step_error < 1e-5
    with pytest.raises(WorkerError, match="ValueError: unknown operation 'dance'"):
        process.ask("dance")
    with pytest.raises(WorkerError):
        process.ask("memory")
    process.close()
    assert not process.alive


def test_a_process_at_work_is_ended_when_it_is_closed(tmp_path, monkeypatch):
    def interrupted(timeout):
        raise KeyboardInterrupt

    process = Process("thalweg", 1, "interpreter", tmp_path)
    monkeypatch.setattr(process._answers, "get", interrupted)
    with pytest.raises(KeyboardInterrupt):
        process.ask("open", case=asdict(Case((512, 512, 10), 512, 512)))
    process.close()
    assert not process.alive
    assert process._process.returncode != 0


def test_a_process_that_says_nothing_is_ended(tmp_path):
    process = Process("thalweg", 1, "interpreter", tmp_path, patience=0.0)
    with pytest.raises(WorkerError, match="no answer to memory in 0 s"):
        process.ask("memory")
    process.close()
    assert not process.alive
