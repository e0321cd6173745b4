"""What patrons said themselves: which works their interests speak for. Pure.

A stated interest needs no model and no history; it is all that speaks for a patron who
has not agreed to learning. Its strength is in the same standard deviations as the
blend's, so that both add up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

import numpy as np

from library.text.languages import language_key
from library.vocabulary import InterestKind
from recommender.arrays import FloatArray, IntArray
from recommender.candidates import NOWHERE, Candidate, Candidates

STATED = 1.0
"""Standard deviations that an interest of weight 1 adds."""
FOLLOWED = 3.0
"""The same of a creator or series that the patron follows."""
INFERRED = 0.3
"""An interest nobody stated was learnt from loans, which the parts read already."""
MOST = 4.0
"""However many interests fit one work, they add no more than this."""


@dataclass(frozen=True)
class Interest:
    """One active interest of one patron."""

    interest_id: int
    patron_id: int
    kind: InterestKind
    squash: str
    label: str
    weight: float = 1.0
    inferred: bool = False
    follow: bool = False
    new_works_only: bool = True
    since: datetime | None = None
    ends_on: date | None = None
    languages: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hits:
    """Where interests fit works: patron and place, which interest, its worth."""

    row: IntArray
    place: IntArray
    interest: IntArray
    """Index in the interests given."""
    value: FloatArray

    @cached_property
    def by_cell(self) -> Mapping[tuple[int, int], Sequence[int]]:
        """Row and place to the hits there."""
        found: dict[tuple[int, int], list[int]] = defaultdict(list)
        cells = zip(self.row.tolist(), self.place.tolist(), strict=True)
        for index, cell in enumerate(cells):
            found[cell].append(index)
        return found

    def scores(self, n_rows: int, n_places: int) -> FloatArray:
        """Add up the hits, shape (patrons, candidates)."""
        total = np.zeros((n_rows, n_places), np.float32)
        np.add.at(total, (self.row, self.place), self.value)
        return np.clip(total, -MOST, MOST)


def find_hits(
    candidates: Candidates, interests: Sequence[Interest], rows: Mapping[int, int]
) -> Hits:
    """Find the works each interest speaks for.

    Args:
        candidates: Of this run.
        interests: Of any patrons, ended ones left out.
        rows: Patron id to row; an interest of nobody here is passed over.
    """
    found = [
        (rows[interest.patron_id], place, index, worth(interest))
        for index, interest in enumerate(interests)
        if interest.weight and interest.patron_id in rows
        for place in _places(candidates, interest)
        if suits(candidates.works[place], interest)
    ]
    row, place, which, value = zip(*found, strict=True) if found else ((),) * 4
    return Hits(
        np.array(row, np.int64),
        np.array(place, np.int64),
        np.array(which, np.int64),
        np.array(value, np.float32),
    )


def worth(interest: Interest) -> float:
    """Return how many standard deviations the interest adds to a work it fits."""
    if interest.inferred:
        return INFERRED * interest.weight
    return (FOLLOWED if _is_followed(interest) else STATED) * interest.weight


def suits(work: Candidate, interest: Interest) -> bool:
    """Is the work in the interest's languages, formats and branches, and new to it?"""
    languages = {language_key(code) for code in interest.languages}
    formats = {name.casefold() for name in interest.formats}
    return (
        (not languages or work.language in languages)
        and (not formats or bool(work.formats & formats))
        and (not interest.branches or bool(work.branches & set(interest.branches)))
        and not (_is_followed(interest) and _is_old(work, interest))
    )


def _is_followed(interest: Interest) -> bool:
    kinds = (InterestKind.CREATOR, InterestKind.SERIES)
    return interest.follow and interest.kind in kinds


def _is_old(work: Candidate, interest: Interest) -> bool:
    """Was the work there before the patron began to follow, or is it a reprint?"""
    since = interest.since
    if not interest.new_works_only or since is None:
        return False
    if work.first_seen_at is not None and work.first_seen_at < since:
        return True
    return work.year is not None and work.year < since.year - 1


def _places(candidates: Candidates, interest: Interest) -> Sequence[int]:
    if interest.kind == InterestKind.KEYWORD:
        return candidates.with_words(interest.label)
    key = (interest.kind.value, interest.squash)
    return [int(place) for place in candidates.by_key.get(key, NOWHERE)]
