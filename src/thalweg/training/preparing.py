"""From what a run is given to what is trained: everything checked, before the first step."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thalweg.descriptions import Plain
from thalweg.errors import FileError, SettingError
from thalweg.graph import Array, Graph
from thalweg.nn.augmentation import Augmentation, as_augmentation
from thalweg.nn.front import takes_missing
from thalweg.nn.layer import Network, blueprint
from thalweg.nn.penalties import as_penalty
from thalweg.optim.averaging import as_averaging
from thalweg.optim.clipping import as_clipping
from thalweg.optim.lbfgs import LBFGS
from thalweg.optim.optimizers import as_optimizer
from thalweg.training.arguments import Arguments
from thalweg.training.backends import check_backend
from thalweg.training.beginning import frozen_patterns, whole_number
from thalweg.training.checkpoint import (
    fingerprint,
    is_described,
    load_checkpoint,
    program_digest,
    save_checkpoint,
)
from thalweg.training.finishing import finisher
from thalweg.training.full_batch import FullBatch, gradient_norm
from thalweg.training.history import Display
from thalweg.training.job import Job
from thalweg.training.lbfgs import check_whole_batch
from thalweg.training.loop import Plan, Standing
from thalweg.training.population.varying import refuse_several
from thalweg.training.problem import Problem, problem, rows_of_a_batch
from thalweg.training.programs import Programs
from thalweg.training.recipe import Recipe, check_augmentation, check_schedules, initial_slots
from thalweg.training.step import State
from thalweg.training.stopping import as_rules, as_stopping, needs_gradient
from thalweg.training.targets import TargetCode
from thalweg.training.validation import validator


class Prepared(NamedTuple):
    """A run that is ready to begin.

    Attributes:
        plan: what happens around the steps.
        given: rows and starting arrays.
        standing: where it begins: at the start, or where a checkpoint left it.
        backend: what runs the steps.
    """

    plan: Plan
    given: Problem
    standing: Standing
    backend: str


def prepared(
    a: Arguments, programs: Programs | None = None, display: Display | None = None
) -> Prepared:
    """Check what a run is given.

    Args:
        a: the arguments of :func:`fit`.
        programs: what it shares with others; by default nothing.
        display: what shows progress; by default nothing does.

    Raises:
        SettingError, DataError, ShapeError, FileError: what does not fit.
    """
    refuse_several(a)
    _check_call(a)
    most = None if a.threads is None else whole_number("threads", a.threads, 1)
    given = problem(
        a.network, a.x, a.y, loss=a.loss, classes=a.classes, sample_weight=a.sample_weight,
        class_weight=a.class_weight, validation=a.validation, scale_targets=a.scale_targets,
        rows=a.rows, start=a.start, seed=a.seed, dtype=a.dtype, programs=programs,
    )  # fmt: skip
    recipe = _recipe(a, given)
    batch_size, shuffle = a.batch_size, a.shuffle
    if isinstance(recipe.optimizer, LBFGS):
        batch_size, shuffle = check_whole_batch(recipe, batch_size, len(given.rows)), False
    size = rows_of_a_batch(batch_size, len(given.rows))
    shared = programs or Programs()
    job = Job(
        recipe, given.rows, a.epochs, size, a.seed, shuffle, given.held_out, most, shared
    )  # fmt: skip
    check_schedules(recipe, job.total_steps, job.steps_per_epoch)
    plan = _plan(job, given, a, display or Display())
    plan, standing = _beginning(plan, given, a.checkpoint, a.resume)
    return Prepared(plan, given, standing, a.backend)


def _check_missing(augmentation: Augmentation, network: Network, x: Any) -> None:
    """Refuse to mix rows that lack values: what is mixed with NaN is NaN."""
    if takes_missing(network) and np.isnan(x[:]).any():
        raise SettingError(
            f"augment = {augmentation} mixes rows before missing values are filled, so a row mixed "
            "with one that lacks a value lacks it too; leave augment out, or fill the values in x"
        )


def _recipe(a: Arguments, given: Problem) -> Recipe:
    """What the step is made of."""
    augmentation = as_augmentation(a.augment)
    if augmentation is not None:
        check_augmentation(augmentation, blueprint(a.network, given.input_shape, given.dtype))
        if augmentation.changes_targets:
            _check_missing(augmentation, a.network, given.rows.x)
    return Recipe(
        a.network,
        given.code.loss,
        as_optimizer(a.optimizer),
        as_clipping(a.clip),
        as_penalty(a.penalty),
        as_averaging(a.average),
        augmentation,
        whole_number("accumulate", a.accumulate, 1),
        frozen_patterns(a.frozen, given.parameters),
    )


def _plan(job: Job, given: Problem, a: Arguments, display: Display) -> Plan:
    """What happens around the steps."""
    rules = as_rules(a.stop)
    return Plan(
        job,
        _validation(job, given),
        as_stopping(a.early_stopping),
        tuple(a.callbacks),
        display,
        save_every=a.checkpoint_every,
        save_every_updates=a.checkpoint_every_updates,
        identity={"dtype": given.dtype.name, "start": given.digest},
        finish=finisher(a.statistics, job.recipe, given.rows),
        rules=rules,
        gradient=gradient_norm(job, a.backend, given.parameters, given.states)
        if needs_gradient(rules)
        else None,
    )


def _validation(job: Job, given: Problem) -> Callable[[Array], dict[str, float]] | None:
    """What turns outputs for the validation rows into numbers; members on one data set share it."""
    held_out, code = given.held_out, given.code
    if held_out is None:
        return None
    key = ("validator", id(code), id(held_out))
    return job.programs.recent(key, lambda: validator(code, held_out), code, held_out)


def _check_call(a: Arguments) -> None:
    whole_number("epochs", a.epochs, 1)
    whole_number("checkpoint_every", a.checkpoint_every, 1)
    whole_number("checkpoint_every_updates", a.checkpoint_every_updates, 0)
    if a.resume and a.checkpoint is None:
        raise SettingError("resume=True needs the checkpoint's path: checkpoint=...")
    check_backend(a.backend)


def _beginning(
    plan: Plan, given: Problem, checkpoint: str | os.PathLike[str] | None, resume: bool
) -> tuple[Plan, Standing]:
    """Where the run begins, and the plan with its checkpoint, if any."""
    job = plan.job
    slots = initial_slots(job.recipe, given.parameters)
    start = State(given.parameters, slots, given.states, 0)
    if checkpoint is None:
        return plan, Standing(start)
    path = Path(checkpoint)
    if not path.parent.is_dir():
        raise FileError(f"checkpoint {path}: the folder {path.parent} does not exist; make it")
    marks = {**fingerprint(plan), "classes": _labels(given.code)}
    if not (is_described(job.recipe.network) and is_described(job.recipe.loss)):
        marks["program"] = program_digest(_program(job, start))
    plan = replace(plan, save=partial(save_checkpoint, path, marks))
    found = load_checkpoint(path, marks, start) if resume else None
    return plan, found or Standing(start)


def _program(job: Job, start: State) -> Graph:
    """What a step computes, as traced."""
    if not job.recipe.optimizer.whole_batch:
        return job.graph(start, job.batch_size).traced
    risk = FullBatch(job)
    return risk.graph(start.parameters, start.states, next(risk.batches(start.states)))


def _labels(code: TargetCode) -> Plain:
    return None if code.classes is None else list(code.classes)
