"""Worker processes as the benchmark sees them."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any, Protocol, cast

from thalweg.bench.peers import all_peers
from thalweg.errors import ThalwegError

_LONGEST_ANSWER = 600.0
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class WorkerError(ThalwegError):
    """A library could not do what was asked; the message is its last words."""


class Answering(Protocol):
    """What answers requests: a process, or a stand-in for one."""

    def ask(self, operation: str, **fields: Any) -> dict[str, Any]:
        """Do something.

        Raises:
            WorkerError: it could not.
        """
        ...

    def close(self) -> None:
        """End."""
        ...


class Process:
    """A process of its own for one library and one number of threads.

    Args:
        peer: its name.
        threads: how many it may use.
        backend: thalweg's.
        folder: what it prints, and what its compilers keep.
        patience: seconds to wait for an answer.
    """

    def __init__(
        self,
        peer: str,
        threads: int,
        backend: str,
        folder: Path,
        patience: float = _LONGEST_ANSWER,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.patience = patience
        self._log = folder / f"{peer}-{threads}.log"
        command = [sys.executable, "-m", "thalweg.bench.worker", peer, str(threads), backend]
        with self._log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(peer, threads, folder),
                text=True,
                encoding="utf-8",
            )
        self._answers: queue.Queue[str] = queue.Queue()
        self._pending = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def _read(self) -> None:
        for line in cast("IO[str]", self._process.stdout):
            self._answers.put(line)
        self._answers.put("")

    def ask(self, operation: str, **fields: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        requests = cast("IO[str]", self._process.stdin)
        self._pending = True
        try:
            requests.write(json.dumps({"operation": operation, **fields}) + "\n")
            requests.flush()
            line = self._answers.get(timeout=self.patience)
        except OSError:
            line = ""
        except queue.Empty:
            self._process.kill()
            raise WorkerError(f"no answer to {operation} in {self.patience:g} s") from None
        self._pending = False
        if not line:
            raise WorkerError(self._last_words())
        return cast("dict[str, Any]", json.loads(line))

    def _last_words(self) -> str:
        self._process.wait()
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if lines:
            return next((line for line in reversed(lines) if _is_error(line)), lines[-1])
        return f"the process ended with status {self._process.returncode}"

    def close(self) -> None:
        """Close its input and wait; where it is still at work, end it."""
        if self._pending:
            self._process.kill()
        with contextlib.suppress(OSError):
            cast("IO[str]", self._process.stdin).close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        cast("IO[str]", self._process.stdout).close()


def _is_error(line: str) -> bool:
    """Whether a line of a traceback names the error: ``SomeError: reason`` at its margin."""
    return line[:1].isalpha() and "Error" in line.split(":", maxsplit=1)[0]


def environment(peer: str, threads: int, folder: Path) -> dict[str, str]:
    """The process's environment: threads for each kind of library, and empty compiler caches."""
    caches = {
        "XDG_CACHE_HOME": str(folder / "cache"),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
    }
    counts = {name: str(threads) for name in _THREAD_VARIABLES}
    return {**os.environ, **counts, **caches, **all_peers()[peer].environment(threads)}
