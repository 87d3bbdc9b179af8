"""Loads the scripts of ``examples/`` as modules."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="session")
def example():
    """A function that gives the module of an example by its name."""
    modules: dict[str, ModuleType] = {}
    sys.path.append(str(EXAMPLES))  # where a script finds its neighbours

    def load(name: str) -> ModuleType:
        if name not in modules:
            spec = importlib.util.spec_from_file_location(
                f"examples_{name}", EXAMPLES / f"{name}.py"
            )
            assert spec is not None
            assert spec.loader is not None
            modules[name] = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = modules[name]
            spec.loader.exec_module(modules[name])
        return modules[name]

    return load
