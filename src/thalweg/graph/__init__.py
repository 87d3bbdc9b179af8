"""What a computation is: tensors, primitives, graphs.

The grammar of a graph::

    graph     ::= inputs nodes outputs
    node      ::= tensor = primitive[parameters] tensor*
    tensor    ::= input | constant | node            (each defined once, before it is used)
    type      ::= dtype[shape]                        (float32[32,64])

A :class:`Tensor` is *eager* when it has a value and *traced* when it has none. Applying a primitive
to eager tensors computes at once; where an input is traced, or is tracked for differentiation, the
result remembers its source. So a graph is what a result remembers, and the same Python function
runs eagerly, is differentiated as it runs, or is traced once and compiled.
"""

from thalweg.graph.graph import Graph, is_constant, node_flops, topological, trace_flat
from thalweg.graph.label import Label, current_label, labelled
from thalweg.graph.primitive import PRIMITIVES, Primitive, Sample, apply, defer, register
from thalweg.graph.tensor import (
    OPERATORS,
    Source,
    Tensor,
    as_tensor,
    constant,
    leaf,
    placeholder,
    source_of,
)
from thalweg.graph.types import (
    DTYPES,
    Array,
    Shape,
    TensorType,
    as_array,
    as_dtype,
    as_shape,
    converted,
    type_of,
)
from thalweg.graph.verify import verify

__all__ = [
    "DTYPES",
    "OPERATORS",
    "PRIMITIVES",
    "Array",
    "Graph",
    "Label",
    "Primitive",
    "Sample",
    "Shape",
    "Source",
    "Tensor",
    "TensorType",
    "apply",
    "as_array",
    "as_dtype",
    "as_shape",
    "as_tensor",
    "constant",
    "converted",
    "current_label",
    "defer",
    "is_constant",
    "labelled",
    "leaf",
    "node_flops",
    "placeholder",
    "register",
    "source_of",
    "topological",
    "trace_flat",
    "type_of",
    "verify",
]
