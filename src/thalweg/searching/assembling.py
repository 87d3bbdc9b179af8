"""From a trial's settings to what its training is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from thalweg.data.table import nearest
from thalweg.descriptions import Description, structure_of
from thalweg.descriptions.spec import parse_spec
from thalweg.errors import SettingError
from thalweg.nn.augmentation import as_augmentation
from thalweg.nn.layer import Layer
from thalweg.nn.losses import as_loss
from thalweg.nn.penalties import as_penalty
from thalweg.optim.averaging import as_averaging
from thalweg.optim.clipping import as_clipping
from thalweg.optim.optimizers import as_optimizer
from thalweg.searching.reaching import check_described, paths_in, reached
from thalweg.training.arguments import Arguments
from thalweg.training.stopping import as_stopping

_TAKEN = tuple(field.name for field in dataclasses.fields(Arguments))
_DATA = frozenset({"x", "y", "rows", "validation"})
_FIXED = _DATA | {"classes", "callbacks", "backend", "dtype", "sample_weight", "start", "threads"}
"""Arguments that a space cannot hold."""
_FILES = frozenset({"checkpoint", "checkpoint_every", "checkpoint_every_updates", "resume"})
"""Arguments that a trial has none of: the journal is what a search goes on from."""


def _layer(value: Any) -> Any:
    return parse_spec("layer", value) if isinstance(value, str) else value


def _clipping(value: Any) -> Any:
    return parse_spec("clipping", value) if isinstance(value, str) else as_clipping(value)


_READ: dict[str, Callable[[Any], Any]] = {
    "network": _layer,
    "loss": lambda value: None if value is None else as_loss(value),
    "optimizer": as_optimizer,
    "clip": _clipping,
    "penalty": as_penalty,
    "average": as_averaging,
    "augment": as_augmentation,
    "early_stopping": as_stopping,
}
"""The arguments that are descriptions, into which paths reach."""

Build = Callable[[Any], Any]
"""From settings to a network, or to a mapping of ``fit``'s arguments."""


class Asked(Mapping[str, Any]):
    """A trial's settings as ``build`` sees them, which notes what was asked for.

    >>> settings = Asked({"width": 16, "depth": 2})
    >>> settings["width"], settings.get("dropout", 0.0), sorted(settings.read)
    (16, 0.0, ['dropout', 'width'])
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.read: set[str] = set()
        self._settings = dict(settings)

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        if name not in self._settings:
            near = nearest(name, self._settings)
            hint = f"; did you mean {near!r}?" if near else "."
            raise SettingError(
                f"build asks for {name!r}, which this trial's settings do not hold{hint} They "
                f"hold: {', '.join(self._settings) or 'nothing'}"
            )
        return self._settings[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The value, or a default where this trial has none."""
        self.read.add(name)
        return self._settings.get(name, default)

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return name in self._settings

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings)

    def __len__(self) -> int:
        return len(self._settings)

    def __repr__(self) -> str:
        return repr(self._settings)


@dataclass(frozen=True)
class Made:
    """What came of a trial's settings.

    Attributes:
        arguments: of :func:`fit`.
        used: the names of the space that went into them.
        asked: what ``build`` asked for, in the space or not.
    """

    arguments: dict[str, Any]
    used: frozenset[str]
    asked: frozenset[str]


@dataclass(frozen=True)
class Assembly:
    """Makes the arguments of trials.

    Args:
        build: a network that all trials share, or a function from settings.
        options: of :func:`fit`, for all trials.
    """

    build: Build | Layer
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Check names.

        Raises:
            SettingError: a build that is neither, or an option that ``fit`` has not.
        """
        if not isinstance(self.build, Layer) and not callable(self.build):
            raise SettingError(
                "build must be a network, or a function from settings to a network or to a "
                f"mapping of fit's arguments, got {self.build!r:.80}"
            )
        _check_arguments(self.options, "search")

    def make(self, settings: Mapping[str, Any]) -> Made:
        """The arguments for a trial's settings.

        Raises:
            SettingError: what the build or a setting's range refuses.
            ShapeError: as the build raises it.
        """
        built, asked = self._built(settings)
        arguments: dict[str, Any] = {**self.options, **built}
        used = asked & settings.keys()
        applied = {
            name: value
            for name, value in settings.items()
            if not (name in asked and name.partition(".")[0] in built)
        }
        for name, value in applied.items():
            if name in _TAKEN:
                is_text = isinstance(value, str) and name in _READ
                arguments[name] = _READ[name](value) if is_text else value
                used |= {name}
        for name, value in applied.items():
            if "." in name and self._reach(arguments, name, value):
                used |= {name}
        return Made(arguments, frozenset(used), frozenset(asked))

    def _built(self, settings: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
        """What the build gives, and what it asked for."""
        if isinstance(self.build, Layer):
            return {"network": self.build}, set()
        asked = Asked(settings)
        built = self.build(asked)
        if not isinstance(built, Mapping):
            return {"network": _network(built)}, asked.read
        found = dict(cast("Mapping[str, Any]", built))
        _check_arguments(found, "build's result")
        if "network" not in found and "network" not in settings:
            raise SettingError(
                f"build gave {', '.join(map(str, found)) or 'nothing'}, but no network; add "
                '"network": …'
            )
        return found, asked.read

    @staticmethod
    def _reach(arguments: dict[str, Any], name: str, value: Any) -> bool:
        """Put a value where its path leads; False where it leads nowhere."""
        head, _, path = name.partition(".")
        if head not in _READ:
            return False
        whole = _part(arguments, head)
        if whole is None:
            return False
        found = reached(check_described(whole, head, name), path, value)
        if found is not None:
            arguments[head] = found
        return found is not None


def _part(arguments: Mapping[str, Any], head: str) -> Any:
    """A description among arguments, as it is read, or the default."""
    return _READ[head](arguments.get(head, getattr(Arguments, head, None)))


def _network(built: Any) -> Any:
    if isinstance(built, Layer) or callable(built):
        return built
    raise SettingError(
        f"build must give a network or a mapping of fit's arguments, got {built!r:.80}"
    )


def _check_arguments(names: Iterable[str], where: str) -> None:
    refused = _DATA | _FILES
    known = [name for name in _TAKEN if name not in refused]
    for name in names:
        if name in known:
            continue
        if name in refused:
            remedy = "journal= keeps a search" if name in _FILES else "the search gives it"
            raise SettingError(f"{where} cannot hold {name}: {remedy}")
        near = nearest(name, known)
        hint = f"; did you mean {near!r}?" if near else "."
        raise SettingError(
            f"{where} holds {name!r}, which fit has not{hint} It has: {', '.join(known)}"
        )


def shape_of(arguments: Mapping[str, Any]) -> dict[str, object]:
    """All of some arguments but numeric settings, to be compared: what makes programs differ."""
    return {
        name: structure_of(_part(arguments, name) if name in _READ else value)
        for name, value in arguments.items()
    }


# ------------------------------------------------------------------ names


def check_space(names: Iterable[str]) -> None:
    """Refuse names of a space that no trial may vary.

    Raises:
        SettingError: naming it.
    """
    for name in names:
        head = name.partition(".")[0]
        if head in _FIXED | _FILES:
            raise SettingError(
                f"the space names {name!r}, which must be the same for all trials; give it to "
                "search as an option, or leave it out"
            )


def check_used(names: Iterable[str], made: Iterable[Made]) -> None:
    """Refuse names of a space that went into no trial at all.

    Args:
        names: of the space.
        made: trials of as many kinds as there are.

    Raises:
        SettingError: naming the first; what is most like it is offered.
    """
    trials = list(made)
    used = frozenset[str]().union(*(item.used for item in trials))
    for name in names:
        if name not in used:
            known = list(_known(trials, used))
            near = nearest(name, known)
            hint = f"; did you mean {near!r}?" if near else "."
            raise SettingError(
                f"the space names {name!r}, which neither build nor fit uses{hint} Known: "
                f"{', '.join(known[:60])}{', …' if len(known) > 60 else ''}"
            )


def _known(trials: Iterable[Made], used: frozenset[str]) -> Iterator[str]:
    """Names that could have been meant: asked for by build, of fit, or of a description inside."""
    found = dict.fromkeys(name for item in trials for name in sorted(item.asked - used))
    found |= dict.fromkeys(name for name in _TAKEN if name not in _FIXED | _FILES)
    for item in trials:
        for head in _READ:
            whole = _part(item.arguments, head)
            if isinstance(whole, Description):
                found |= dict.fromkeys(paths_in(whole, f"{head}."))
    yield from found


__all__ = ["Assembly", "Made", "check_space", "check_used", "shape_of"]
