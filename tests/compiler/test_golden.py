"""The simplified and stabilised graphs of well-known computations, as committed texts.

A change of a rule shows here as a difference of text: ``pytest --update-golden``, then review.
"""

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.passes.pipeline import optimise
from thalweg.compiler.passes.simplify import simplify
from thalweg.graph import labelled
from thalweg.ops import functions as ops

F32 = np.float32


def array(*shape):
    return np.linspace(-1, 1, int(np.prod(shape)), dtype=F32).reshape(shape)


LABELS = np.array([1, 0, 2, 1])
ROWS = array(4, 3)


def mlp(p, x):
    with labelled("0 (Linear)"):
        hidden = x @ p["w1"] + p["b1"]
    with labelled("1 (ReLU)"):
        hidden = ops.maximum(hidden, 0.0)
    with labelled("2 (Linear)"):
        return hidden @ p["w2"] + p["b2"]


def cross_entropy(p, x, labels):
    logits = mlp(p, x)
    with labelled("loss"):
        picked = (logits * ops.one_hot(labels, 3)).sum(1)
        return (ops.logsumexp(logits, 1) - picked).mean()


PARAMETERS = {"w1": array(3, 5), "b1": array(5), "w2": array(5, 3), "b2": array(3)}


def softmax(x):
    shifted = ops.exp(x - ops.stop_gradient(ops.max_(x, -1, keepdims=True)))
    return shifted / shifted.sum(-1, keepdims=True)


def layer_norm(x, scale, shift):
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred * centred).mean(-1, keepdims=True)
    return centred / ops.sqrt(variance + 1e-5) * scale + shift


def squared_error(w, x, y):
    return ((x @ w - y) ** 2).mean()


def adam(w, g, mean, square, step, rate):
    time = step.astype("float64") + 1.0
    mean = mean * 0.9 + g * 0.1
    square = square * 0.999 + g * g * 0.001
    size = rate / (1.0 - ops.power(0.9, time))
    root = ops.sqrt(square) / ops.sqrt(1.0 - ops.power(0.999, time)) + 1e-8
    return w - mean * size / root, mean, square


def clipped(a, b):
    norm = ops.sqrt((a * a).sum() + (b * b).sum())
    factor = 1.0 / ops.maximum(norm, 1.0)
    return a * factor, b * factor


def dropout(x, key):
    kept = ops.uniform(ops.fold_in(key, 3), x.shape) >= 0.25
    return ops.where(kept, x / 0.75, 0.0)


def attention(q, k, v):
    return softmax(q @ k.transpose(0, 2, 1) / 2.0) @ v


def gelu(x):
    return x * 0.5 * (1.0 + ops.erf(x * 0.7071067811865476))


def embedding(table, labels):
    return (ops.take(table, labels) ** 2).sum()


def sgd_step(p, x, labels, rate):
    loss, gradient = tw.value_and_grad(cross_entropy)(p, x, labels)
    return loss, {name: p[name] - rate * gradient[name] for name in p}


STEP, RATE, KEY = np.asarray(3), np.asarray(0.1), np.array([1, 2], "uint32")
W = array(3)

CASES = {
    "mlp_cross_entropy": (cross_entropy, (PARAMETERS, ROWS, LABELS)),
    "mlp_cross_entropy_gradient": (tw.grad(cross_entropy), (PARAMETERS, ROWS, LABELS)),
    "mlp_step": (sgd_step, (PARAMETERS, ROWS, LABELS, RATE)),
    "softmax": (softmax, (ROWS,)),
    "softmax_jacobian": (tw.jacobian(softmax), (array(2),)),
    "layer_norm": (layer_norm, (ROWS, W, W)),
    "layer_norm_gradient": (
        tw.grad(lambda *a: (layer_norm(*a) ** 2).sum(), (0, 1, 2)),
        (ROWS, W, W),
    ),
    "logsumexp": (ops.logsumexp, (ROWS,)),
    "logsumexp_gradient": (tw.grad(ops.logsumexp), (ROWS,)),
    "least_squares_hvp": (
        lambda w, v, x, y: tw.hvp(lambda w: squared_error(w, x, y), w, v),
        (W, W, ROWS, array(4)),
    ),
    "tanh_second_derivative": (tw.grad(tw.grad(lambda x: ops.tanh(x).sum())), (np.asarray(0.5),)),
    "adam_update": (adam, (W, W, W, W + 2, STEP, RATE)),
    "clip_by_global_norm": (clipped, (W, array(2, 2))),
    "dropout": (dropout, (ROWS, KEY)),
    "attention": (attention, (array(2, 4, 3), array(2, 5, 3), array(2, 5, 6))),
    "gelu_gradient": (tw.grad(lambda x: gelu(x).sum()), (ROWS,)),
    "embedding_gradient": (tw.grad(embedding), (array(3, 2), LABELS)),
    "power_gradient": (tw.grad(lambda x: (x**2.5).sum()), (W + 2,)),
    "max_pool_gradient": (
        tw.grad(lambda x: x.reshape(2, 2, 3).max(1).sum()),
        (ROWS,),
    ),
}  # fmt: skip


def naive_softmax(x):
    return ops.exp(x) / ops.exp(x).sum(1, keepdims=True)


def naive_logistic(x):
    return 1.0 / (1.0 + ops.exp(-x))


def naive_cross_entropy(x, labels):
    return -ops.log((naive_softmax(x) * ops.one_hot(labels, 3)).sum(1)).mean()


def naive_binary_cross_entropy(x, y):
    p = naive_logistic(x)
    return -(y * ops.log(p) + (1.0 - y) * ops.log(1.0 - p)).mean()


NAIVE = {
    "naive_logsumexp": (lambda x: ops.log(ops.exp(x).sum(1)), (ROWS,)),
    "naive_softmax_gradient": (
        tw.grad(lambda x, w: (naive_softmax(x) * w).sum()),
        (ROWS, array(4, 3)),
    ),
    "naive_cross_entropy": (naive_cross_entropy, (ROWS, LABELS)),
    "naive_cross_entropy_gradient": (tw.grad(naive_cross_entropy), (ROWS, LABELS)),
    "naive_binary_cross_entropy": (naive_binary_cross_entropy, (W, W)),
    "naive_binary_cross_entropy_gradient": (tw.grad(naive_binary_cross_entropy), (W, W)),
    "naive_tanh_gradient": (
        tw.grad(lambda x: ((ops.exp(x) - ops.exp(-x)) / (ops.exp(x) + ops.exp(-x))).sum()),
        (W,),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_simplified_graph_is_the_committed_one(name, golden):
    check_text(golden, name, *CASES[name], simplify)


@pytest.mark.parametrize("name", NAIVE)
def test_the_stabilised_graph_is_the_committed_one(name, golden):
    check_text(golden, name, *NAIVE[name], optimise)


def check_text(golden, name, function, examples, run):
    graph = tw.trace(function, *examples)
    found = run(graph)
    rules = ", ".join(f"{rule} {count}" for rule, count in sorted(found.fired.items()))
    golden(name, f"{len(graph.nodes)} nodes before, {len(found.graph.nodes)} after\n"
                 f"rules: {rules}\n{found.graph}")  # fmt: skip


@pytest.mark.parametrize("run", [simplify, optimise])
@pytest.mark.parametrize("name", CASES | NAIVE)
def test_the_shorter_graph_computes_the_same(name, run):
    function, examples = (CASES | NAIVE)[name]
    graph = tw.trace(function, *examples)
    inputs = [np.asarray(leaf) for leaf in tw_leaves(examples)]
    before, after = Interpreter(graph)(*inputs), Interpreter(run(graph).graph)(*inputs)
    for one, other in zip(before, after, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)


def tw_leaves(examples):
    from thalweg.tree import flatten

    return flatten(tuple(examples))[0]


def test_every_committed_text_has_its_case(request):
    committed = {path.stem for path in (request.config.rootpath / "tests/golden").glob("*.txt")}
    others = {"printed_graph", "kernels_of_a_step"}
    assert committed - others == set(CASES | NAIVE)
