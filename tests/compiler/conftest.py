"""Programs of these tests are small and many, and few of them are met twice."""

import tempfile

import pytest


@pytest.fixture(autouse=True)
def programs(monkeypatch):
    """Each test keeps its programs apart: storing one looks at all that lie in the folder."""
    with tempfile.TemporaryDirectory(prefix="thalweg-tests-") as folder:
        monkeypatch.setenv("XDG_CACHE_HOME", folder)
        yield
