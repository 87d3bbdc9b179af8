"""LLVM's text form, written instruction by instruction.

A :class:`Value` is an operand with its type. A :class:`Function` is written from top to bottom:
each call adds an instruction and gives its result. Loops carry values from turn to turn without
any memory (:meth:`Function.loop`). A :class:`Module` gathers functions; equal ones are kept once.

Nothing here knows what is computed, or on which machine.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

I1, I8, I32, I64, F32, F64, POINTER = "i1", "i8", "i32", "i64", "float", "double", "ptr"


class Value(NamedTuple):
    """An operand: its text (``%7``, ``42``) and its type (``i64``, ``<16 x float>``)."""

    text: str
    type: str

    def __str__(self) -> str:
        return f"{self.type} {self.text}"


def vector(element: str, width: int) -> str:
    """The type of ``width`` lanes; with one lane the element itself."""
    return element if width == 1 else f"<{width} x {element}>"


def width_of(type_: str) -> int:
    """The number of lanes of a type."""
    return int(type_[1 : type_.index(" ")]) if type_.startswith("<") else 1


def element_of(type_: str) -> str:
    """The type of one lane."""
    return type_[type_.rindex(" ") + 1 : -1] if type_.startswith("<") else type_


def like(type_: str, element: str) -> str:
    """Another element with as many lanes as ``type_`` has."""
    return vector(element, width_of(type_))


def suffix(type_: str) -> str:
    """How a type is written in the name of an intrinsic: ``v16f32``, ``i64``."""
    element, width = element_of(type_), width_of(type_)
    short = {"float": "f32", "double": "f64", "ptr": "p0"}.get(element, element)
    return short if width == 1 else f"v{width}{short}"


def number(type_: str, value: float) -> Value:
    """A constant, in every lane.

    Floats are written bit for bit; a value is rounded to float32 for ``float``.

    >>> str(number("<4 x float>", 0.5)), str(number("i64", 3))
    ('<4 x float> splat (float 0x3FE0000000000000)', 'i64 3')
    """
    element = element_of(type_)
    if element == F32:
        text = f"0x{_bits(_rounded(value)):016X}"
    elif element == F64:
        text = f"0x{_bits(value):016X}"
    else:
        text = str(int(value))
    if element == type_:
        return Value(text, type_)
    return Value(f"splat ({element} {text})", type_)


def lanes(type_: str, values: Sequence[int]) -> Value:
    """A vector constant of whole numbers, lane by lane."""
    element = element_of(type_)
    if element == type_:
        return Value(str(values[0]), type_)
    return Value(f"<{', '.join(f'{element} {value}' for value in values)}>", type_)


def _rounded(value: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _bits(value: float) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


class Loop:
    """A loop being written.

    Attributes:
        index: the running number.
        values: the carried values at the start of a turn.
        results: the carried values after the loop.
    """

    def __init__(self, index: Value, values: list[Value]) -> None:
        self.index = index
        self.values = values
        self.results: list[Value] = []

    def next(self, values: Sequence[Value]) -> None:
        """What the carried values are in the next turn."""
        self.results = list(values)


class Function:
    """One function, written from top to bottom.

    Args:
        module: where declarations of intrinsics are noted.
        name: without the ``@``.
        parameters: types.
        result: the type given back.
        attributes: written after the parameter list.
    """

    def __init__(
        self,
        module: Module,
        name: str,
        parameters: Sequence[str] = (),
        result: str = "void",
        attributes: str = "nounwind",
    ) -> None:
        self.module = module
        self.name = name
        self.types = list(parameters)
        self.result = result
        self.attributes = attributes
        self.parameters = [Value(f"%p{place}", type_) for place, type_ in enumerate(parameters)]
        self.lines: list[str] = []
        self.block = "entry"
        self._count = 0

    # ------------------------------------------------------------------ instructions

    def emit(self, type_: str, instruction: str) -> Value:
        """Add an instruction with a result of this type."""
        self._count += 1
        name = f"%v{self._count}"
        self.lines.append(f"  {name} = {instruction}")
        return Value(name, type_)

    def do(self, instruction: str) -> None:
        """Add an instruction without a result."""
        self.lines.append(f"  {instruction}")

    def binary(self, operation: str, first: Value, second: Value) -> Value:
        """``fadd``, ``fsub``, ``fmul``, ``fdiv``, ``add``, ``and``, ``shl``, … of two values."""
        return self.emit(first.type, f"{operation} {first}, {second.text}")

    def negated(self, value: Value) -> Value:
        """A float with its sign turned (``fneg``), NaN and zero included."""
        return self.emit(value.type, f"fneg {value}")

    def compare(self, predicate: str, first: Value, second: Value) -> Value:
        """``fcmp olt``, ``icmp slt``, …: an ``i1`` in each lane."""
        return self.emit(like(first.type, I1), f"{predicate} {first}, {second.text}")

    def select(self, condition: Value, yes: Value, no: Value) -> Value:
        """Lane by lane, ``yes`` where the condition holds, else ``no``."""
        return self.emit(yes.type, f"select {condition}, {yes}, {no}")

    def convert(self, operation: str, value: Value, element: str) -> Value:
        """``sitofp``, ``fptrunc``, ``zext``, ``bitcast``, … to lanes of another element."""
        type_ = like(value.type, element)
        return self.emit(type_, f"{operation} {value} to {type_}")

    def intrinsic(self, name: str, type_: str, *arguments: Value, overloads: str = "") -> Value:
        """Call ``@llvm.name.<type>``; ``overloads`` replaces the type in its name."""
        full = f"llvm.{name}.{overloads or suffix(type_)}"
        return self.call(full, type_, *arguments)

    def call(self, name: str, type_: str, *arguments: Value) -> Value:
        """Call a function that is declared, with a result."""
        self.module.declare(name, type_, [argument.type for argument in arguments])
        return self.emit(type_, f"call {type_} @{name}({', '.join(map(str, arguments))})")

    def run(self, name: str, *arguments: Value) -> None:
        """Call a function without a result."""
        self.module.declare(name, "void", [argument.type for argument in arguments])
        self.do(f"call void @{name}({', '.join(map(str, arguments))})")

    def fma(self, first: Value, second: Value, third: Value) -> Value:
        """``first · second + third`` with one rounding."""
        return self.intrinsic("fma", first.type, first, second, third)

    def multiply_add(self, first: Value, second: Value, third: Value) -> Value:
        """``first · second + third``, with one rounding where the machine can do that at once."""
        if self.module.fuses:
            return self.fma(first, second, third)
        return self.binary("fadd", self.binary("fmul", first, second), third)

    # ------------------------------------------------------------------ lanes

    def splat(self, value: Value, width: int) -> Value:
        """One value in every lane."""
        if width == 1:
            return value
        type_ = vector(value.type, width)
        first = self.emit(type_, f"insertelement {type_} poison, {value}, i64 0")
        return self.emit(
            type_, f"shufflevector {first}, {type_} poison, <{width} x i32> zeroinitializer"
        )

    def extract(self, value: Value, lane: int) -> Value:
        """One lane."""
        if width_of(value.type) == 1:
            return value
        return self.emit(element_of(value.type), f"extractelement {value}, i64 {lane}")

    def insert(self, value: Value, element: Value, lane: int) -> Value:
        """A vector with one lane replaced."""
        if width_of(value.type) == 1:
            return element
        return self.emit(value.type, f"insertelement {value}, {element}, i64 {lane}")

    def shuffle(self, first: Value, second: Value, places: Sequence[int]) -> Value:
        """Lanes picked from two vectors (the second's are numbered after the first's)."""
        type_ = vector(element_of(first.type), len(places))
        mask = ", ".join(f"i32 {place}" for place in places)
        return self.emit(type_, f"shufflevector {first}, {second}, <{len(places)} x i32> <{mask}>")

    # ------------------------------------------------------------------ memory

    def at(self, base: Value, index: Value | int, element: str) -> Value:
        """The address of an element of an array."""
        place = index if isinstance(index, Value) else number(I64, index)
        if place.text == "0":
            return base
        return self.emit(POINTER, f"getelementptr inbounds {element}, {base}, {place}")

    def load(self, address: Value, type_: str, align: int, note: str = "") -> Value:
        """Read from memory."""
        return self.emit(type_, f"load {type_}, {address}, align {align}{note}")

    def store(self, value: Value, address: Value, align: int, note: str = "") -> None:
        """Write to memory."""
        self.do(f"store {value}, {address}, align {align}{note}")

    # ------------------------------------------------------------------ control

    def start(self, label: str) -> None:
        """Begin a block."""
        self.lines.append(f"{label}:")
        self.block = label

    def label(self, kind: str) -> str:
        """A new label."""
        self._count += 1
        return f"{kind}{self._count}"

    @contextmanager
    def loop(
        self, begin: Value, end: Value, step: Value | int = 1, carried: Sequence[Value] = ()
    ) -> Generator[Loop]:
        """A loop over ``begin, begin + step, … < end``; ``loop.next(values)`` carries on.

        With no turn at all the results are the carried values as given.
        """
        body, after = self.label("loop"), self.label("after")
        step = step if isinstance(step, Value) else number(I64, step)
        before = self.block
        enters = self.compare("icmp slt", begin, end)
        self.do(f"br {enters}, label %{body}, label %{after}")
        self.start(body)
        places = len(self.lines)
        names = [self.emit(value.type, "") for value in (begin, *carried)]
        loop = Loop(names[0], names[1:])
        yield loop
        last, following = self.block, self.binary("add nsw", loop.index, step)
        goes_on = self.compare("icmp slt", following, end)
        self.do(f"br {goes_on}, label %{body}, label %{after}")
        results = loop.results or loop.values
        for offset, (name, first, then) in enumerate(
            zip(names, (begin, *carried), (following, *results), strict=True)
        ):
            self.lines[places + offset] = (
                f"  {name.text} = phi {name.type} [ {first.text}, %{before} ], "
                f"[ {then.text}, %{last} ]"
            )
        self.start(after)
        loop.results = [
            self.emit(
                first.type,
                f"phi {first.type} [ {first.text}, %{before} ], [ {then.text}, %{last} ]",
            )
            for first, then in zip(carried, results, strict=True)
        ]

    @contextmanager
    def when(self, condition: Value) -> Generator[None]:
        """What is written inside runs only where the condition (an ``i1``) holds."""
        yes, after = self.label("yes"), self.label("after")
        self.do(f"br {condition}, label %{yes}, label %{after}")
        self.start(yes)
        yield
        self.do(f"br label %{after}")
        self.start(after)

    @contextmanager
    def unless_over(self, condition: Value) -> Generator[None]:
        """What is written inside, which must :meth:`leave`, runs where the condition holds."""
        yes, after = self.label("over"), self.label("on")
        self.do(f"br {condition}, label %{yes}, label %{after}")
        self.start(yes)
        yield
        self.start(after)

    def leave(self, value: Value | None = None) -> None:
        """Return."""
        self.do("ret void" if value is None else f"ret {value}")

    def header(self, name: str) -> str:
        """The line that defines the function under a name."""
        taken = ", ".join(map(str, self.parameters))
        return f"define {self.result} @{name}({taken}) {self.attributes} {{"

    def body(self) -> str:
        """The instructions."""
        return "\n".join(["entry:", *self.lines, "}"])


class Module:
    """Functions that are compiled together.

    Args:
        fuses: whether the machine has multiply-adds with one rounding.
    """

    def __init__(self, fuses: bool = True) -> None:
        self.fuses = fuses
        self._declared: dict[str, str] = {}
        self._tables: dict[tuple[int, ...], str] = {}
        self._defined: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def declare(self, name: str, result: str, parameters: Sequence[str]) -> None:
        """Note that a function is called, for its declaration."""
        self._declared[name] = f"declare {result} @{name}({', '.join(parameters)})"

    def table(self, numbers: Sequence[int]) -> Value:
        """The address of whole numbers (``i64``) that stand in the program; equal ones once."""
        key = tuple(numbers)
        name = self._tables.setdefault(key, f"table{len(self._tables)}")
        return Value(f"@{name}", POINTER)

    def function(
        self,
        name: str,
        parameters: Sequence[str] = (),
        result: str = "void",
        attributes: str = "nounwind",
    ) -> Function:
        """A function to be written; :meth:`add` puts it into the module."""
        return Function(self, name, parameters, result, attributes)

    def add(self, function: Function, shared: bool = True) -> str:
        """Put a finished function into the module; gives the name to call it by.

        Args:
            function: finished with :meth:`Function.leave`.
            shared: where an equal function is there, its name is given instead.
        """
        body = function.header("") + function.body()
        if shared and body in self._names:
            return self._names[body]
        name = function.name
        while name in self._defined:
            name += "_"
        self._names.setdefault(body, name)
        self._defined[name] = f"{function.header(name)}\n{function.body()}"
        return name

    def __str__(self) -> str:
        declared = [text for name, text in self._declared.items() if name not in self._defined]
        tables = [
            f"@{name} = private unnamed_addr constant [{len(numbers)} x i64] "
            f"[{', '.join(f'i64 {value}' for value in numbers)}], align 8"
            for numbers, name in self._tables.items()
        ]
        return "\n\n".join(["\n".join([*declared, *tables]), *self._defined.values()]) + "\n"
