"""Kernels: what is computed together, in which order, and where results stand."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tests.generate import programs

import thalweg as tw
from thalweg.compiler.native.lower import lower
from thalweg.compiler.native.program import NativeProgram
from thalweg.compiler.native.target import host_target
from thalweg.compiler.passes.fuse import fuse
from thalweg.compiler.passes.kernels import is_computed, reads_of
from thalweg.compiler.passes.memory import plan_memory
from thalweg.compiler.passes.prepare import prepare
from thalweg.compiler.passes.schedule import schedule
from thalweg.compiler.passes.simplify import simplify
from thalweg.nn.losses import CrossEntropy
from thalweg.training.recipe import Recipe, initial_slots
from thalweg.training.step import Batch, State, StepGraph

QUICK = settings(max_examples=150, suppress_health_check=list(HealthCheck))


def kernels_of(function, *examples):
    return fuse(prepare(simplify(tw.trace(function, *examples)).graph))


def ones(*shape):
    return np.ones(shape, "float32")


def training_step(rows=32):
    network = tw.Sequential(tw.Linear(64), tw.ReLU(), tw.Linear(3))
    x, y = np.ones((rows, 30), "float32"), np.arange(rows) % 3
    run = tw.fit(network, x, y, epochs=1, batch_size=rows, progress=False)
    parameters = dict(run.model.parameters)
    optimizer = tw.Adam(0.01)
    recipe = Recipe(network, CrossEntropy(), optimizer)
    state = State(parameters, initial_slots(recipe, parameters), {}, 0)
    return StepGraph(recipe, state, Batch(x, y.astype("int64")))


# ------------------------------------------------------------------ what is fused


def test_softmax_and_cross_entropy_with_their_gradient_are_one_kernel():
    def f(z, labels):
        return tw.value_and_grad(lambda z: CrossEntropy()(z, labels))(z)

    kernels = kernels_of(f, ones(32, 10), np.zeros(32, "int64"))
    whole = [kernel for kernel in kernels if kernel.size > 1]
    assert [(kernel.kind, kernel.columns) for kernel in whole] == [("loop", 10)]


def test_an_elementwise_chain_with_its_sums_is_one_kernel():
    def f(x, y):
        z = tw.tanh(x) * y + 1.0
        return z, z.sum(), (z * z).sum(), tw.sqrt(z)

    assert len(kernels_of(f, ones(40, 50), ones(40, 50))) == 1


def test_a_training_step_has_one_kernel_for_each_product_and_each_update():
    step = training_step()
    kernels = fuse(prepare(step.graph))
    products = [kernel for kernel in kernels if kernel.kind == "product"]
    assert len(products) == 5
    forward = [kernel for kernel in products if "max" in str(kernel)]
    assert len(forward) == 1
    assert (
        len([kernel for kernel in kernels if "sqrt" in str(kernel) and "div" in str(kernel)]) <= 6
    )
    rows = [kernel for kernel in kernels if kernel.columns]
    assert len(rows) == 1
    assert len(kernels) <= 17


def test_the_kernels_of_a_training_step_stand_as_written(golden):
    kernels = schedule(prepared := prepare(training_step().graph), fuse(prepared), {}).kernels
    lines = [
        f"{kernel.kind} {kernel.size} {kernel.columns} {kernel.reduced}: {kernel} -> "
        + ", ".join(str(node.type) for node in kernel.outputs)
        for kernel in kernels
    ]
    golden("kernels_of_a_step", "\n".join(lines))


def test_what_needs_a_whole_reduction_comes_after_it():
    kernels = kernels_of(lambda x: x / x.sum(), ones(40, 50))
    assert len(kernels) == 2


# ------------------------------------------------------------------ rules that hold for all


def check_plan(graph, given_away=None):
    prepared = prepare(simplify(graph).graph)
    kernels = fuse(prepared)
    wanted = [id(node) for node in prepared.nodes if is_computed(node) and node.size]
    found = [id(node) for kernel in kernels for node in kernel.nodes]
    assert sorted(found) == sorted(wanted)
    plan = schedule(prepared, kernels, given_away or {})
    assert {id(kernel) for kernel in plan.kernels} == {id(kernel) for kernel in kernels}
    stored = set()
    for kernel in plan.kernels:
        inside = {id(node) for node in kernel.nodes}
        for base in kernel.reads:
            assert id(base) not in set(wanted) - inside or id(base) in stored
        stored |= {id(node) for node in kernel.outputs}
    assert all(id(node) in stored for node in prepared.outputs if node.size)
    check_memory(plan.kernels, {id(node) for node in prepared.outputs})
    return plan


def check_memory(kernels, elsewhere):
    arena = plan_memory(kernels, elsewhere)
    lives = {}
    for moment, kernel in enumerate(kernels):
        for node in kernel.outputs:
            lives[id(node)] = [node, moment, moment]
        for base in kernel.reads:
            if id(base) in lives:
                lives[id(base)][2] = moment
    placed = [
        (arena.offsets[key], arena.offsets[key] + node.type.bytes, first, last)
        for key, (node, first, last) in lives.items()
        if key not in elsewhere
    ]
    for number, (begin, end, first, last) in enumerate(placed):
        assert begin % 64 == 0
        assert end <= arena.size
        for other, stop, born, gone in placed[:number]:
            assert end <= other or stop <= begin or last < born or gone < first


@QUICK
@given(programs(most=20))
def test_random_programs_are_cut_and_placed_by_the_rules(program):
    check_plan(program.graph)


def test_results_take_the_place_of_inputs_after_their_last_reader():
    step = training_step()
    count = len(step.graph.outputs) - 2
    plan = check_plan(step.graph, {place: place for place in range(count)})
    assert len(plan.in_place) == count
    readers = {}
    for moment, kernel in enumerate(plan.kernels):
        for base in kernel.reads:
            readers.setdefault(id(base), []).append(moment)
    for moment, kernel in enumerate(plan.kernels):
        for node in kernel.outputs:
            taken = plan.in_place.get(id(node))
            if taken is not None:
                assert max(readers.get(id(taken), [moment])) <= moment
                own = [read for n in kernel.nodes for read in reads_of(n) if read.base is taken]
                assert all(read.is_plain for read in own)


@pytest.mark.parametrize("given_away", [{0: 1, 1: 0}, {0: 0, 1: 1}, {0: 1}])
def test_exchanged_results_are_right_in_their_inputs_memory(given_away):
    def f(a, b):
        return [a @ b + b, b.T * 2.0 + a]

    a, b = (np.random.default_rng(n).normal(size=(9, 9)) for n in (1, 2))
    graph = simplify(tw.trace(f, a, b)).graph
    expected = [value.copy() for value in NativeProgram(graph)(a, b)]
    got = NativeProgram(graph, given_away)(a, b)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_prepared_graph_that_reads_nothing_computes_nothing():
    lowered = lower(prepare(tw.trace(lambda: [])), host_target())
    assert lowered.plan.kernels == []
