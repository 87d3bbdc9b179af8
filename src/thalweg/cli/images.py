"""``thalweg train`` for images: from a folder or a file of images to a trained, saved model."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from thalweg.cli import options
from thalweg.cli.console import Output, say, say_entry, tell, tell_notes
from thalweg.cli.folders import CHECKPOINT, MODEL, checkpoints, claimed
from thalweg.cli.keeping import CHECKPOINT_EVERY, kept_run
from thalweg.cli.talk import Talk, interrupted, rate_text
from thalweg.cli.train import parse_patience, place_of, refuse_options
from thalweg.data.table import plural
from thalweg.errors import SettingError, ThalwegError

if TYPE_CHECKING:
    from typing import TextIO

    from thalweg.images import ImageRun, ImageSettings, PreparedImages

_SETTINGS = (
    "epochs", "batch_size", "learning_rate", "optimizer", "early_stopping", "clip", "seed", "loss",
    "penalty", "class_weight", "average", "augment", "accumulate", "statistics", "stop",
    "standardise",
)  # fmt: skip
_SHOWN = 20


def train_images(file: str, chosen: Mapping[str, Any], given: frozenset[str]) -> None:
    """Train on a folder or a file of images.

    Args:
        file: the folder or file.
        chosen: all parameters of the command.
        given: those that the user gave; for the others images have defaults of their own.
    """
    refuse_options(given, options.OF_TABLES, "tables", f"{file} holds images")
    settings = _settings(chosen, given)
    settings.check()
    talk = _ImageTalk(Talk(json=chosen["json"], quiet=chosen["quiet"]))
    place = place_of(file, chosen["out"], resume=chosen["resume"])
    with claimed(place):
        prepared = _prepared(file, chosen, talk)
        talk.images(prepared)
        _check_place(place, prepared, chosen)
        talk.plan(prepared, settings)
        run = _run(prepared, settings, talk, place, resume=chosen["resume"])
    talk.results(run, file, place)
    if run.stop_reason == "interrupted":
        raise typer.Exit(1)


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Width and height from text.

    >>> parse_size("32x24"), parse_size(None)
    ((32, 24), None)

    Raises:
        SettingError: anything else.
    """
    if text is None:
        return None
    words = text.lower().replace("×", "x").split("x")
    if len(words) != 2 or not all(word.strip().isdecimal() for word in words):
        raise SettingError(f"--resize takes width and height, such as 32x32, got {text!r}")
    return int(words[0]), int(words[1])


def _settings(chosen: Mapping[str, Any], given: frozenset[str]) -> ImageSettings:
    from thalweg.images import ImageSettings

    if chosen["model"] is not None and chosen["network"] is not None:
        raise SettingError("--model names a network and --network spells one out; give one of them")
    values = {name: chosen[name] for name in _SETTINGS if name in given}
    if "early_stopping" in values:
        values["early_stopping"] = parse_patience(values["early_stopping"])
    network = chosen["model"] or chosen["network"]
    return ImageSettings(**values, **({} if network is None else {"model": network}))


def _prepared(file: str, chosen: Mapping[str, Any], talk: _ImageTalk) -> PreparedImages:
    from thalweg.images import prepare_images
    from thalweg.images.loading import reading

    with reading(talk.plain) as watch:
        return prepare_images(
            file,
            labels=chosen["labels"],
            size=parse_size(chosen["resize"]),
            mode=chosen["mode"],
            strict=chosen["strict"],
            seed=chosen["seed"],
            watch=watch,
        )


def _check_place(place: Path, prepared: PreparedImages, chosen: Mapping[str, Any]) -> None:
    """Say what will be replaced in the run's folder.

    Raises:
        SettingError: the model of something else.
    """
    resume, path, origin = chosen["resume"], place / MODEL, prepared.images.origin
    if path.exists() and not chosen["overwrite"]:
        former = _former_source(path)
        if former != origin:
            raise SettingError(
                f"{path} holds another model ({former or 'of other data'}); choose another folder "
                "with --out, or allow it with --overwrite"
            )
        if not resume:
            tell("note", f"{path}, an earlier model of the same images, will be replaced")
    checkpoint = next(iter(checkpoints(place)), place / CHECKPOINT)
    if resume and not checkpoint.exists():
        tell("note", f"{checkpoint} is not there, so that training starts from the beginning")
    if not resume and checkpoint.exists():
        tell("note", f"{checkpoint}, of an unfinished run, will be replaced; --resume uses it")


def _former_source(path: Path) -> str | None:
    from thalweg.model import load

    try:
        found = load(path).record.get("source")
    except ThalwegError:
        return None
    return found if isinstance(found, str) else None


def _run(
    prepared: PreparedImages,
    settings: ImageSettings,
    talk: _ImageTalk,
    place: Path,
    *,
    resume: bool,
) -> ImageRun:
    from thalweg.images import fit_prepared_images

    def fit(checkpoint: Path) -> ImageRun:
        return fit_prepared_images(
            prepared,
            settings,
            checkpoint=checkpoint,
            checkpoint_every=CHECKPOINT_EVERY,
            resume=resume,
            progress=talk.talk.display(),
        )

    return kept_run(place, fit, resume=resume)


@dataclass(frozen=True)
class _ImageTalk:
    """What is said of images, to whom :class:`Talk` speaks."""

    talk: Talk

    @property
    def plain(self) -> bool:
        """Whether people read along."""
        return not self.talk.json and not self.talk.quiet

    def images(self, prepared: PreparedImages) -> None:
        """What the images are, what was noticed, and how they are split."""
        if not self.plain:
            tell_notes(prepared.notes, warnings_only=True)
            return
        images, counts = prepared.images, _counts(prepared)
        count, classes = plural(len(images), "image"), plural(len(counts), "class", "classes")
        say(f"{images.origin}: {count} of {prepared.encoder}, {classes}\n")
        width = max(map(len, (*counts, "class")))
        say(f"{'class':<{width}}  images")
        for name, number in list(counts.items())[:_SHOWN]:
            say(f"{name:<{width}}  {number:>6,}")
        if len(counts) > _SHOWN:
            say(f"… and {len(counts) - _SHOWN:,} more classes")
        tell_notes(prepared.notes)
        train, validation, test = (f"{len(rows):,}" for rows in prepared.split)
        say()
        say_entry("images", f"{train} for training, {validation} for validation, {test} for test")

    def plan(self, prepared: PreparedImages, settings: ImageSettings) -> None:
        """The network and how it is trained, in a few lines."""
        if not self.plain:
            return
        from thalweg.images import image_network
        from thalweg.tabular.choices import leading_rule

        network = image_network(prepared, settings)
        parameters = network.summary(prepared.encoder.input_shape).parameters
        say_entry("network", f"{settings.text('model')}: {parameters:,} parameters")
        count = len(prepared.split.train)
        batch, epochs = settings.batch(count), settings.most_epochs(count)
        rate = rate_text(leading_rule(settings.rule(count)).chosen_rate)
        say_entry(
            "training",
            f"{settings.text('optimizer')}, {rate}, batches of {batch}, "
            f"at most {epochs} epochs, seed {settings.seed}",
        )
        names = ("loss", "penalty", "clip", "class_weight", "average", "augment", "stop")
        extra = [
            f"{name.replace('_', ' ')} {settings.text(name)}"
            for name in names
            if getattr(settings, name) is not None
        ]
        if extra:
            say_entry("with", ", ".join(extra))
        say()

    def results(self, run: ImageRun, file: str, place: Path) -> None:
        """The test results, where the model is, and how to use it."""
        if run.stop_reason == "interrupted":
            tell("note", interrupted(run, place))
        if self.talk.json:
            from thalweg.training.display import write_json_line

            write_json_line(cast("TextIO", Output()), _summary(run, place))
        elif self.plain:
            say(f"\n{run.report()}\n")
            say(f"model     {place / MODEL}")
            words = ("thalweg", "predict", str(place / MODEL), _example(run, file))
            say(f"use it    {shlex.join(words)}")


def _counts(prepared: PreparedImages) -> dict[str, int]:
    """Images by class."""
    counts = dict.fromkeys(map(str, prepared.classes), 0)
    for place in prepared.y.tolist():
        counts[str(prepared.classes[place])] += 1
    return counts


def _example(run: ImageRun, file: str) -> str:
    """An image of the test, or the file that they are all in."""
    names, test = run.prepared.images.names, run.prepared.split.test
    return str(Path(file) / names[int(test[0])]) if names and len(test) else file


def _summary(run: ImageRun, place: Path) -> dict[str, object]:
    train, validation, test = (len(rows) for rows in run.prepared.split)
    return {
        "model": str(place / MODEL),
        "task": "classification",
        "classes": list(run.prepared.classes),
        "size": [run.prepared.encoder.width, run.prepared.encoder.height],
        "channels": run.prepared.encoder.channels,
        "images": {"train": train, "validation": validation, "test": test},
        "stop_reason": run.stop_reason,
        "epochs": len(run.history.rows),
        "best_epoch": run.best_epoch,
        "seconds": round(run.timing.seconds, 3),
        "test": run.test,
        "baselines": dict(run.baselines),
        "by_class": [item._asdict() for item in run.classes],
        "confusion": run.confusion.tolist(),
    }
