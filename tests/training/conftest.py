"""Every test of training runs on both backends: each is in turn what ``fit`` takes by default."""

import pytest

import thalweg as tw
from thalweg.training.backends import BACKENDS


@pytest.fixture(autouse=True, params=list(BACKENDS))
def backend(request, monkeypatch):
    """The backend of runs that name none."""
    monkeypatch.setitem(tw.fit.__kwdefaults__, "backend", request.param)
    return request.param
