"""Compiles LLVM's text for this machine, as calls on arrays and numbers."""

import ctypes
from collections.abc import Callable

import numpy as np


def compiled(text: str, name: str) -> Callable[..., None]:
    """A ``void`` function of the text; arrays are handed over as addresses, the rest as i64."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly(text)
    module.verify()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2
    )
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    address = engine.get_function_address(name)

    def call(*arguments: np.ndarray | int) -> None:
        assert engine is not None  # keeps the code alive
        places = [item if isinstance(item, int) else item.ctypes.data for item in arguments]
        ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(places))(address)(*places)

    return call
