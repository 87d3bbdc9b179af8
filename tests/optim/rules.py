"""Every update rule once more as a float64 NumPy formula, and what runs both on given gradients."""

from types import SimpleNamespace

import numpy as np

from thalweg.graph import Tensor
from thalweg.optim.optimizers import Moment

STEPS = 60
RNG = np.random.default_rng(3)
START = {"w": RNG.normal(size=(4, 3)), "b": RNG.normal(size=3)}
SCALES = {"w": np.array([1.0, 0.1, 10.0]), "b": 1.0}
GRADIENTS = [
    {path: RNG.normal(size=value.shape) * SCALES[path] for path, value in START.items()}
    for _ in range(STEPS)
]


def moved(optimizer, dtype="float64", gradients=GRADIENTS, start=START, total=STEPS):
    """The parameters after each of the steps: a list of dictionaries."""
    parameters = {path: Tensor(value.astype(dtype)) for path, value in start.items()}
    state = optimizer.initial_state(parameters)
    path_of = []
    for step, now in enumerate(gradients):
        given = {path: Tensor(value.astype(dtype)) for path, value in now.items()}
        parameters, state = optimizer.update(given, state, parameters, Moment(step, total))
        path_of.append({path: value.numpy() for path, value in parameters.items()})
    return path_of


def expected(rule, gradients=GRADIENTS, start=START):
    """The same by a formula ``rule(x, g, t, m)``, m remembering; attributes begin as 0."""
    values = dict(start)
    memories = {path: Memory() for path in start}
    path_of = []
    for t, now in enumerate(gradients, 1):
        values = {path: rule(x, now[path], t, memories[path]) for path, x in values.items()}
        path_of.append(values)
    return path_of


class Memory(SimpleNamespace):
    """What a formula remembers; whatever was not set is 0."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return 0.0


def rate_of(rate, t):
    """A number, or a function of the update's number."""
    return rate(t) if callable(rate) else rate


def sgd(rate):
    return lambda x, g, t, m: x - rate_of(rate, t) * g


def momentum(rate, rho, inside=False, nesterov=False):
    def rule(x, g, t, m):
        eta = rate_of(rate, t)
        pull = eta * g if inside else g
        m.v = rho * m.v + pull
        step = pull + rho * m.v if nesterov else m.v
        return x - (step if inside else eta * step)

    return rule


def adagrad(rate, eps, mean=False, inside=False):
    def rule(x, g, t, m):
        m.total = m.total + g * g
        size = m.total / t if mean else m.total
        return x - rate_of(rate, t) * g / divisor(size, eps, inside)

    return rule


def divisor(size, eps, inside):
    return np.sqrt(size + eps) if inside else np.sqrt(size) + eps


def rmsprop(rate, beta, eps, centered=False, inside=False, rho=None, rate_inside=False):
    def rule(x, g, t, m):
        eta = rate_of(rate, t)
        m.square = beta * m.square + (1 - beta) * g * g
        m.mean = beta * m.mean + (1 - beta) * g
        size = m.square - m.mean**2 if centered else m.square
        step = g / divisor(size, eps, inside)
        if rho is None:
            return x - eta * step
        m.v = rho * m.v + (eta * step if rate_inside else step)
        return x - (m.v if rate_inside else eta * m.v)

    return rule


def adadelta(rate, beta, eps):
    def rule(x, g, t, m):
        m.square = beta * m.square + (1 - beta) * g * g
        step = -np.sqrt(m.steps + eps) / np.sqrt(m.square + eps) * g
        m.steps = beta * m.steps + (1 - beta) * step * step
        return x + rate * step

    return rule


def adam(rate, b1, b2, eps, amsgrad=False, inside=False, before=False, decay=0.0):
    def rule(x, g, t, m):
        eta = rate_of(rate, t)
        x = x * (1 - eta * decay)
        m.mean = b1 * m.mean + (1 - b1) * g
        m.square = b2 * m.square + (1 - b2) * g * g
        m.largest = np.maximum(m.largest, m.square)
        mean = m.mean / (1 - b1**t)
        size, share = m.largest if amsgrad else m.square, 1 - b2**t
        if before:
            below = divisor(size, eps, inside) / np.sqrt(share)
        else:
            below = divisor(size / share, eps, inside)
        return x - eta * mean / below

    return rule


def nadam(rate, b1, b2, eps, psi):
    def momentum_at(t):
        return b1 * (1 - 0.5 * 0.96 ** (t * psi))

    def rule(x, g, t, m):
        m.mean = b1 * m.mean + (1 - b1) * g
        m.square = b2 * m.square + (1 - b2) * g * g
        now = np.prod([momentum_at(s) for s in range(1, t + 1)])
        ahead = now * momentum_at(t + 1)
        mean = momentum_at(t + 1) * m.mean / (1 - ahead) + (1 - momentum_at(t)) * g / (1 - now)
        return x - rate * mean / (np.sqrt(m.square / (1 - b2**t)) + eps)

    return rule


def radam(rate, b1, b2, eps):
    def rule(x, g, t, m):
        m.mean = b1 * m.mean + (1 - b1) * g
        m.square = b2 * m.square + (1 - b2) * g * g
        mean = m.mean / (1 - b1**t)
        last = 2 / (1 - b2) - 1
        length = last - 2 * t * b2**t / (1 - b2**t)
        if length <= 5:
            return x - rate * mean
        r = np.sqrt((length - 4) * (length - 2) * last / ((last - 4) * (last - 2) * length))
        return x - rate * r * mean * np.sqrt(1 - b2**t) / (np.sqrt(m.square) + eps)

    return rule


def adamax(rate, b1, b2, eps):
    def rule(x, g, t, m):
        m.mean = b1 * m.mean + (1 - b1) * g
        m.largest = np.maximum(b2 * m.largest, np.abs(g) + eps)
        return x - rate / (1 - b1**t) * m.mean / m.largest

    return rule


def lion(rate, b1, b2, decay):
    def rule(x, g, t, m):
        step = np.sign(b1 * m.mean + (1 - b1) * g)
        m.mean = b2 * m.mean + (1 - b2) * g
        return x - rate * (step + decay * x)

    return rule


def orthogonal(matrix, steps):
    """The quintic iteration on singular values alone: an independent way to the same matrix."""
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    s = s / np.sqrt(np.sum(s**2))
    for _ in range(steps):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return (u * s) @ vt


def muon(rate, rho, decay, nesterov, steps, factor, others):
    def rule(x, g, t, m):
        if x.ndim != 2:
            return others(x, g, t, m)
        m.v = rho * m.v + (1 - rho) * g
        way = rho * m.v + (1 - rho) * g if nesterov else m.v
        return x * (1 - rate * decay) - rate * factor(*x.shape) * orthogonal(way, steps)

    return rule
