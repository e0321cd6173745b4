"""How alerts make one digest: order, headings, and how many more are on the page.

Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Generic, Protocol, TypeVar


class Ranked(Protocol):
    """What a digest needs to know of an alert."""

    @property
    def alert_id(self) -> int:
        """Breaks ties: the older alert first."""

    @property
    def score(self) -> float:
        """How well the work suits."""

    @property
    def interest_id(self) -> int | None:
        """The interest that brought it."""

    @property
    def rule_id(self) -> int | None:
        """The librarian's rule that brought it."""


class Heading(StrEnum):
    """What stands above a group of works."""

    LIBRARIAN = "librarian"
    INTEREST = "interest"
    FOR_YOU = "for_you"


RankedT = TypeVar("RankedT", bound=Ranked)


@dataclass(frozen=True)
class Section(Generic[RankedT]):
    """The works under one heading, best first."""

    heading: Heading
    interest_id: int | None
    entries: tuple[RankedT, ...]


@dataclass(frozen=True)
class Ending:
    """An interest that brings nothing after a day."""

    label: str
    ends_on: date
    calendar: str
    """In which its patron reads the day."""


@dataclass(frozen=True)
class Digest(Generic[RankedT]):
    """What one message tells."""

    sections: tuple[Section[RankedT], ...]
    more: int
    """Alerts of this digest that only the page shows."""
    ending: tuple[Ending, ...] = ()
    """Interests whose end it tells of."""

    @property
    def shown(self) -> list[RankedT]:
        """What it shows, in the order of reading."""
        return [entry for section in self.sections for entry in section.entries]

    @property
    def total(self) -> int:
        """How many works it brings, with those on the page."""
        return len(self.shown) + self.more


def arrange(alerts: Iterable[RankedT], *, limit: int) -> Digest[RankedT]:
    """Arrange alerts into a digest of at most `limit` works.

    The best are shown. Each stands under the interest that brought it; headings come in
    the order of their best work, a librarian's choice first.
    """
    ordered = sorted(alerts, key=lambda a: (-a.score, a.alert_id))
    kept = ordered[:limit]
    groups: dict[tuple[Heading, int | None], list[RankedT]] = {}
    for alert in sorted(kept, key=lambda a: a.rule_id is None):
        groups.setdefault(_group(alert), []).append(alert)
    sections = (Section(*key, tuple(entries)) for key, entries in groups.items())
    return Digest(tuple(sections), more=len(ordered) - len(kept))


def _group(alert: Ranked) -> tuple[Heading, int | None]:
    if alert.rule_id is not None:
        return Heading.LIBRARIAN, None
    if alert.interest_id is not None:
        return Heading.INTEREST, alert.interest_id
    return Heading.FOR_YOU, None
