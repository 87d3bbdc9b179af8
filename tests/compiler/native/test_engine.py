"""Text becomes code that runs; what is wrong is refused with a reason, never by ending Python."""

import ctypes
import gc
import threading

import numpy as np
import pytest

from thalweg.compiler.native import engine
from thalweg.compiler.native.cache import Cache, full_key
from thalweg.compiler.native.engine import COMPILATIONS, assembly, build, compile_text, load
from thalweg.compiler.native.target import host_target, limited
from thalweg.errors import CompileError

HOST = host_target()


def adds(value: int, name: str = "add") -> str:
    return f"define i64 @{name}(i64 %x) nounwind {{\n %y = add i64 %x, {value}\n ret i64 %y\n}}\n"


def calling(name: str) -> str:
    return f"""
declare float @{name}(float)
define float @run(float %x) nounwind {{
  %y = call float @{name}(float %x)
  ret float %y
}}"""


def integer(code, name="add"):
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(code.address(name))


def real(code, name="run"):
    return ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_float)(code.address(name))


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "programs")


# ---------------------------------------------------------------------------- compiling


def test_a_text_runs():
    code = load(compile_text(adds(3), HOST))
    assert integer(code)(39) == 42
    assert code.functions == {"add"}
    assert not code.cached
    assert code.seconds > 0


def test_several_functions_have_their_addresses():
    code = load(compile_text(adds(1, "one") + adds(2, "two"), HOST))
    assert code.functions == {"one", "two"}
    assert integer(code, "one")(0) == 1
    assert integer(code, "two")(0) == 2


def test_an_unknown_function_is_named_with_those_that_there_are():
    code = load(compile_text(adds(1, "one") + adds(2, "two"), HOST))
    with pytest.raises(CompileError, match=r"no function 'three'; it has one, two"):
        code.address("three")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("define i64 @f(i64 %x) {\n  ret i32 %x\n}", r":2:11: error"),
        ("nonsense", r"expected top-level entity"),
        (
            "define i64 @f(i64 %x) {\n  %a = add i64 %b, 1\n  %b = add i64 %x, 1\n  ret i64 %a\n}",
            r"does not dominate",
        ),
    ],
)
def test_wrong_texts_are_refused_with_the_message_of_llvm(text, message):
    with pytest.raises(CompileError, match=rf"(?s)LLVM refuses.*{message}.*report it"):
        compile_text(text, HOST)
    with pytest.raises(CompileError, match="LLVM refuses"):
        assembly(text, HOST)


def test_code_outlives_other_code():
    codes = [load(compile_text(adds(value), HOST)) for value in range(20)]
    kept = codes[7]
    del codes
    gc.collect()
    others = [load(compile_text(adds(-value), HOST)) for value in range(20)]
    assert integer(kept)(1) == 8
    assert [integer(code)(0) for code in others] == [-value for value in range(20)]


def test_threads_compile_and_load_at_once():
    results: dict[int, int] = {}
    began = threading.Barrier(4)

    def work(number: int) -> None:
        began.wait()
        for turn in range(5):
            code = load(compile_text(adds(1000 * number + turn), HOST))
            results[5 * number + turn] = integer(code)(0)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {5 * n + turn: 1000 * n + turn for n in range(4) for turn in range(5)}


def test_the_assembly_can_be_read():
    text = assembly(adds(77), limited("neon"))
    assert "#77" in text
    assert "ret" in text


# ---------------------------------------------------------------------------- names from outside


def test_exact_functions_of_the_system_may_be_called():
    code = load(compile_text(calling("floorf"), HOST))
    assert real(code)(-1.5) == -2.0


def test_memory_is_moved_by_the_system():
    text = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define void @move(ptr %to, ptr %from, i64 %size) nounwind {
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %size, i1 false)
  ret void
}"""
    code = load(compile_text(text, HOST))
    source, target = np.arange(1000.0), np.zeros(1000)
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    kind(code.address("move"))(target.ctypes.data, source.ctypes.data, source.nbytes)
    np.testing.assert_array_equal(target, source)


@pytest.mark.parametrize("name", ["expf", "tanhf", "no_such_function"])
def test_inexact_and_unknown_functions_are_refused(name):
    text = calling(name)
    with pytest.raises(CompileError, match=rf"needs {name} from outside"):
        compile_text(text, HOST)


def test_an_intrinsic_that_llvm_would_take_from_the_system_is_noticed():
    text = calling("llvm.exp.f32")
    with pytest.raises(CompileError, match="needs expf from outside"):
        compile_text(text, HOST)


def test_a_function_that_this_system_lacks_is_an_error_and_not_the_end(monkeypatch):
    monkeypatch.setattr(engine, "EXACT", engine.EXACT | {"absent_function"})
    text = calling("absent_function")
    code = compile_text(text, HOST)
    with pytest.raises(CompileError, match=r"needs absent_function, which this system does not"):
        load(code)


def test_a_function_that_llvm_does_not_find_is_shown_to_it(monkeypatch):
    import llvmlite.binding as llvm

    text = calling("truncf")
    code = compile_text(text, HOST)
    monkeypatch.setattr(llvm, "address_of_symbol", lambda name: None)
    shown = []
    monkeypatch.setattr(llvm, "add_symbol", lambda name, address: shown.append((name, address)))
    assert real(load(code))(-1.5) == -1.0
    ((name, address),) = shown
    assert name == "truncf"
    assert ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_float)(address)(2.5) == 2.0


def test_code_for_another_processor_is_refused():
    other = "neon" if "x86_64" in HOST.triple else None
    if other is None:
        pytest.skip("there is no other target than the host's own")
    code = compile_text(adds(1), limited(other))
    with pytest.raises(CompileError, match=r"compiled for aarch64, but this machine is x86_64"):
        load(code)


@pytest.mark.parametrize("length", [0, 3, 20, 100, -200, -1])
def test_code_that_is_cut_off_is_refused(length):
    code = compile_text(adds(1), HOST)
    with pytest.raises(CompileError, match=r"damaged|expected 64-bit"):
        load(code[:length])


# ---------------------------------------------------------------------------- with a cache


def test_a_second_build_compiles_nothing(cache):
    made = []

    def make():
        made.append(1)
        return adds(5), b'{"arena": 64}'

    before = COMPILATIONS.count
    first = build(make, b"key", HOST, cache)
    second = build(make, b"key", HOST, cache)
    assert COMPILATIONS.count == before + 1
    assert made == [1]
    assert (first.cached, second.cached) == (False, True)
    assert first.metadata == second.metadata == b'{"arena": 64}'
    assert integer(first)(1) == integer(second)(1) == 6
    assert first.seconds > 0
    assert second.seconds > 0


def test_other_keys_and_targets_are_other_programs(cache):
    before = COMPILATIONS.count
    build(lambda: (adds(1), b""), b"one", HOST, cache)
    build(lambda: (adds(2), b""), b"two", HOST, cache)
    narrow = limited("sse") if "x86_64" in HOST.triple else None
    if narrow is not None:
        build(lambda: (adds(3), b""), b"one", narrow, cache)
    made = 2 + (narrow is not None)
    assert COMPILATIONS.count == before + made
    assert len(cache.entries()) == made
    assert integer(build(lambda: (adds(9), b""), b"one", HOST, cache))(0) == 1


def test_without_a_key_nothing_is_kept(cache):
    code = build(lambda: (adds(1), b"facts"), None, HOST, cache)
    assert (code.cached, code.metadata) == (False, b"facts")
    assert cache.entries() == []
    assert not cache.folder.exists()


@pytest.mark.parametrize("place", [0, 20, 60, 100, -1])
def test_a_damaged_entry_is_compiled_again(cache, place):
    build(lambda: (adds(5), b"m"), b"key", HOST, cache)
    (path,) = cache.folder.iterdir()
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    before = COMPILATIONS.count
    code = build(lambda: (adds(5), b"m"), b"key", HOST, cache)
    assert (code.cached, COMPILATIONS.count) == (False, before + 1)
    assert integer(code)(1) == 6
    assert build(lambda: (adds(5), b"m"), b"key", HOST, cache).cached


def test_a_sound_entry_that_this_machine_cannot_load_is_compiled_again(cache):
    foreign = "neon" if "x86_64" in HOST.triple else None
    content = compile_text(adds(5), limited(foreign)) if foreign else b"no object"
    cache.store(full_key(b"key", HOST), content, b"m")
    code = build(lambda: (adds(5), b"m"), b"key", HOST, cache)
    assert not code.cached
    assert integer(code)(1) == 6
    assert build(lambda: (adds(5), b"m"), b"key", HOST, cache).cached


def test_a_folder_that_cannot_be_used_only_costs_time(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(RuntimeWarning, match="not kept"):
        code = build(lambda: (adds(5), b""), b"key", HOST, Cache(tmp_path / "file" / "programs"))
    assert integer(code)(1) == 6


def test_what_make_raises_leaves_nothing(cache):
    def make():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build(make, b"key", HOST, cache)
    with pytest.raises(CompileError):
        build(lambda: ("nonsense", b""), b"key", HOST, cache)
    assert cache.entries() == []
