"""The threads of a crew: a second Ctrl-C ends them too."""

import os
import signal
import sys
import threading
import time

import pytest

from thalweg.training.population.crew import Crew


@pytest.fixture(autouse=True)
def backend():
    """Nothing is trained here: once is enough."""


class Slow:
    """A member that ends some time after it was asked to."""

    ended = 0

    def advance(self, until, interrupted):
        interrupted.wait()
        time.sleep(0.5)
        Slow.ended += 1


class One:
    """A source of one such member."""

    def __init__(self):
        self.waiting = [(Slow(), None)]

    def next(self):
        return self.waiting.pop() if self.waiting else None

    def done(self, member):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent with os.kill")
def test_a_second_interrupt_leaves_nobody_at_work():
    def twice():
        for _ in range(2):
            time.sleep(0.15)
            os.kill(os.getpid(), signal.SIGINT)

    Slow.ended = 0
    sender = threading.Thread(target=twice)
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        Crew(1).run(One())
    assert Slow.ended == 1
    sender.join()
