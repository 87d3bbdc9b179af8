"""One result at every width, with every instruction set, and text that other machines take."""

import re

import numpy as np
import pytest
from tests.compiler.native.functions.harness import (
    ELEMENTS,
    OPERANDS,
    Compiled,
    optimised,
    write,
)
from tests.compiler.native.functions.judges import points

from thalweg.compiler.native.functions import FUNCTIONS

# Eight lanes without AVX-512, four without AVX and multiply-add instructions.
WITHOUT_512 = "-avx512f,-avx512vl,-avx512dq,-avx512bw"
WITHOUT_AVX = f"{WITHOUT_512},-avx,-avx2,-fma"


def results(compiled: Compiled) -> dict[str, np.ndarray]:
    return {name: compiled(name, *points(name, compiled.dtype, 2000)) for name in FUNCTIONS}


@pytest.fixture(scope="module", params=ELEMENTS)
def scalar(request: pytest.FixtureRequest) -> tuple[str, dict[str, np.ndarray]]:
    return request.param, results(Compiled(request.param, 1))


def assert_same_bits(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    for name, values in first.items():
        whole = np.uint32 if values.dtype == np.float32 else np.uint64
        differ = (values.view(whole) != second[name].view(whole)) & ~np.isnan(values)
        assert not differ.any(), name
        assert np.array_equal(np.isnan(values), np.isnan(second[name])), name


@pytest.mark.parametrize("width", [2, 4, 8, 16, 32])
def test_every_width_gives_the_same_bits(
    scalar: tuple[str, dict[str, np.ndarray]], width: int
) -> None:
    element, expected = scalar
    assert_same_bits(expected, results(Compiled(element, width)))


@pytest.mark.parametrize(("features", "width"), [(WITHOUT_512, 8), (WITHOUT_AVX, 4)])
def test_every_instruction_set_gives_the_same_bits(
    scalar: tuple[str, dict[str, np.ndarray]], features: str, width: int
) -> None:
    import llvmlite.binding as llvm

    if not llvm.get_default_triple().startswith("x86_64"):
        pytest.skip("these are features of x86-64")
    element, expected = scalar
    assert_same_bits(expected, results(Compiled(element, width, features)))


@pytest.mark.parametrize("element", ELEMENTS)
def test_nothing_is_called_but_the_sine_of_large_angles(element: str) -> None:
    import llvmlite.binding as llvm

    if not llvm.get_host_cpu_features().get("fma", False):
        pytest.skip("without multiply-add instructions LLVM calls a function for them")
    called = set(re.findall(r"call\w*\s+\*?(\S+)", Compiled(element, 8).assembly))
    # a call of a far function goes through a register
    assert all(name.startswith(("%r", "large_")) for name in called), called


@pytest.mark.parametrize("element", ELEMENTS)
def test_aarch64_takes_the_text_without_calls(element: str) -> None:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple("aarch64-linux-gnu")
    machine = target.create_target_machine(cpu="generic", opt=2)
    names = [name for name in FUNCTIONS if name not in ("sin", "cos")]
    assembly = machine.emit_assembly(optimised(write(names, element, 4), machine))
    assert not re.search(r"^\s+bl\s", assembly, re.MULTILINE)
    waves = machine.emit_assembly(optimised(write(["sin", "cos"], element, 4), machine))
    assert set(re.findall(r"^\s+bl\s+(\w+)", waves, re.MULTILINE)) <= {
        "large_sine", "large_sine_v4f32", "large_sine_v4f64",
        "large_cosine_v4f32", "large_cosine_v4f64",
    }  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_result_has_the_type_of_the_operands(name: str) -> None:
    for element in ELEMENTS:
        for width in (1, 2, 32):
            assert f"@{name}(" in write([name], element, width)
    assert OPERANDS[name] in {1, 2}
