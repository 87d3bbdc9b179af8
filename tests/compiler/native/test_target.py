"""What a machine's instructions say about its vectors, and that compiled code keeps to them."""

import ctypes
import re

import numpy as np
import pytest

from thalweg.compiler.native import target as targets
from thalweg.compiler.native.engine import assembly, compile_text, load
from thalweg.compiler.native.target import Target, host_target, limited
from thalweg.compiler.native.text import F32, I64, POINTER, Module, number, vector
from thalweg.errors import SettingError

X86 = {"avx512": (64, 32), "avx2": (32, 16), "sse": (16, 16)}


def here(name):
    """A limited target, where this machine has it."""
    try:
        return limited(name)
    except SettingError:
        pytest.skip(f"this machine has no {name}")


def axpy(target: Target) -> str:
    """y ← 3 x + y over 64 numbers, in the target's vectors."""
    module, type_ = Module(), vector(F32, target.lanes(4))
    f = module.function("axpy", [POINTER, POINTER])
    x, y = f.parameters
    with f.loop(number(I64, 0), number(I64, 64), target.lanes(4)) as loop:
        place = f.at(y, loop.index, F32)
        given = f.load(f.at(x, loop.index, F32), type_, 4)
        f.store(f.fma(number(type_, 3.0), given, f.load(place, type_, 4)), place, 4)
    f.leave()
    module.add(f)
    return str(module)


def registers(target: Target) -> set[str]:
    return set(re.findall(r"%([xyz]mm)\d", assembly(axpy(target), target)))


def test_the_host_has_vectors_of_its_widest_instructions():
    host = host_target()
    assert host is host_target()
    assert host.vector_bytes in {16, 32, 64}
    assert (host.lanes(4), host.lanes(8)) == (host.vector_bytes // 4, host.vector_bytes // 8)
    flags = host.features.split(",")
    if "x86_64" in host.triple:
        assert ("+avx512vl" in flags) == (host.vector_bytes == 64) == (host.registers == 32)
        assert ("+fma" in flags) == host.has_fma


@pytest.mark.parametrize("name", X86)
def test_limited_targets(name):
    target = here(name)
    size, count = X86[name]
    assert (target.vector_bytes, target.registers) == (size, count)
    assert target.has_fma == (name != "sse")
    assert target.has_estimates == (name == "avx512")
    assert target.triple == host_target().triple
    on = {flag for flag in target.features.split(",") if flag.startswith("+")}
    assert on <= set(host_target().features.split(","))


def test_only_the_widest_registers_allowed_are_used():
    assert registers(here("sse")) == {"xmm"}
    assert registers(here("avx2")) <= {"ymm", "xmm"}
    assert "ymm" in registers(here("avx2"))
    assert registers(here("avx512")) == {"zmm"}


@pytest.mark.parametrize("name", X86)
def test_limited_code_runs_and_is_right(name):
    target = here(name)
    code = load(compile_text(axpy(target), target))
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(code.address("axpy"))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 64)).astype(np.float32)
    expected = (3.0 * x.astype(np.float64) + y).astype(np.float32)
    call(x.ctypes.data, y.ctypes.data)
    np.testing.assert_array_equal(y, expected)


def test_neon_is_compiled_on_any_machine():
    target = limited("neon")
    assert (target.vector_bytes, target.registers, target.has_fma) == (16, 32, True)
    assert re.search(r"fmla\s+v\d+\.4s", assembly(axpy(target), target))


def test_unknown_names_are_refused():
    with pytest.raises(SettingError, match=r"'avx1024' is not one of avx512, avx2, sse, neon"):
        limited("avx1024")


@pytest.mark.parametrize(
    ("flags", "size", "count", "has_fma"),
    [
        ({"sse2"}, 16, 16, False),
        ({"avx"}, 32, 16, False),
        ({"avx", "avx2", "fma"}, 32, 16, True),
        ({"avx", "avx2", "fma", "avx512f", "avx512cd"}, 32, 16, True),
        ({"avx", "avx2", "fma", "avx512f", "avx512dq", "avx512bw", "avx512vl"}, 64, 32, True),
    ],
)
def test_other_machines_are_described_by_their_instructions(
    monkeypatch, flags, size, count, has_fma
):
    import llvmlite.binding as llvm

    features = {"sse2": False, "avx": False, "avx512f": False} | dict.fromkeys(flags, True)
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: features)
    monkeypatch.setattr(llvm, "get_process_triple", lambda: "x86_64-pc-windows-msvc")
    target = targets.host_target.__wrapped__()
    assert (target.vector_bytes, target.registers, target.has_fma) == (size, count, has_fma)
    assert target.triple == "x86_64-pc-windows-msvc"
    if size < 64:
        with pytest.raises(SettingError, match=r"has no (avx512vl|avx2|sse4.2) instructions"):
            targets.limited.__wrapped__("sse" if "avx" not in flags else "avx512")


@pytest.fixture(autouse=True)
def _fresh():
    """Targets found under a test's pretences are forgotten."""
    yield
    targets.limited.cache_clear()
