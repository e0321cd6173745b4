"""The works up for matching, with all that wishes, rules and caps look at. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np

from library.text import terms
from recommender.arrays import IntArray

Key = tuple[str, str]
"""A kind ("work", "creator", "subject", "series") and a work's id or a squash."""

Name = tuple[str, str]
"""A squash and the label it is shown by."""


@dataclass(frozen=True)
class Candidate:
    """One work as the patron's wishes see it."""

    work_id: int
    title: str
    creators: tuple[Name, ...] = ()
    subjects: tuple[Name, ...] = ()
    series: Name | None = None
    language: str = ""
    formats: frozenset[str] = frozenset()
    text: str = ""
    """The words of title, creators and subjects, with a space at both ends."""
    year: int | None = None
    first_seen_at: datetime | None = None
    branches: frozenset[str] = frozenset()
    """Codes of the branches where it is new."""

    @property
    def keys(self) -> list[Key]:
        """All names a suppression or rule can know it by."""
        named = [("creator", key) for key, _ in self.creators]
        named += [("subject", key) for key, _ in self.subjects]
        named += [("series", self.series[0])] if self.series else []
        return [("work", str(self.work_id)), *named]


@dataclass(frozen=True)
class Candidates:
    """The works of one run, in the order of their ids; a place is an index in it."""

    works: Sequence[Candidate]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.works)

    @cached_property
    def ids(self) -> IntArray:
        """The works' ids, rising."""
        return np.array([work.work_id for work in self.works], np.int64)

    @cached_property
    def by_key(self) -> Mapping[Key, IntArray]:
        """The places of the works that a name fits."""
        found: dict[Key, list[int]] = defaultdict(list)
        for place, work in enumerate(self.works):
            for key in work.keys:
                found[key].append(place)
        return {key: np.array(places, np.int64) for key, places in found.items()}

    @cached_property
    def by_word(self) -> Mapping[str, list[int]]:
        """The places of the works in whose text a word stands."""
        found: dict[str, list[int]] = defaultdict(list)
        for place, work in enumerate(self.works):
            for word in set(work.text.split()):
                found[word].append(place)
        return found

    def with_words(self, text: str) -> Sequence[int]:
        """Return the places of the works where these words stand side by side."""
        words = terms(text)
        if not words:
            return ()
        phrase = f" {' '.join(words)} "
        rarest = min((self.by_word.get(word, []) for word in words), key=len)
        return [place for place in rarest if phrase in self.works[place].text]


NOWHERE: IntArray = np.empty(0, np.int64)
