"""Specimens of every registered description, and what each family's members compute.

A new member of a family needs a row here only where its defaults do not do: ``SPECS`` for fields
without a default, ``INPUTS`` for layers that take other inputs than (N, 6), ``SCORED`` for losses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import thalweg as tw
import thalweg.searching.search
from thalweg.descriptions import Constraint, Description
from thalweg.descriptions.constraints import constraint_of, declared
from thalweg.descriptions.families import FAMILIES, is_required
from thalweg.descriptions.settings import replace_settings, settings_of
from thalweg.descriptions.spec import parse_spec
from thalweg.errors import SettingError
from thalweg.graph import Tensor
from thalweg.nn.front import has_front
from thalweg.nn.initialisers import Fans, Initialiser
from thalweg.nn.layer import blueprint, evaluate, initial_states
from thalweg.optim.optimizers import Moment
from thalweg.training.learner import Learner, Stage, nested_slots
from thalweg.training.learning import learn_states
from thalweg.training.recipe import Recipe, initial_slots

SPECS: dict[tuple[str, str], str] = {
    ("layer", "sequential"): "sequential(linear(4), relu, linear(3))",
    ("layer", "ensemble"): "ensemble([linear(4), linear(4)], weights=[1, 2])",
    ("layer", "masked_conv2d"): "masked_conv2d([[0], [2, 1], [0, 2]], 2, padding=[0, 1])",
    ("layer", "masked_linear"): "masked_linear([[0], [1, 5], [2, 3, 4]])",
    ("layer", "neuron"): "neuron([1, -2, 0.5, 1, 1, 3], threshold=0.5)",
    ("layer", "group_norm"): "group_norm(2)",
    ("layer", "weight_norm"): "weight_norm(linear(4))",
    ("layer", "spectral_norm"): "spectral_norm(linear(4))",
    ("layer", "columns"): "columns(branch((0, 1), min_max), branch((4, 2), standardise))",
    ("layer", "conv1d"): "conv1d(4, 3, padding=same, dilation=2, groups=2)",
    ("layer", "conv2d"): "conv2d(4, [3, 2], stride=[1, 2], padding=[[0, 1], 2], groups=2)",
    ("layer", "depthwise_conv2d"): "depthwise_conv2d(3, 2, padding=1)",
    ("layer", "conv_transpose1d"): "conv_transpose1d(4, 3, stride=2, output_padding=1, groups=2)",
    ("layer", "conv_transpose2d"): "conv_transpose2d(4, 3, stride=[2, 1], padding=[0, [1, 0]])",
    ("layer", "max_pool1d"): "max_pool1d(3, 2, padding=1)",
    ("layer", "max_pool2d"): "max_pool2d([3, 2], 2, padding=[1, 0])",
    ("layer", "avg_pool1d"): "avg_pool1d(3, 2, padding=1)",
    ("layer", "avg_pool2d"): "avg_pool2d([3, 2], 2, padding=[1, 0])",
    ("layer", "adaptive_avg_pool2d"): "adaptive_avg_pool2d([2, 3])",
    ("layer", "adaptive_max_pool2d"): "adaptive_max_pool2d([2, 3])",
    ("layer", "augment"): "augment(random_rotation)",
    ("augmentation", "augmentations"): "augmentations(random_shift, random_noise, mixup)",
    ("branch", "branch"): "branch((0, 2))",
    ("group", "group"): "group('*.bias', sgd)",
    ("optimizer", "groups"): "groups([group(b, sgd), group('deep', nadam)], otherwise=lion)",
}
"""Specimens of members whose fields without a default need more than their constraint says."""

INPUTS: dict[str, tuple[int, ...]] = {
    "augment": (2, 5, 6),
    "instance_norm": (6, 4),
    "batch_norm2d": (3, 4, 5),
    "instance_norm2d": (3, 4, 5),
    "local_response": (6, 3, 4),
    "masked_conv2d": (3, 4, 3),
    "subsample2d": (3, 5, 4),
    "gaussian_units": (84,),
    "image_input": (3, 4, 5),
    "conv1d": (2, 7),
    "conv2d": (2, 5, 4),
    "depthwise_conv2d": (2, 4, 3),
    "conv_transpose1d": (2, 4),
    "conv_transpose2d": (3, 3, 4),
    "max_pool1d": (2, 6),
    "max_pool2d": (2, 5, 4),
    "avg_pool1d": (2, 6),
    "avg_pool2d": (2, 5, 4),
    "global_avg_pool2d": (2, 3, 4),
    "global_max_pool2d": (2, 3, 4),
    "adaptive_avg_pool2d": (2, 5, 4),
    "adaptive_max_pool2d": (2, 5, 4),
}
"""Row shapes of layers that do not take six numbers."""

UNREAD: dict[str, set[str]] = {
    "prelu": {"slope"},
    "impute": {"value"},
    "pca_whitening": {"share", "epsilon"},
    "zca_whitening": {"epsilon"},
    "reduce_on_plateau": {"factor", "threshold", "minimum", "least_change"},
}
"""Settings that are read before training or between epochs, not in a step."""

SCORED: dict[str, str] = {
    "poisson_nll": "counts",
}
"""Kinds of targets of losses that differ from their kind's."""

ROWS = 5
KEY = np.array([1, 2], np.uint32)


def everyone() -> list[tuple[str, str]]:
    """Family and name of every description that the library registers."""
    return [
        (family, name)
        for family, found in FAMILIES.items()
        for name, cls in found.members.items()
        if cls.__module__.startswith("thalweg.")
    ]


def kin(*families: str) -> list[tuple[str, str]]:
    """Those of some families."""
    return [(family, name) for family, name in everyone() if family in families]


def computing() -> list[tuple[str, str]]:
    """Those that compute something inside a step."""
    return [pair for pair in kin(*PROGRAMS) if pair not in OUTSIDE]


def specimen(family: str, name: str) -> Any:
    """One description: its defaults, and where there are none, what its constraints allow."""
    if (family, name) in SPECS:
        return parse_spec(family, SPECS[family, name])
    cls = FAMILIES[family].members[name]
    required = [field for field in dataclasses.fields(cls) if field.init and is_required(field)]
    return cls(**{field.name: _allowed(constraint_of(field)) for field in required})


def _allowed(constraint: Constraint | None) -> Any:
    assert constraint is not None, "give the specimen a row in SPECS"
    if constraint.role == "size":
        return int(min(max(constraint.low, 4), constraint.high))
    if constraint.role == "setting":
        return 0.5 * (max(constraint.low, 0.0) + min(constraint.high, max(constraint.low, 0) + 1))
    if constraint.role == "numbers":
        return (_allowed(dataclasses.replace(constraint, role="setting")),)
    if constraint.role == "option":
        return constraint.options[0]
    simple = {"layer": "tanh", "schedule": "constant", "optimizer": "sgd"}
    name = simple.get(constraint.family, next(iter(FAMILIES[constraint.family].members)))
    made = specimen(constraint.family, name)
    return made if constraint.role == "part" else (made,)


def variants(one: Description) -> Iterator[Any]:
    """The specimen with every other choice of every option and flag, where they go together."""
    for field in dataclasses.fields(one):
        constraint = constraint_of(field)
        if constraint is None or constraint.role not in {"option", "flag"}:
            continue
        now = getattr(one, field.name)
        choices = constraint.options if constraint.role == "option" else (not now,)
        for choice in choices:
            if choice != now:
                try:
                    yield dataclasses.replace(one, **{field.name: choice})
                except SettingError as error:
                    assert field.name in str(error), "the message names the choice"  # noqa: PT017


# ------------------------------------------------------------------ what members compute


class Program(NamedTuple):
    """What a description computes: a function of its settings and of data."""

    run: Callable[..., dict[str, Tensor]]
    settings: dict[str, Any]
    data: list[np.ndarray]

    def arguments(self) -> list[np.ndarray]:
        """Settings as float64 numbers, then data."""
        return [*(np.asarray(item, np.float64) for item in self.settings.values()), *self.data]

    def replaced(self, *inputs: Any) -> dict[str, Tensor]:
        """The function with all of them as inputs."""
        count = len(self.settings)
        return self.run(dict(zip(self.settings, inputs, strict=False)), *inputs[count:])


def program(family: str, one: Any, dtype: str) -> Program:
    """The program of a description, on data of a type."""
    compute, data = PROGRAMS[family](one, np.dtype(dtype))

    def run(settings: dict[str, Any], *inputs: Any) -> dict[str, Tensor]:
        return compute(replace_settings(one, settings), *inputs)

    return Program(run, settings_of(one), data)


def _numbers(dtype: Any, *shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng([seed, *shape]).normal(size=shape) * scale).astype(dtype)


def layer_case(one: Any, name: str, dtype: Any) -> tuple[dict, dict, np.ndarray]:
    """Parameters, states and inputs for a layer."""
    shape = INPUTS.get(name, (6,))
    plan = blueprint(one, shape, dtype)
    parameters = {
        path: _numbers(dtype, *item.shape, seed=place + 1, scale=0.7)
        for place, (path, item) in enumerate(plan.parameters.items())
    }
    whole = name in {"embedding", "one_hot"}
    x = np.arange(ROWS * 6).reshape(ROWS, 6) % 4 if whole else _numbers(dtype, ROWS, *shape)
    states = initial_states(plan, dtype)
    if has_front(one):
        more = x if whole else np.concatenate([x, _numbers(dtype, 20, *shape)])
        states = learn_states(one, more, states, dtype)
    return parameters, states, x


def _layer(one: Any, dtype: Any) -> tuple[Callable, list[np.ndarray]]:
    name = tw.descriptions.name_of(one)
    parameters, states, x = layer_case(one, name, dtype)

    def compute(layer: Any, x: Any, key: Any, *arrays: Any) -> dict[str, Tensor]:
        values = dict(zip(parameters, arrays, strict=False))
        kept = dict(zip(states, arrays[len(parameters) :], strict=True))
        used = evaluate(layer, values, x, states=kept)
        trained = evaluate(layer, values, x, states=kept, training=True, key=key)
        changed = {f"state {path}": value for path, value in trained.states.items()}
        return {"used": used.output, "trained": trained.output, **changed}

    return compute, [x, KEY, *parameters.values(), *states.values()]


def scored(one: Any, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and targets for a loss."""
    width = 3 if one.kind == "classes" else 2
    outputs = _numbers(dtype, ROWS, width * one.outputs_per_number)
    numbers = _numbers(dtype, ROWS, width, seed=1)
    targets = {
        "classes": np.arange(ROWS) % 3,
        "binary": (numbers > 0).astype(dtype),
        "numbers": numbers,
        "counts": (np.arange(ROWS * width) % 4).reshape(ROWS, width).astype(dtype),
    }
    return outputs, targets[SCORED.get(tw.descriptions.name_of(one), one.kind)]


def _loss(one: Any, dtype: Any) -> tuple[Callable, list[np.ndarray]]:
    weights = np.linspace(0.0, 2.0, ROWS).astype(dtype)

    def compute(loss: Any, outputs: Any, targets: Any, weights: Any) -> dict[str, Tensor]:
        return {
            "rows": loss.values(outputs, targets),
            "mean": loss(outputs, targets),
            "weighted": loss(outputs, targets, weights),
            "predicted": loss.predict(outputs),
        }

    return compute, [*scored(one, dtype), weights]


def _optimizer(one: Any, dtype: Any) -> tuple[Callable, list[np.ndarray]]:
    values = {"w": _numbers(dtype, 4, 3), "b": _numbers(dtype, 3), "deep.w": _numbers(dtype, 2, 5)}

    def compute(rule: Any, *arrays: Any) -> dict[str, Tensor]:
        recipe = Recipe(tw.Sequential(), tw.SquaredError(), rule)
        parameters = dict(zip(values, arrays, strict=True))
        slots = nested_slots(
            recipe, {k: Tensor(v) for k, v in initial_slots(recipe, values).items()}
        )
        for step in range(3):
            stage = Stage(parameters, slots, Moment(step, 3, 2))
            point = Learner(recipe).point(stage)
            gradients = {path: value * 1.5 + 0.25 for path, value in point.items()}
            parameters, slots = Learner(recipe)._updated(stage, gradients)
        flat = {f"{slot}/{path}": v for slot, part in slots.items() for path, v in part.items()}
        return {**parameters, **flat}

    return compute, list(values.values())


def _schedule(one: Any, dtype: Any) -> tuple[Callable, list[np.ndarray]]:
    return lambda schedule, step: {"rate": schedule(step, 20, 5)}, [np.arange(20)]


def _clipping(one: Any, dtype: Any) -> tuple[Callable, list[np.ndarray]]:
    return (
        lambda clipping, *arrays: clipping(dict(zip(("w", "b"), arrays, strict=True))),
        [_numbers(dtype, 4, 3, scale=3.0), _numbers(dtype, 3, scale=3.0)],
    )


def _penalty(one: Any, dtype: Any) -> tuple[Callable, list[np.ndarray]]:
    names = ("0.weight", "0.bias", "1.weight")
    return (
        lambda penalty, *arrays: {"penalty": penalty(dict(zip(names, arrays, strict=True)))},
        [_numbers(dtype, 4, 3), _numbers(dtype, 3), _numbers(dtype, 3, 2)],
    )


def _averaging(one: Any, dtype: Any) -> tuple[Callable, list[np.ndarray]]:
    return lambda rule, step: {"weight": rule.weight(Moment(step, 40, 5))}, [np.array(17)]


def _augmentation(one: Any, dtype: Any) -> tuple[Callable, list[np.ndarray]]:
    def compute(augmentation: Any, x: Any, y: Any, key: Any) -> dict[str, Tensor]:
        changed = augmentation(x, key)
        loss = changed.loss(lambda y, weights: (y * 2.0).sum(), y, None)
        return {"x": changed.x, "loss": loss}

    row = (6,) if isinstance(one, tw.Mixup) else (2, 5, 7)
    return compute, [_numbers(dtype, ROWS, *row), _numbers(dtype, ROWS, 2), KEY]


def starts_of(one: Any, prefix: str = "") -> set[str]:
    """The settings of initialisers inside a description, which no step reads."""
    found: set[str] = set()
    for name, constraint, value in declared(one):
        held = value if constraint.role == "parts" else (value,)
        for place, item in enumerate(held):
            path = f"{prefix}{name}." + (f"{place}." if constraint.role == "parts" else "")
            if isinstance(item, Initialiser):
                found |= settings_of(item, path).keys()
            elif isinstance(item, Description):
                found |= starts_of(item, path)
    return found


def sample(one: Any, shape: tuple[int, ...] = (6, 4), seed: int = 0) -> np.ndarray:
    """What an initialiser draws."""
    fans = Fans(shape[0], shape[-1], tw.ReLU())
    return one.sample(np.random.default_rng(seed), shape, fans)


PROGRAMS: dict[str, Callable[[Any, Any], tuple[Callable, list[np.ndarray]]]] = {
    "layer": _layer,
    "loss": _loss,
    "optimizer": _optimizer,
    "schedule": _schedule,
    "clipping": _clipping,
    "penalty": _penalty,
    "averaging": _averaging,
    "augmentation": _augmentation,
}
"""What the members of each family compute with tensors."""

OUTSIDE = frozenset({("optimizer", "lbfgs")})
"""Members of these families that work outside a step."""

STILL = frozenset({"initialiser", "stopping", "branch", "group", "sampler", "scheduler"})
"""Families whose members compute nothing inside a step."""
