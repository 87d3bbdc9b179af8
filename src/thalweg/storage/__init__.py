"""Files: strict JSON, atomic writing, and a container for arrays with a description."""

from thalweg.storage.atomic import write_atomically
from thalweg.storage.container import Container, check_arrays, read_container, write_container
from thalweg.storage.opening import open_regular

__all__ = [
    "Container",
    "check_arrays",
    "open_regular",
    "read_container",
    "write_atomically",
    "write_container",
]
