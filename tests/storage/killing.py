"""Kills a process that saves without pause, at random moments, and reads what it left.

The child is Python source that saves for ever and prints, after each finished save, the rising
number that the save held. Its last argument is the number to start from.
"""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import thalweg.errors

SOURCE = Path(thalweg.errors.__file__).parents[1]


@dataclass(frozen=True)
class Kill:
    """What one killed child had finished, and what its file held afterwards."""

    finished: int
    found: int


def run_python(arguments: Sequence[str], **options) -> subprocess.Popen[str]:
    """A Python process that can import thalweg and the tests, its standard output piped."""
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(SOURCE), str(root)])}
    return subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True, env=environment, **options
    )


def kill_while_saving(
    child: str, arguments: Sequence[str], read: Callable[[], int], *, kills: int, seed: int = 0
) -> list[Kill]:
    """Start the child, kill it (SIGKILL) at a random moment, read its number; again and again.

    ``read`` returns the number that the file holds now and raises where it is unreadable.
    """
    chance = random.Random(seed)
    report: list[Kill] = []
    start = 0
    for _ in range(kills):
        finished = _kill_one(child, [*arguments, str(start)], chance)
        report.append(Kill(finished, read()))
        start = report[-1].found + 1
    return report


def _kill_one(child: str, arguments: Sequence[str], chance: random.Random) -> int:
    """The number of the last save that the child finished before it was killed."""
    with run_python(["-c", child, *arguments]) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(chance.randint(1, 12))]
        try:
            process.wait(timeout=chance.uniform(0, 0.02))
        except subprocess.TimeoutExpired:
            process.kill()
        lines += process.stdout.read().splitlines(keepends=True)
        assert process.wait() == -9, f"the child ended by itself: {process.returncode}"
    return int([line for line in lines if line.endswith("\n")][-1])


def assert_nothing_lost(report: Sequence[Kill]) -> None:
    """Each file was readable and held the last finished save or the one under way."""
    for kill in report:
        assert kill.finished <= kill.found <= kill.finished + 1, kill
