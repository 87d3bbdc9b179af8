"""What ``thalweg train`` says, for people, for programs, or hardly at all."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from thalweg.cli.console import Output, say, say_entry, say_report, tell, tell_notes
from thalweg.cli.folders import MODEL, checkpoints
from thalweg.data.table import plural
from thalweg.descriptions import descriptions_in
from thalweg.descriptions.spec import spec_of
from thalweg.optim.schedules import Cosine, Schedule

if TYPE_CHECKING:
    from typing import TextIO

    from thalweg.images import ImageRun
    from thalweg.tabular import PreparedTable, TableRun, TableSettings
    from thalweg.training.history import Display


@dataclass(frozen=True)
class Talk:
    """How much is said, and to whom.

    Attributes:
        json: one JSON line for each epoch and one for the results, nothing else.
        quiet: warnings only.
    """

    json: bool = False
    quiet: bool = False

    @property
    def _plain(self) -> bool:
        return not self.json and not self.quiet

    def table(self, prepared: PreparedTable) -> None:
        """What the columns are, what was noticed, and how the rows are split."""
        if not self._plain:
            tell_notes(prepared.notes, warnings_only=True)
            return
        say_report(dataclasses.replace(prepared.schema, notes=prepared.notes).report())
        train, validation, test = (f"{len(rows):,}" for rows in prepared.split)
        say()
        say_entry("rows", f"{train} for training, {validation} for validation, {test} for the test")

    def plan(self, prepared: PreparedTable, settings: TableSettings) -> None:
        """The network and how it is trained, in a few lines."""
        if not self._plain:
            return
        from thalweg.tabular.choices import leading_rule
        from thalweg.tabular.fitting import table_network

        count = len(prepared.split.train)
        inputs = prepared.x.shape[1]
        network = table_network(prepared, settings)
        parameters = network.summary(inputs).parameters
        say_entry("network", f"{_built(prepared, settings)}: {parameters:,} parameters")
        rate = leading_rule(settings.rule(count)).chosen_rate
        say_entry(
            "training",
            f"{settings.text('optimizer')}, {rate_text(rate)}, "
            f"batches of {settings.batch(count)}, "
            f"at most {settings.epochs} epochs, seed {settings.seed}",
        )
        normalised = any(
            getattr(part, "has_statistics", False) for part in descriptions_in(network)
        )
        extra = _extras(settings, normalised=normalised)
        if extra:
            say_entry("with", ", ".join(extra))
        if settings.statistics == "exact" and not normalised:
            tell("note", "exact statistics change nothing: the network has no batch normalisation")
        say()

    def display(self) -> Display | bool:
        """What shows the training."""
        from thalweg.training.display import JsonDisplay, terminal_display

        if self.json:
            return JsonDisplay(cast("TextIO", Output()))
        return False if self.quiet else terminal_display(always=True)

    def results(self, run: TableRun, file: str, place: Path) -> None:
        """The test results, where the model is, and how to use it."""
        if run.stop_reason == "interrupted":
            tell("note", interrupted(run, place))
        if self.json:
            from thalweg.training.display import write_json_line

            write_json_line(cast("TextIO", Output()), _summary(run, place))
        elif not self.quiet:
            say(f"\n{run.report()}\n")
            if run.ensemble is not None:
                say(f"{run.ensemble.summary()}\n")
            say(f"model     {place / MODEL}")
            words = ("thalweg", "predict", str(place / MODEL), file, "--out", "predictions.csv")
            say(f"use it    {shlex.join(words)}")


def _built(prepared: PreparedTable, settings: TableSettings) -> str:
    """The network in words: its widths and what follows each hidden layer, or its text."""
    inputs = prepared.x.shape[1]
    if settings.structure is not None:
        return f"{inputs} inputs, {settings.text('structure')}"
    outputs = settings.outputs(prepared.task, prepared.outputs)
    words = ["-".join(map(str, (inputs, *settings.hidden, outputs)))]
    if not settings.hidden:
        return f"{words[0]}, linear"
    words += [settings.text("normalise")] if settings.normalise is not None else []
    words += [settings.text("activation")]
    words += [f"initialiser {settings.text('initialiser')}"] if settings.initialiser else []
    dropout = settings.dropout_rate(len(prepared.split.train))
    words += [f"dropout {dropout:g}"] if dropout else []
    return ", ".join(words)


def rate_text(rate: Any) -> str:
    """A learning rate in words."""
    if isinstance(rate, Cosine) and rate == Cosine(rate.initial):
        return f"learning rate {rate.initial:.2g} falling to 0"
    return f"learning rate {spec_of(rate) if isinstance(rate, Schedule) else f'{rate:.2g}'}"


def _extras(settings: TableSettings, *, normalised: bool) -> list[str]:
    """What was chosen beyond the defaults, in words."""
    names = ("loss", "penalty", "clip", "class_weight", "average", "augment", "stop")
    words = [
        f"{name.replace('_', ' ')} {settings.text(name)}"
        for name in names
        if getattr(settings, name) is not None
    ]
    words += [f"updates from {settings.accumulate} batches"] if settings.accumulate > 1 else []
    words += ["exact statistics"] if settings.statistics == "exact" and normalised else []
    count = settings.size_of_ensemble
    words += [f"{plural(count, 'member')} ({settings.ensemble or 'mean'})"] if count else []
    return words


def interrupted(run: TableRun | ImageRun, place: Path) -> str:
    """What is said after Ctrl-C."""
    done = len(run.history.rows)
    epochs = "before the first epoch ended" if not done else f"after epoch {done}"
    on = f" To go on, repeat the command with --out {place} --resume" if checkpoints(place) else ""
    return f"interrupted {epochs}; what was learned is kept.{on}"


def _summary(run: TableRun, place: Path) -> dict[str, object]:
    train, validation, test = (len(rows) for rows in run.prepared.split)
    return {
        "model": str(place / MODEL),
        "task": run.prepared.task,
        "target": run.prepared.target.name,
        "rows": {"train": train, "validation": validation, "test": test},
        "stop_reason": run.stop_reason,
        "epochs": len(run.history.rows),
        "best_epoch": run.best_epoch,
        "seconds": round(run.timing.seconds, 3),
        "test": run.test,
        "baselines": dict(run.baselines),
        **({} if run.ensemble is None else {"scores": run.model.record["scores"]}),
    }
