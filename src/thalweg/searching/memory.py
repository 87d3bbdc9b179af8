"""What a journal remembers of a search, and what is written to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from thalweg.errors import FileError
from thalweg.searching.schedulers.scheduler import Copy
from thalweg.searching.spaces.space import Space
from thalweg.searching.trial import OPEN, Outcome, Record, columns, rows_of

Event = dict[str, Any]


class Journals(Protocol):
    """A file of events that is only ever added to."""

    @property
    def events(self) -> Sequence[Mapping[str, Any]]:
        """Those that it held when it was opened."""
        ...

    def append(self, event: Mapping[str, Any], *more: Mapping[str, Any]) -> None:
        """Add some, so that they survive whatever happens next."""
        ...


class Memory:
    """The events of a search: those of earlier runs are found again, new ones are written.

    A search is run from its beginning every time; what the journal remembers is taken from there
    and not trained again. So it goes on where it was, whenever it was killed.

    Args:
        space: in whose terms settings are read.
        journal: None remembers and writes nothing.
    """

    def __init__(self, space: Space, journal: Journals | None) -> None:
        self._space = space
        self._journal = journal
        self._proposals: dict[int, tuple[dict[str, Any], int]] = {}
        self._outcomes: dict[tuple[int, int], Outcome] = {}
        self._copies: dict[tuple[int, int], dict[str, Any]] = {}
        self._stopped: set[tuple[int, int]] = set()
        for place, event in enumerate([] if journal is None else journal.events):
            try:
                self._read(event)
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise FileError(
                    f"event {place + 1} of the journal is not one of a search ({error!r:.80}); "
                    "choose another file, or make an end of this one"
                ) from error

    @property
    def proposed(self) -> int:
        """How many trials were proposed, as far as the journal knows."""
        return max(self._proposals, default=-1) + 1

    @property
    def ended(self) -> int:
        """How many trials have ended, as far as the journal knows."""
        last = {number for (number, _), held in self._outcomes.items() if held.state != OPEN}
        return len(last | {number for number, _ in self._stopped})

    def _read(self, event: Mapping[str, Any]) -> None:
        kind, number = event["event"], int(event["number"])
        if kind == "proposal":
            settings = self._space.read_settings(event["settings"])
            self._proposals[number] = settings, int(event["seed"])
        elif kind in {"rung", "finished"}:
            self._outcomes[number, int(event["until"])] = _outcome(event)
        elif kind == "copy":
            settings = self._space.read_settings(event["settings"])
            self._copies[number, int(event["epoch"])] = settings
        elif kind == "stopped":
            self._stopped.add((number, int(event["epoch"])))

    def proposal(self, number: int) -> tuple[dict[str, Any], int] | None:
        """A trial's settings and seed, None where it was not proposed yet."""
        return self._proposals.get(number)

    def propose(self, records: Sequence[Record]) -> None:
        """Note new trials; those that are known already are left out."""
        events: list[Event] = []
        for record in records:
            if record.number in self._proposals:
                continue
            self._proposals[record.number] = record.settings, record.seed
            plain = self._space.plain_settings(record.settings)
            known = {"event": "proposal", "number": record.number}
            events.append({**known, "settings": plain, "seed": record.seed})
        if self._journal is not None and events:
            self._journal.append(*events)

    def outcome(self, number: int, until: int) -> Outcome | None:
        """What came of training a trial up to an epoch, None where that was not done yet."""
        return self._outcomes.get((number, until))

    def note(self, record: Record, outcome: Outcome) -> None:
        """Note what came of a stretch of training."""
        kind = "rung" if outcome.state == OPEN else "finished"
        ending = {} if outcome.state == OPEN else {"state": outcome.state, "reason": outcome.reason}
        self._write(
            kind, record.number, until=outcome.until, epochs=outcome.epochs, value=outcome.value,
            **ending, seconds=round(outcome.seconds, 6), history=columns(outcome.rows),
        )  # fmt: skip

    def copied(self, copy: Copy) -> dict[str, Any] | None:
        """The settings with which a trial went on from another one, None where it did not yet."""
        return self._copies.get((copy.number, copy.epoch))

    def copy(self, copy: Copy, settings: Mapping[str, Any]) -> None:
        """Note that a trial goes on from another one."""
        plain = self._space.plain_settings(settings)
        self._write("copy", copy.number, parent=copy.parent, epoch=copy.epoch, settings=plain)

    def stop(self, record: Record) -> None:
        """Note that a trial is trained no further."""
        key = record.number, record.epochs
        if key not in self._stopped:
            self._stopped.add(key)
            self._write("stopped", record.number, epoch=record.epochs, value=record.value)

    def _write(self, event: str, number: int, **parts: Any) -> None:
        if self._journal is not None:
            self._journal.append({"event": event, "number": number, **parts})


def _outcome(event: Mapping[str, Any]) -> Outcome:
    held = {name: [float(value) for value in values] for name, values in event["history"].items()}
    value = event["value"]
    return Outcome(
        int(event["until"]), int(event["epochs"]), None if value is None else float(value),
        str(event.get("state", OPEN)), str(event.get("reason", "")), rows_of(held),
        float(event["seconds"]),
    )  # fmt: skip


__all__ = ["Journals", "Memory"]
