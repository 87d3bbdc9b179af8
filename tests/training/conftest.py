"""Every test of training runs on both backends: each is in turn what ``fit`` takes by default."""

import pytest

import thalweg as tw
from thalweg.training.arguments import Arguments
from thalweg.training.backends import BACKENDS


@pytest.fixture(autouse=True, params=list(BACKENDS))
def backend(request, monkeypatch):
    """The backend of runs that name none."""
    monkeypatch.setitem(tw.fit.__kwdefaults__, "backend", request.param)
    defaults = [request.param if value == "native" else value for value in _init().__defaults__]
    monkeypatch.setattr(_init(), "__defaults__", tuple(defaults))
    return request.param


def _init():
    return Arguments.__init__
