"""Space: the hyperparameters of a search by name, with the values that each may take."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from thalweg.data.table import nearest
from thalweg.descriptions.constraints import shown
from thalweg.errors import SettingError
from thalweg.searching.spaces.choices import Choice, Fixed
from thalweg.searching.spaces.domain import Domain, End
from thalweg.searching.spaces.entries import flat, unknown_name
from thalweg.searching.spaces.ranges import Range, Whole
from thalweg.searching.spaces.values import canonical, plain_value, value_text

Settings = dict[str, Any]
"""One value for each active hyperparameter of a space, by name."""

_MOST_NAMES = 200


class Space:
    """The hyperparameters that a search varies, by name, in order; it cannot be changed.

    Args:
        entries: for each name a :class:`Range`, :class:`Whole` or :class:`Choice`, a list (a
            choice of its items), or a constant. What :meth:`plain` gives is understood too:
            mappings with ``low`` and ``high``, ``values``, or ``value``, and an optional ``when``;
            names may be nested or joined by dots.

    A range with ``when`` takes part only where the names there, which stand before it, have one of
    the values listed; elsewhere its name is left out of a trial's settings.

    Raises:
        SettingError: nothing varies, a name that is none, a range that is empty, or a condition
            on a name that does not stand before.

    >>> space = Space({"learning_rate": Range(1e-4, 1e-1, log=True), "width": [16, 32], "seed": 3})
    >>> space.settings([0.5, 0.9])
    {'learning_rate': 0.00316..., 'width': 32, 'seed': 3}
    >>> len(list(space.grid(5)))
    10
    """

    def __init__(self, entries: Mapping[str, Any]) -> None:
        if not isinstance(entries, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SettingError(f"a space must map names to ranges, got {shown(entries)}")
        domains = dict[str, Domain]()
        for name, domain in flat("", entries):
            if name in domains:
                raise SettingError(f"the space holds {name!r} twice")
            domains[name] = domain
        self._domains = MappingProxyType(domains)
        self._varying = tuple(name for name in domains if not isinstance(domains[name], Fixed))
        self._check()

    def _check(self) -> None:
        if not self._varying:
            raise SettingError(
                "nothing varies in this space; give at least one Range, Whole or Choice, such as "
                "{'learning_rate': Range(1e-4, 1e-1, log=True)}"
            )
        if len(self._domains) > _MOST_NAMES:
            raise SettingError(
                f"the space holds {len(self._domains):,} names; at most {_MOST_NAMES:,} are allowed"
            )
        before = list[str]()
        for name, domain in self._domains.items():
            for parent, values in domain.when.items():
                self._check_condition(name, parent, values, before)
            before.append(name)

    def _check_condition(
        self, name: str, parent: str, values: Sequence[Any], before: list[str]
    ) -> None:
        if parent not in before:
            known = parent in self._domains and parent != name
            near = nearest(parent, before)
            hint = f"; did you mean {near!r}?" if near else ""
            reason = "stands after it: put it before" if known else f"is no name before it{hint}"
            raise SettingError(f"{name} depends on {parent!r}, which {reason}")
        if isinstance(self._domains[parent], Range):
            raise SettingError(
                f"{name} depends on {parent!r}, a Range; only a Choice, Whole or constant can "
                "decide whether a name takes part"
            )
        for value in values:
            try:
                self._domains[parent].read(value)
            except SettingError as error:
                raise SettingError(f"{name} depends on {parent!r}: {error}") from error

    # ------------------------------------------------------------------ as a mapping

    @property
    def domains(self) -> Mapping[str, Domain]:
        """The range of each name, in order."""
        return self._domains

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(self._domains)

    @property
    def varying(self) -> tuple[str, ...]:
        """The names that are no constants, in order: the axes of the unit cube."""
        return self._varying

    def __getitem__(self, name: str) -> Domain:
        return self._domains[name]

    def __contains__(self, name: object) -> bool:
        return name in self._domains

    def __iter__(self) -> Iterator[str]:
        return iter(self._domains)

    def __len__(self) -> int:
        return len(self._domains)

    def __repr__(self) -> str:
        words = (f"{name!r}: {_word(domain)}" for name, domain in self._domains.items())
        return f"Space({{{', '.join(words)}}})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and canonical(self.plain()) == canonical(other.plain())

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    # ------------------------------------------------------------------ settings

    def settings(self, point: Sequence[float]) -> Settings:
        """The settings at a point of the unit cube, one coordinate in [0, 1] a varying name."""
        places = dict(zip(self._varying, point, strict=True))
        found = Settings()
        for name, domain in self._domains.items():
            if domain.takes_part(found):
                found[name] = domain.at(places.get(name, 0.5))
        return found

    def point(self, settings: Mapping[str, Any]) -> list[float]:
        """The point of the unit cube where settings lie; ½ for what is not active."""
        return [
            self._domains[name].place(settings[name]) if name in settings else 0.5
            for name in self._varying
        ]

    def active(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """The varying names that take part, given the values of those that decide."""
        found = Settings()
        for name, domain in self._domains.items():
            if domain.takes_part(found) and (name in settings or isinstance(domain, Fixed)):
                found[name] = settings.get(name, domain.at(0.5))
        return tuple(name for name in self._varying if name in found)

    def plain_settings(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings as JSON data, for journals and tables; descriptions become their text."""
        return {name: plain_value(value) for name, value in settings.items()}

    def read_settings(self, plain: Mapping[str, Any]) -> Settings:
        """The settings that JSON data stands for: the inverse of :meth:`plain_settings`.

        Raises:
            SettingError: a name or value that is not in the space, or a name that is missing.
        """
        self._check_known(plain)
        found = Settings()
        for name, domain in self._domains.items():
            if not domain.takes_part(found):
                if name in plain:
                    raise SettingError(f"{name} = {value_text(plain[name])} takes no part here")
                continue
            if name not in plain:
                raise SettingError(f"the settings lack {name!r}")
            try:
                found[name] = domain.read(plain[name])
            except SettingError as error:
                raise SettingError(f"{name}: {error}") from error
        return found

    def _check_known(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._domains:
                raise SettingError(unknown_name(name, self._domains, "the space has no"))

    # ------------------------------------------------------------------ as a whole

    def grid(self, points: int) -> Iterator[Settings]:
        """All combinations of at most so many values of each range, the last name changing first.

        Raises:
            SettingError: points < 1.
        """
        if points < 1:
            raise SettingError(f"a grid needs at least 1 point of each range, got {points}")
        values = {name: domain.grid(points) for name, domain in self._domains.items()}
        return self._combinations(list(self._domains), Settings(), values)

    def _combinations(
        self, names: list[str], chosen: Settings, values: Mapping[str, list[Any]]
    ) -> Iterator[Settings]:
        while names and not self._domains[names[0]].takes_part(chosen):
            names = names[1:]
        if not names:
            yield chosen
            return
        for value in values[names[0]]:
            yield from self._combinations(names[1:], {**chosen, names[0]: value}, values)

    @property
    def size(self) -> int | None:
        """How many different settings there are; None where a range has no end of values."""
        if any(domain.count is None for domain in self._domains.values()):
            return None
        return self._number(list(self._domains), Settings())

    def _number(self, names: list[str], chosen: Settings) -> int:
        """Settings that go on from those chosen; what the same names depend on is counted once."""
        if not names:
            return 1
        name, rest = names[0], names[1:]
        domain = self._domains[name]
        count = domain.count or 0
        if not domain.takes_part(chosen):
            return self._number(rest, chosen)
        deciding = {
            canonical(value): value
            for other in rest
            for value in self._domains[other].when.get(name, ())
        }
        total = sum(self._number(rest, {**chosen, name: value}) for value in deciding.values())
        others = count - len(deciding)
        if others:
            total += others * self._number(rest, chosen)
        return total

    def check_names(self, known: Iterable[str]) -> None:
        """Refuse a name that is not among the known ones; the nearest is offered.

        Raises:
            SettingError: naming it.

        >>> Space({"learning_rat": [0.1, 0.2]}).check_names(["learning_rate", "width"])
        Traceback (most recent call last):
        thalweg.errors.SettingError: nothing takes 'learning_rat' of the space; did you mean ...
        """
        names = list(known)
        for name in self._domains:
            if name not in names:
                raise SettingError(unknown_name(name, names, "nothing takes", " of the space"))

    def edges(self, settings: Mapping[str, Any]) -> dict[str, End]:
        """The names whose value lies at an end of their range, and at which.

        Within 2 % of a range (of its logarithm), or at the last number of whole ones and steps;
        choices have no ends.

        >>> space = Space({"rate": Range(1e-4, 1e-1, log=True), "width": Whole(8, 64)})
        >>> space.edges({"rate": 0.099, "width": 32})
        {'rate': 'highest'}
        """
        found = dict[str, End]()
        for name in self._varying:
            end = self._domains[name].edge(settings[name]) if name in settings else None
            if end is not None:
                found[name] = end
        return found

    def plain(self) -> dict[str, Any]:
        """The space as JSON data, from which ``Space`` makes an equal one."""
        return {name: domain.plain() for name, domain in self._domains.items()}

    @property
    def fingerprint(self) -> str:
        """A digest (SHA-256) of names, their order, and their values."""
        ordered = [[name, domain.plain()] for name, domain in self._domains.items()]
        return hashlib.sha256(canonical(ordered).encode()).hexdigest()


def _word(domain: Domain) -> str:
    return repr(domain.value) if isinstance(domain, Fixed) and not domain.when else repr(domain)


__all__ = ["Choice", "Domain", "Range", "Settings", "Space", "Whole"]
