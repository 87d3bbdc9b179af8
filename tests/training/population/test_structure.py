"""What members share a step by: descriptions of one structure, whatever their numbers, trace alike.

Every registered description is tried: with other numbers it must have the same structure and the
same graph, with another size, choice or flag another structure.
"""

import dataclasses

import numpy as np
import pytest
from tests.specimens import INPUTS, ROWS, everyone, scored, specimen, variants

import thalweg as tw
from thalweg.descriptions import replace_settings, settings_of, structure_of
from thalweg.descriptions.constraints import constraint_of
from thalweg.descriptions.spec import parse_spec
from thalweg.errors import ThalwegError
from thalweg.nn.layer import blueprint, initial_parameters, initial_states
from thalweg.training.checkpoint import program_digest
from thalweg.training.recipe import Recipe, initial_slots
from thalweg.training.step import Batch, State, StepGraph

GROUPS = "groups([group('*.bias', sgd), group('0.weight', nadam)], otherwise=lion)"
NET = tw.Sequential(tw.Linear(4), tw.Tanh(), tw.Linear(2))


@pytest.fixture(autouse=True)
def backend():
    """Nothing is run here: once is enough."""


def stepped(family):
    """Whether a member of a family has a part in a step."""
    return family not in {"stopping", "branch", "group", "sampler", "scheduler"}


def one_of(family, name):
    if (family, name) == ("optimizer", "groups"):
        return parse_spec(family, GROUPS)
    return specimen(family, name)


def with_other_numbers(one):
    """The description with every number that may be another one changed."""
    for path, value in settings_of(one).items():
        for number in (0.5 * value, 0.5 * (value + 1), value + 1, 2 * value, 0.25, 1):
            if number == value:
                continue
            try:
                one = replace_settings(one, {path: type(value)(number)})
            except ThalwegError:
                continue
            break
    return one


def resized(one):
    """The description with each of its sizes one larger."""
    for field in dataclasses.fields(one):
        constraint = constraint_of(field)
        if constraint is not None and constraint.role == "size":
            try:
                yield dataclasses.replace(one, **{field.name: getattr(one, field.name) + 1})
            except ThalwegError:
                continue


def recipe_of(family, one):
    """A step in which a description has its part, and a batch for it."""
    name = tw.descriptions.name_of(one)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(ROWS, 6)).astype("float32"), np.zeros((ROWS, 2), "float32")
    parts = {"network": NET, "loss": tw.SquaredError(), "optimizer": tw.SGD()}
    if family == "layer":
        x = rng.normal(size=(ROWS, *INPUTS.get(name, (6,)))).astype("float32")
        parts["network"] = tw.Sequential(one, tw.Flatten(), tw.Linear(2))
    elif family == "initialiser":
        parts["network"] = tw.Sequential(tw.Linear(4, weight=one), tw.Linear(2))
    elif family == "loss":
        outputs, y = scored(one, np.dtype("float32"))
        parts |= {"network": tw.Linear(outputs.shape[1]), "loss": one}
    elif family == "schedule":
        parts["optimizer"] = tw.SGD(one)
    elif family == "augmentation":
        parts |= {"augmentation": one, "network": tw.Sequential(tw.Flatten(), tw.Linear(2))}
        x = x if name == "mixup" else rng.normal(size=(ROWS, 2, 5, 7)).astype("float32")
    else:
        parts[{"averaging": "average"}.get(family, family)] = one
    return Recipe(**parts), Batch(x, y, None)


def text_of(recipe, batch):
    """The graph that a step becomes, as text, with a digest of that and of its constants."""
    plan = blueprint(recipe.network, batch.x.shape[1:], "float32")
    parameters, states = initial_parameters(plan), initial_states(plan)
    state = State(parameters, initial_slots(recipe, parameters), states, 0)
    graph = StepGraph(recipe, state, batch).graph
    return str(graph), program_digest(graph)


@pytest.mark.parametrize(("family", "name"), everyone())
def test_other_numbers_are_the_same_structure_and_the_same_step(family, name):
    one = one_of(family, name)
    other = with_other_numbers(one)
    assert settings_of(other).keys() == settings_of(one).keys()
    assert structure_of(other) == structure_of(one)
    assert hash(structure_of(other)) == hash(structure_of(one))
    if not stepped(family) or (family, name) == ("optimizer", "lbfgs") or other == one:
        return
    first, second = recipe_of(family, one), recipe_of(family, other)
    assert first[0].structure == second[0].structure
    assert text_of(*first) == text_of(*second)


@pytest.mark.parametrize(("family", "name"), everyone())
def test_another_size_choice_or_flag_is_another_structure(family, name):
    one = one_of(family, name)
    for other in (*variants(one), *resized(one)):
        assert structure_of(other) != structure_of(one), other


def test_most_descriptions_have_numbers_to_change():
    changed = [pair for pair in everyone() if with_other_numbers(one_of(*pair)) != one_of(*pair)]
    assert len(changed) > 80


def test_functions_and_arrays_are_compared_by_what_they_are():
    def first(x, scope):
        return x

    def second(x, scope):
        return x

    assert structure_of(first) == structure_of(first)
    assert structure_of(first) != structure_of(second)
    numbers = np.arange(3.0)
    assert structure_of(numbers) == structure_of(numbers.copy())
    assert structure_of(numbers) != structure_of(numbers + 1)
    assert structure_of(numbers) != structure_of(numbers.astype("float32"))
    assert structure_of((1, 2)) != structure_of([1, 2])
    assert structure_of(True) != structure_of(1)


def test_more_numbers_are_another_structure():
    assert structure_of(tw.CrossEntropy(0.1)) != structure_of(tw.CrossEntropy())
    assert structure_of(tw.CrossEntropy(0.1)) == structure_of(tw.CrossEntropy(0.2))
    assert structure_of(tw.CrossEntropy((0.0,))) == structure_of(tw.CrossEntropy())


def test_a_schedule_in_the_place_of_a_number_is_another_structure():
    assert structure_of(tw.SGD(0.1)) != structure_of(tw.SGD(tw.Cosine(0.1)))
    assert structure_of(tw.SGD(tw.Cosine(0.1))) == structure_of(tw.SGD(tw.Cosine(0.3)))
    assert structure_of(tw.SGD(tw.Cosine(0.1))) != structure_of(tw.SGD(tw.ConstantRate(0.1)))
