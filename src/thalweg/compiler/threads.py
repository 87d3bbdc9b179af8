"""One thread for NumPy's matrix products: results must not depend on the number of threads."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any


class _Limit:
    """How many callers want one thread now, and what gives the others back."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.wanted = 0
        self.limiter: Any = None
        self._controller: Any = None
        self._modules = -1

    def controller(self) -> Any:
        """The libraries that are loaded; looked for again where modules were imported since."""
        from threadpoolctl import ThreadpoolController

        if self._modules != len(sys.modules):
            self._controller = ThreadpoolController()
            self._modules = len(sys.modules)
        return self._controller


_LIMIT = _Limit()


@contextmanager
def one_blas_thread() -> Generator[None]:
    """Inside, matrix products use one thread; the setting is the process's, so it is counted.

    The first of several callers sets the limit, the last one to leave takes it away.
    """
    with _LIMIT.lock:
        _LIMIT.wanted += 1
        if _LIMIT.wanted == 1:
            _LIMIT.limiter = _LIMIT.controller().limit(limits=1, user_api="blas")
    try:
        yield
    finally:
        with _LIMIT.lock:
            _LIMIT.wanted -= 1
            if _LIMIT.wanted == 0:
                _LIMIT.limiter.restore_original_limits()
