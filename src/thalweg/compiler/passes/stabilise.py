"""Stabilisation: formulas that overflow or cancel, replaced by equal ones that do not.

The rules know the shapes that textbooks write, and what differentiation makes of them. Equality is
that of real numbers: results differ from the naive formula's by rounding where that is sound, and
are right where it is not. NaN stays NaN; infinities become what the formula's limit is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

from thalweg.compiler.passes.derivatives import DERIVATIVES
from thalweg.compiler.passes.factors import (
    are_opposite,
    both,
    exponent,
    factors,
    first_replaced,
    less_than_one,
    more_than_one,
    moved_again,
    opposite,
    peeled,
    powers,
    quotients,
)
from thalweg.compiler.passes.rules import Rule, collected, made_by, uniform_value
from thalweg.compiler.passes.shares import (
    Share,
    is_negative,
    is_sum_of_powers,
    picked_by,
    power_sum,
    scaled,
    share_of_sum,
    share_of_two,
    softmax_of,
    summed_powers,
)
from thalweg.compiler.passes.simplify import Simplified, simplify
from thalweg.graph import Graph, Source, Tensor, source_of
from thalweg.ops import binary, unary
from thalweg.ops.declare import inputs_of
from thalweg.ops.reduction import reduce_max
from thalweg.ops.repetition import full_like, reduce_sum, zeros_like

FORMULAS: list[Rule] = []

_rule = collected(FORMULAS)


def stabilise(graph: Graph, disabled: Collection[str] = ()) -> Simplified:
    """An equal graph that overflows and cancels less.

    Args:
        graph: a simplified graph; it is left as it is.
        disabled: names of rules to leave out, as in :func:`simplify`.

    Raises:
        SettingError: a name in ``disabled`` is no rule.
    """
    return simplify(graph, disabled, STABLE)


# ------------------------------------------------------------------ logarithms


@_rule("log-of-power", "log", "log eˣ = x, also where eˣ overflows")
def _log_of_power(node: Tensor) -> Tensor | None:
    return _log_of(node, exponent)


@_rule("log-sum-exp", "log", "log Σ eˣ = m + log Σ e^(x - m), m = max x: e^(x - m) is at most 1")
def _log_sum_exp(node: Tensor) -> Tensor | None:
    found = power_sum(inputs_of(node)[0])
    if found is None or found.is_safe:
        return None
    total = reduce_sum(unary.exp(found.shifted), axes=found.axes)
    result = binary.add(unary.log(total), found.largest)
    if found.scale != 1.0:
        result = binary.add(result, unary.log(full_like(result, found.scale)))
    return moved_again(result, found.moves)


@_rule("log-softmax", "log", "log(eˣ / Σ eˣ) = x - log Σ eˣ, also where eˣ / Σ eˣ is 0")
def _log_softmax(node: Tensor) -> Tensor | None:
    def log(share: Tensor) -> Tensor | None:
        found = softmax_of(share)
        if found is None:
            return None
        total = unary.log(source_of(share).inputs[1])
        return binary.sub(found.x, total)

    return _log_of(node, log)


@_rule("log-logistic", "log", "log σ(x) = min(x, 0) - log(1 + e^(-|x|)), also where σ(x) is 0")
def _log_logistic(node: Tensor) -> Tensor | None:
    def log(share: Tensor) -> Tensor | None:
        source = made_by(share, unary.logistic)
        if source is None:
            return None
        (x,) = source.inputs
        return binary.sub(binary.min_(x, zeros_like(x)), _small_part(x))

    return _log_of(node, log)


@_rule("log-of-picked", "log", "log Σ tₖpₖ = log pₖ where t is 1 in one place, else 0")
def _log_of_picked(node: Tensor) -> Tensor | None:
    def log(total: Tensor) -> Tensor | None:
        picked = picked_by(total)
        if picked is None:
            return None
        nowhere = full_like(picked.p, -math.inf)
        logs = binary.select(picked.hits, unary.log(picked.p), nowhere)
        return reduce_max(logs, axes=picked.axes)

    return _log_of(node, log)


@_rule("softplus", "log log1p", "log(1 + eˣ) = max(x, 0) + log(1 + e^(-|x|))")
def _softplus(node: Tensor) -> Tensor | None:
    primitive, (argument,), _ = source_of(node)
    x = exponent(argument if primitive is unary.log1p else more_than_one(argument))
    if x is None or is_negative(x):
        return None
    return binary.add(binary.max_(x, zeros_like(x)), _small_part(x))


@_rule("log-of-one-plus", "log", "log(1 + x) loses a small x")
def _log1p(node: Tensor) -> Tensor | None:
    (argument,) = inputs_of(node)
    x, y = more_than_one(argument), less_than_one(argument)
    if x is not None:
        return unary.log1p(x)
    return None if y is None else unary.log1p(opposite(y))


def _log_of(node: Tensor, log: Callable[[Tensor], Tensor | None]) -> Tensor | None:
    """The logarithm of moved elements, by a rule for the elements before they were moved."""
    base, moves = peeled(inputs_of(node)[0])
    found = log(base)
    return None if found is None else moved_again(found, moves)


def _small_part(x: Tensor) -> Tensor:
    """log(1 + e^(-|x|))."""
    return unary.log1p(unary.exp(unary.neg(unary.abs_(x))))


# ------------------------------------------------------------------ differences


@_rule("power-minus-one", "sub add", "eˣ - 1 loses a small x")
def _expm1(node: Tensor) -> Tensor | None:
    primitive, (a, b), _ = source_of(node)
    if primitive is binary.add:
        x = exponent(b if uniform_value(a) == -1.0 else a if uniform_value(b) == -1.0 else None)
        return None if x is None else unary.expm1(x)
    x, y = exponent(a if uniform_value(b) == 1.0 else None), exponent(less_than_one(node))
    if x is not None:
        return unary.expm1(x)
    return None if y is None else unary.neg(unary.expm1(y))


@_rule("one-minus-logistic", "sub", "1 - σ(x) = σ(-x), also where σ(x) is near 1")
def _one_minus_logistic(node: Tensor) -> Tensor | None:
    rest = less_than_one(node)
    source = None if rest is None else made_by(rest, unary.logistic)
    return unary.logistic(opposite(source.inputs[0])) if source else None


@_rule("root-of-square", "sqrt", "√(x²) = |x|, also where x² overflows or is 0")
def _root_of_square(node: Tensor) -> Tensor | None:
    source = made_by(inputs_of(node)[0], binary.mul)
    return unary.abs_(source.inputs[0]) if source and source.inputs[0] is source.inputs[1] else None


# ------------------------------------------------------------------ quotients


@_rule("tanh", "div", "(eˣ - e⁻ˣ) / (eˣ + e⁻ˣ) = (e²ˣ - 1) / (e²ˣ + 1) = tanh x")
def _tanh(node: Tensor) -> Tensor | None:
    top, bottom = inputs_of(node)
    x = exponent(more_than_one(bottom))
    if x is not None:
        return first_replaced(top, lambda part: _half_tanh(part, x))
    pair = summed_powers(bottom)
    if pair is None or not are_opposite(*pair):
        return None
    return first_replaced(top, lambda part: _tanh_of_difference(part, pair))


def _half_tanh(part: Tensor, x: Tensor) -> Tensor | None:
    source = made_by(part, unary.expm1)
    if source is None or source.inputs[0] is not x:
        return None
    return unary.tanh(binary.mul(x, full_like(x, 0.5)))


def _tanh_of_difference(part: Tensor, pair: tuple[Tensor, Tensor]) -> Tensor | None:
    source = made_by(part, binary.sub)
    a, b = [exponent(item) for item in source.inputs] if source else (None, None)
    if a is None or b is None or {id(a), id(b)} != {id(pair[0]), id(pair[1])}:
        return None
    return unary.tanh(a)


@_rule("softmax", "div", "eˣ / Σ eˣ = e^(x - m) / Σ e^(x - m), m = max x")
def _softmax(node: Tensor) -> Tensor | None:
    return _quotient(node, share_of_sum)


@_rule("softmax-mean", "div mul", "Σ wₖe^xₖ / Σ e^xₖ = Σ wₖ softmax(x)ₖ")
def _softmax_mean(node: Tensor) -> Tensor | None:
    primitive, (top, bottom), _ = source_of(node)
    if primitive is binary.div:
        return _mean_of(top, bottom)
    for first, second in both(node):
        for quotient in quotients(first):
            above, below = inputs_of(quotient.tensor)
            mean = None if quotient.layouts else _mean_of(second, below)
            if mean is not None:
                return binary.mul(quotient.put(above), mean)
    return None


def _mean_of(product: Tensor, bottom: Tensor) -> Tensor | None:
    """A product with a factor Σ wₖe^xₖ, divided by Σ e^xₖ."""
    found = power_sum(bottom)
    if found is None or found.is_safe:
        return None
    for factor in factors(product):
        source = made_by(factor.tensor, reduce_sum)
        if source is None or source.parameters["axes"] != found.axes:
            continue
        power = next((p for p in powers(source.inputs[0]) if exponent(p.tensor) is found.x), None)
        if power is not None and _are_equal(factor.layouts, found.moves):
            mean = reduce_sum(power.put(found.softmax), axes=found.axes)
            return factor.put(scaled(mean, 1.0 / found.scale))
    return None


def _are_equal(one: tuple[Source, ...], other: tuple[Source, ...]) -> bool:
    """Whether two chains of operations do the same."""
    return len(one) == len(other) and all(
        (a.primitive, a.inputs[1:], a.parameters) == (b.primitive, b.inputs[1:], b.parameters)
        for a, b in zip(one, other, strict=True)
    )


@_rule("logistic", "div", "1 / (1 + eˣ) = σ(-x), eˣ / (1 + eˣ) = σ(x), eᵃ / (eᵃ + eᵇ) = σ(a - b)")
def _logistic(node: Tensor) -> Tensor | None:
    found = _quotient(node, share_of_two)
    if found is not None:
        return found
    top, bottom = inputs_of(node)
    x = exponent(more_than_one(bottom))
    if x is None or is_negative(x):
        return None
    share = unary.logistic(opposite(x))
    return share if uniform_value(top) == 1.0 else binary.mul(top, share)


@_rule("split-denominator", "div", "a / bc = (a / b) / c where b, c are sums of powers")
def _split(node: Tensor) -> Tensor | None:
    top, bottom = inputs_of(node)
    source = made_by(bottom, binary.mul)
    if source is None or not all(map(is_sum_of_powers, source.inputs)):
        return None
    return binary.div(binary.div(top, source.inputs[0]), source.inputs[1])


def _quotient(node: Tensor, share: Share) -> Tensor | None:
    top, bottom = inputs_of(node)
    for power in powers(top):
        x = exponent(power.tensor)
        found = None if x is None else share(x, bottom, None)
        if found is not None:
            return power.put(found)
    return None


STABLE: list[Rule] = [*FORMULAS, *DERIVATIVES]
"""All rules of stabilisation."""
