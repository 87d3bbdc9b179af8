"""Programs as textbooks write them, which overflow or cancel: what stabilisation is tested on.

``NAIVE`` are functions of one matrix by name, ``FORMS`` what is made of them: values and gradients.
"""

import numpy as np

import thalweg as tw
from thalweg.graph import TensorType, trace_flat
from thalweg.nn import functional
from thalweg.ops import functions as ops

exp, log, sqrt = ops.exp, ops.log, ops.sqrt


def worst(x):
    """One-hot rows that pick the smallest elements."""
    return ops.one_hot(ops.argmax(-x, 1), x.shape[1], "float64").astype(x.dtype)


def binary_cross_entropy(p):
    wanted = (np.arange(p.size).reshape(p.shape) % 3 / 2).astype(p.dtype)
    return -(wanted * log(p) + (1 - wanted) * log(1 - p)).sum()


def entropy(p):
    return -(p * log(p)).sum(1)


NAIVE = {
    "log of power": lambda x: log(exp(x)),
    "logsumexp": lambda x: log(exp(x).sum(1)),
    "logsumexp, axis kept": lambda x: log(exp(x).sum(0, keepdims=True)),
    "logsumexp of all": lambda x: log(exp(x).sum()),
    "log of a mean": lambda x: log(exp(x).mean(1)),
    "softmax": lambda x: exp(x) / exp(x).sum(1, keepdims=True),
    "softmax of columns": lambda x: exp(x) / exp(x).sum(0),
    "softmax, reciprocal": lambda x: exp(x) * (1 / exp(x).sum(1, keepdims=True)),
    "softmax, weighted": lambda x: x * exp(x) / exp(x).sum(1, keepdims=True),
    "softmax, multiple": lambda x: exp(x) / exp(x).mean(1, keepdims=True),
    "softmax mean": lambda x: (x * exp(x)).sum(1) / exp(x).sum(1),
    "log softmax": lambda x: log(exp(x) / exp(x).sum(1, keepdims=True)),
    "log of softmax": lambda x: log(functional.softmax(x)),
    "picked": lambda x: log(ops.take(exp(x) / exp(x).sum(1, keepdims=True), np.array([2, 0]), 1)),
    "logistic": lambda x: 1 / (1 + exp(-x)),
    "logistic of powers": lambda x: exp(x) / (1 + exp(x)),
    "logistic, mirrored": lambda x: 1 / (exp(x) + 1),
    "one of two": lambda x: exp(x) / (exp(x) + exp(2 - x)),
    "swish": lambda x: x / (1 + exp(-x)),
    "slope of logistic": lambda x: exp(-x) / (1 + exp(-x)) ** 2,
    "softplus": lambda x: log(1 + exp(x)),
    "softplus, log1p": lambda x: ops.log1p(exp(x)),
    "log of logistic": lambda x: log(1 / (1 + exp(-x))),
    "log of the rest": lambda x: log(1 - ops.logistic(x)),
    "log of the rest, log1p": lambda x: log(1 - 1 / (1 + exp(-x))),
    "log of one plus": lambda x: log(1 + x * x),
    "log of one minus": lambda x: log(1 - (-x * x)),
    "power minus one": lambda x: exp(x) - 1,
    "one minus power": lambda x: 1 - exp(-x * x),
    "one minus logistic": lambda x: 1 - 1 / (1 + exp(-x)),
    "root of square": lambda x: sqrt(x**2),
    "tanh": lambda x: (exp(x) - exp(-x)) / (exp(x) + exp(-x)),
    "tanh, twice": lambda x: (exp(2 * x) - 1) / (exp(2 * x) + 1),
    "tanh, mirrored": lambda x: (1 - exp(-2 * x)) / (1 + exp(-2 * x)),
    "cross entropy": lambda x: -(log(exp(x) / exp(x).sum(1, keepdims=True)) * x[:, ::-1]).mean(),
    "cross entropy of classes": lambda x: log(
        (exp(x) / exp(x).sum(1, keepdims=True) * worst(x)).sum(1)
    ),
    "binary cross entropy": lambda x: binary_cross_entropy(1 / (1 + exp(-x))),
    "binary cross entropy, written twice": lambda x: (
        3 * log(1 / (1 + exp(-x))) - 2 * log(1 - 1 / (1 + exp(-x)))
    ),
    "entropy": lambda x: entropy(exp(x) / exp(x).sum(1, keepdims=True)),
}


def total(name):
    def weighted(x):
        result = NAIVE[name](x)
        return (result * (1.0 + np.arange(result.size).reshape(result.shape) % 4)).sum()

    return weighted


def derivative(name):
    return tw.grad(total(name))


FORMS = {"value": lambda name: NAIVE[name], "gradient": derivative}


def traced(name, form, dtype, shape=(4, 3)):
    (graph, _) = trace_flat(FORMS[form](name), [TensorType(shape, np.dtype(dtype))])
    return graph
