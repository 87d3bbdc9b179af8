"""Fixtures shared by all tests."""

import gc
import os
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import hypothesis
import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
GOLDEN = Path(__file__).resolve().parent / "golden"

# The machine may be busy and the examples the same for all: no deadline, no chance.
hypothesis.settings.register_profile("thalweg", deadline=None, derandomize=True)
hypothesis.settings.load_profile("thalweg")


# Compiled programs of a test run are kept in folders of its own, never in the user's.
_PROGRAMS = tempfile.TemporaryDirectory(prefix="thalweg-tests-")
os.environ["XDG_CACHE_HOME"] = _PROGRAMS.name


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected lives as long as the run: the garbage collector need not look at it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write what golden texts have become"
    )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the project; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"real data sets are not beside this checkout ({SHARED.name}/ is absent)")
    return SHARED


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the file of that name in ``golden``; ``--update-golden`` writes it."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if request.config.getoption("--update-golden"):
            path.write_text(text + "\n", encoding="utf-8")
        assert path.exists(), f"{path.name} is absent: run with --update-golden and review it"
        assert text + "\n" == path.read_text(encoding="utf-8")

    return check
