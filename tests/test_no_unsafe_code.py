"""Nothing in the package turns data into code: no pickle, marshal, eval, exec, import by name.

The test reads the syntax trees of every file in ``src``. It knows names, not values, so that it is
strict about names: even a harmless use of a forbidden one is refused.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
FILES = sorted(SOURCE.rglob("*.py"))

MODULES = {
    *("pickle", "cPickle", "_pickle", "pickletools", "cloudpickle", "dill", "jsonpickle"),
    *("copyreg", "marshal", "shelve", "dbm", "joblib", "sklearn.externals", "yaml"),
    *("builtins", "__builtin__", "imp", "runpy", "code", "codeop", "pkgutil", "zipimport"),
    *("multiprocessing.connection", "multiprocessing.managers", "xmlrpc", "pydoc"),
}
"""Modules that unpickle, run code, or import by name; and those inside them."""

IMPORTLIB = {"importlib.metadata", "importlib.resources", "importlib.abc"}
"""The parts of importlib that only look."""

NAMES = {"eval", "exec", "execfile", "__import__", "__builtins__", "__loader__", "breakpoint"}
"""Names that may not even be mentioned."""

BUILTIN_COMPILE = "compile"

ATTRIBUTES = {
    *("import_module", "__import__", "__builtins__", "__globals__", "__subclasses__"),
    *("exec_module", "load_module", "spec_from_file_location", "module_from_spec", "resolve_name"),
    *("read_pickle", "to_pickle", "unsafe_load", "full_load", "unsafe_load_all", "load_pickle"),
    *("FunctionType", "CodeType", "LambdaType", "run_path", "run_module"),
}
"""Attributes, and names imported from modules, that lead to the same."""

SHELL = {("os", "system"), ("os", "popen"), ("os", "execv"), ("os", "spawnv")}
UNSAFE_LOADS = {("torch", "load"), ("yaml", "load"), ("joblib", "load"), ("pandas", "eval")}


def faults(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and reason of everything forbidden in a syntax tree."""
    own = own_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (
                (node.lineno, reason) for name in node.names for reason in module(name.name)
            )
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, reason) for reason in from_module(node))
        elif isinstance(node, ast.Name):
            if node.id in NAMES or (node.id == BUILTIN_COMPILE and node.id not in own):
                yield node.lineno, f"names {node.id}"
        elif isinstance(node, ast.Attribute):
            yield from ((node.lineno, reason) for reason in attribute(node))
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, reason) for reason in call(node))


def own_names(tree: ast.AST) -> set[str]:
    """The functions that a file defines or imports, by the name that it uses for them."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    defined = {node.name for node in ast.walk(tree) if isinstance(node, functions)}
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return defined | {name.asname or name.name for node in imports for name in node.names}


def module(name: str) -> Iterator[str]:
    """Why a module may not be imported."""
    parts = name.split(".")
    inside = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    if inside & MODULES or (parts[0] == "importlib" and not inside & IMPORTLIB):
        yield f"imports {name}"


def from_module(node: ast.ImportFrom) -> Iterator[str]:
    """Why names may not be imported from a module."""
    if node.level:
        return
    origin = node.module or ""
    for name in node.names:
        whole = f"{origin}.{name.name}"
        if found := [*module(whole)]:
            yield from found
        elif name.name in ATTRIBUTES | NAMES or (origin, name.name) in SHELL | UNSAFE_LOADS:
            yield f"imports {whole}"


def attribute(node: ast.Attribute) -> Iterator[str]:
    """Why an attribute may not be used."""
    owner = node.value.id if isinstance(node.value, ast.Name) else ""
    aliases = {"pd": "pandas"}
    if node.attr in ATTRIBUTES or (aliases.get(owner, owner), node.attr) in SHELL | UNSAFE_LOADS:
        yield f"uses {owner}.{node.attr}"


def call(node: ast.Call) -> Iterator[str]:
    """Why a call may not be made: unsafe switches, and forbidden names given as text."""
    for keyword in node.keywords:
        value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        if keyword.arg == "allow_pickle" and value is not False:
            yield "passes allow_pickle"
        if keyword.arg in {"weights_only", "safe_mode"} and value is not True:
            yield f"passes {keyword.arg}"
        if keyword.arg == "shell" and value is not False:
            yield "passes shell"
    if isinstance(node.func, ast.Name) and node.func.id in {"getattr", "hasattr", "attrgetter"}:
        texts = {one.value for one in node.args if isinstance(one, ast.Constant)}
        for name in sorted(texts & (ATTRIBUTES | NAMES)):
            yield f"reaches for {name}"


MEASURED = {
    ("joblib_loop.py", f"imports {name}")
    for name in ("joblib", "joblib.Parallel", "joblib.delayed")
}
"""What the benchmark's loop over joblib needs of it, to be measured beside thalweg; no more."""


def test_there_are_files_to_read():
    assert SOURCE / "thalweg" / "storage" / "container.py" in FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_unsafe_code(path):
    found = [(path.name, reason) for _, reason in faults(ast.parse(path.read_text()))]
    assert [fault for fault in found if fault not in MEASURED] == []


UNSAFE = [
    "import pickle",
    "import pickle as json",
    "import os, marshal",
    "from pickle import loads",
    "from _pickle import loads",
    "import shelve",
    "import dill.source",
    "import joblib",
    "import importlib",
    "import importlib.util",
    "from importlib import import_module",
    "from importlib import import_module as get",
    "from importlib import util",
    "importlib.import_module('os')",
    "x = __import__",
    "eval('1')",
    "run = exec",
    "list(map(eval, lines))",
    "def f():\n    exec(text)",
    "compile(text, 'x', 'exec')",
    "f(compile)",
    "__builtins__['ev' + 'al']('1')",
    "import builtins",
    "from builtins import eval as f",
    "getattr(x, '__import__')",
    "getattr(x, 'import_module')",
    "f.__globals__['x']",
    "np.load(path, allow_pickle=True)",
    "np.load(path, allow_pickle=flag)",
    "np.save(path, array, allow_pickle=True)",
    "pd.read_pickle(path)",
    "frame.to_pickle(path)",
    "pd.eval(text)",
    "import yaml\nyaml.load(text)",
    "from yaml import load",
    "from yaml import unsafe_load",
    "torch.load(path)",
    "from torch import load",
    "torch.load(path, weights_only=False)",
    "joblib.load(path)",
    "os.system('true')",
    "from os import system",
    "subprocess.run('true', shell=True)",
    "types.FunctionType(code, {})",
    "from types import CodeType",
    "import runpy",
    "from multiprocessing.connection import Client",
    "import multiprocessing.connection",
]


@pytest.mark.parametrize("text", UNSAFE)
def test_unsafe_code_is_found(text):
    assert [*faults(ast.parse(text))] != []


SAFE = [
    "import ctypes\nctypes.CFUNCTYPE(None)(address)",
    "import importlib.metadata\nimportlib.metadata.version('thalweg')",
    "from importlib import resources",
    "import json, multiprocessing\njson.loads(text)",
    "np.load(path, allow_pickle=False)",
    "from thalweg.compiler import compile\ncompile(f)",
    "def compile(f): ...\ncompile(f)",
    "re.compile('x')",
    "model.eval()",
    "getattr(x, 'shape')",
    "'eval(1)'  # exec",
    "safetensors.numpy.load(data)",
]


@pytest.mark.parametrize("text", SAFE)
def test_safe_code_is_not_refused(text):
    assert [*faults(ast.parse(text))] == []
