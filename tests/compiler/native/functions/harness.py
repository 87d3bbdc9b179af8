"""Compiles one function over arrays for this machine, and measures errors in ulp."""

from collections.abc import Callable, Sequence
from ctypes import CFUNCTYPE, c_int64, c_void_p

import numpy as np

from thalweg.compiler.native.functions import FUNCTIONS
from thalweg.compiler.native.text import I64, POINTER, Module, number, vector

ELEMENTS = {"float": np.float32, "double": np.float64}
OPERANDS = {name: 2 if name == "pow" else 1 for name in FUNCTIONS}

Call = Callable[..., np.ndarray]


def write(names: Sequence[str], element: str, width: int) -> str:
    """LLVM's text of loops ``name(count, result, operands…)`` over arrays, ``width`` at a time."""
    module = Module()
    for name in names:
        operands = OPERANDS[name]
        f = module.function(name, (I64, *[POINTER] * (operands + 1)))
        count, result, *arrays = f.parameters
        lanes, align = vector(element, width), 4 if element == "float" else 8
        with f.loop(number(I64, 0), count, width) as loop:
            values = [f.load(f.at(array, loop.index, element), lanes, align) for array in arrays]
            value = FUNCTIONS[name](f, *values)
            assert value.type == lanes
            f.store(value, f.at(result, loop.index, element), align)
        f.leave()
        module.add(f, shared=False)
    return str(module)


def optimised(text: str, machine: object) -> object:
    """LLVM's module after the passes of level 2."""
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(text)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


class Compiled:
    """The functions of one element type and width, as calls on arrays.

    Args:
        element: ``float`` or ``double``.
        width: the lanes of one turn.
        features: taken from this machine's, ``-avx512f`` and the like.
        names: all functions, or some.
    """

    def __init__(
        self, element: str, width: int, features: str = "", names: Sequence[str] = tuple(FUNCTIONS)
    ) -> None:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        own = llvm.get_host_cpu_features().flatten()
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=",".join(filter(None, (own, features))), opt=2
        )
        module = optimised(write(names, element, width), machine)
        self.assembly = machine.emit_assembly(module)
        self._engine = llvm.create_mcjit_compiler(module, machine)
        self._engine.finalize_object()
        self.width = width
        self.dtype = np.dtype(ELEMENTS[element])

    def __call__(self, name: str, *arrays: np.ndarray) -> np.ndarray:
        arrays = np.broadcast_arrays(*[np.asarray(array, self.dtype) for array in arrays])
        count = arrays[0].size
        padded = -(-count // self.width) * self.width
        inputs = [np.resize(array, padded) for array in arrays]
        result = np.empty(padded, self.dtype)
        self.run(name, result, *inputs)
        return result[:count]

    def run(self, name: str, result: np.ndarray, *inputs: np.ndarray) -> None:
        """Fill an array whose size is a multiple of the width."""
        pointers = [c_void_p(array.ctypes.data) for array in (result, *inputs)]
        signature = CFUNCTYPE(None, c_int64, *[c_void_p] * len(pointers))
        signature(self._engine.get_function_address(name))(result.size, *pointers)


def ulp_errors(found: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Distances from exact values of more digits, in units of the last place at the exact value.

    Where the exact value rounds to infinity or NaN the distance is 0 or infinite.
    """
    with np.errstate(over="ignore", under="ignore"):
        rounded = exact.astype(found.dtype)
    same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    finite = np.isfinite(found) & np.isfinite(rounded)
    with np.errstate(over="ignore", invalid="ignore"):
        places = np.spacing(np.abs(np.where(finite, rounded, 1))).astype(exact.dtype)
        distance = np.abs(np.where(finite, found, 0).astype(exact.dtype) - exact) / places
    return np.where(finite, distance, np.where(same, 0.0, np.inf)).astype(np.float64)
