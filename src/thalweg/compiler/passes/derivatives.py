"""Rules for what differentiation makes of naive formulas: 0 · ∞ that would be a number."""

from __future__ import annotations

from thalweg.compiler.passes.factors import (
    Factor,
    are_opposite,
    both,
    exponent,
    factors,
    first_replaced,
    more_than_one,
    peeled,
    powers,
    quotients,
)
from thalweg.compiler.passes.rules import Rule, collected, made_by
from thalweg.compiler.passes.shares import (
    is_positive,
    picked_by,
    power_sum,
    scaled,
    share_of_sum,
    share_of_two,
    stands_over,
)
from thalweg.graph import Tensor, source_of
from thalweg.ops import binary, unary
from thalweg.ops.declare import inputs_of
from thalweg.ops.repetition import full_like, reduce_sum

DERIVATIVES: list[Rule] = []

_rule = collected(DERIVATIVES)


@_rule("divide-after-summing", "reduce_sum", "Σ x/s = (Σ x)/s shows that s divides")
def _divide_after(node: Tensor) -> Tensor | None:
    _, (product,), parameters = source_of(node)
    for quotient in quotients(product):
        top, bottom = inputs_of(quotient.tensor)
        found = power_sum(bottom) if not quotient.layouts else None
        if found is None or found.is_safe or found.axes != parameters["axes"] or not found.fits():
            continue
        total = reduce_sum(quotient.put(top), **parameters)
        return binary.div(total, scaled(found.total, found.scale))
    return None


@_rule("quotient-times-power", "mul", "(a / Σ eˣ) · eˣ = a · softmax(x): never 0 · ∞")
def _quotient_times_power(node: Tensor) -> Tensor | None:
    for first, second in both(node):
        found = powers(second)
        for quotient in quotients(first) if found else ():
            top, bottom = inputs_of(quotient.tensor)
            for power in found:
                share = _share(power, bottom, quotient)
                if share is not None:
                    return binary.mul(quotient.put(top), power.put(share))
    return None


def _share(power: Factor, bottom: Tensor, quotient: Factor) -> Tensor | None:
    (x,) = inputs_of(power.tensor)
    two = share_of_two(x, bottom, quotient)
    return share_of_sum(x, bottom, quotient) if two is None else two


@_rule("logistic-times-power", "mul", "σ(x) · e⁻ˣ = σ(-x), σ(x) · (1 + e⁻ˣ) = 1: never 0 · ∞")
def _logistic_times_power(node: Tensor) -> Tensor | None:
    for first, second in both(node):
        for power in factors(second):
            x, y = exponent(power.tensor), exponent(more_than_one(power.tensor))
            given = y if x is None else x
            if given is None or power.layouts:
                continue
            found = _without_logistic(first, given, is_power=x is not None)
            if found is not None:
                return binary.mul(found, power.put(full_like(power.tensor, 1.0)))
    return None


def _without_logistic(product: Tensor, x: Tensor, is_power: bool) -> Tensor | None:
    """A product with a factor σ(-x), times eˣ or 1 + eˣ."""

    def replace(part: Tensor) -> Tensor | None:
        source = made_by(part, unary.logistic)
        if source is None or not are_opposite(source.inputs[0], x):
            return None
        return unary.logistic(x) if is_power else _one(part)

    return first_replaced(product, replace)


@_rule(
    "cancel-positive", "mul div", "(a / p) · p = a for p = eˣ, σ(x), softmax(x), also where p is 0"
)
def _cancel(node: Tensor) -> Tensor | None:
    primitive, (a, b), _ = source_of(node)
    if primitive is binary.div:
        return _without(a, b) if is_positive(b) else None
    for first, second in both(node):
        for quotient in quotients(first):
            top, bottom = inputs_of(quotient.tensor)
            rest = (
                _without(second, bottom) if is_positive(bottom) and not quotient.layouts else None
            )
            if rest is not None:
                return binary.mul(quotient.put(top), rest)
    return None


def _without(product: Tensor, share: Tensor) -> Tensor | None:
    return first_replaced(product, lambda part: _one(share) if part is share else None)


def _one(share: Tensor) -> Tensor:
    """1, or NaN where a share is NaN."""
    return binary.select(binary.eq(share, share), full_like(share, 1.0), share)


@_rule("cancel-picked", "mul", "tₖpₖ · (a / Σ tₖpₖ) = a · tₖ where t is 1 in one place, else 0")
def _cancel_picked(node: Tensor) -> Tensor | None:
    for quotient in quotients(node):
        top, bottom = inputs_of(quotient.tensor)
        base, moves = peeled(bottom)
        picked = picked_by(base)
        if picked is None or all(factor.tensor is not picked.mask for factor in factors(node)):
            continue
        if stands_over(base, (*quotient.layouts, *moves), picked.axes, picked.p.shape):
            rest = _without(quotient.put(top), picked.p)
            if rest is not None:
                return rest
    return None


@_rule("factor-into-sum", "mul", "(a + b) · p = a · p + b · p where another rule knows a part")
def _factor_into_sum(node: Tensor) -> Tensor | None:
    for first, second in both(node):
        found = [f for f in factors(second) if is_positive(f.tensor) and not f.layouts]
        for sum_ in factors(first) if found else ():
            source = sum_.tensor.source
            if sum_.layouts or source is None or source.primitive not in {binary.add, binary.sub}:
                continue
            for factor in found:
                parts = [binary.mul(part, factor.tensor) for part in source.inputs]
                if any(_is_known(part) for part in parts):
                    rest = factor.put(full_like(factor.tensor, 1.0))
                    return binary.mul(sum_.put(source.primitive(*parts)), rest)
    return None


def _is_known(product: Tensor, depth: int = 3) -> bool:
    """Whether a rule fires for a product with a factor, or for a part of it, if it is a sum."""
    rules = (_quotient_times_power, _logistic_times_power, _cancel)
    if any(rule(product) is not None for rule in rules):
        return True
    sum_, factor = inputs_of(product)
    source = sum_.source
    if not depth or source is None or source.primitive not in {binary.add, binary.sub}:
        return False
    return any(_is_known(binary.mul(part, factor), depth - 1) for part in source.inputs)
