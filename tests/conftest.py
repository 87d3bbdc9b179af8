"""Fixtures shared by all tests."""

from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


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
