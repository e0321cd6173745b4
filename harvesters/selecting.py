"""What a library takes of a large source: by words and languages. Pure.

Settings of a source: `words` (one of them has to stand in title, subjects, series or
summary) and `languages`, each a list with commas.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harvesters.records import HarvestedRecord, Rejected
from library.text import terms
from library.text.languages import language_key

_COMMAS = re.compile("[,،;؛]")


@dataclass(frozen=True)
class Selection:
    """A rule of a source; empty sides ask nothing.

    Attributes:
        words: Each a phrase, as the words a search sees.
        languages: By `language_key`.
    """

    words: tuple[tuple[str, ...], ...] = ()
    languages: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.words or self.languages)

    def takes(self, record: HarvestedRecord) -> bool:
        """Tell whether the rule takes a record; one that is gone always."""
        if record.withdrawn:
            return True
        if self.languages and language_key(record.language) not in self.languages:
            return False
        return not self.words or self._names(record)

    def _names(self, record: HarvestedRecord) -> bool:
        labels = (heading.label for heading in record.subjects)
        told = [record.title, record.series or "", record.summary or "", *labels]
        text = f" {' '.join(' '.join(terms(each)) for each in told)} "
        return any(f" {' '.join(phrase)} " in text for phrase in self.words)


def selection_of(settings: Mapping[str, Any]) -> Selection:
    """Return the rule that a source's settings hold."""
    phrases = (tuple(terms(each)) for each in _list(settings, "words"))
    languages = (language_key(each) for each in _list(settings, "languages"))
    return Selection(tuple(filter(None, phrases)), frozenset(filter(None, languages)))


def left_out(record: HarvestedRecord) -> Rejected:
    """Return what the run tells of a record that the rule does not take."""
    return Rejected(record.ref, "left out by the source's rule", record.title)


def _list(settings: Mapping[str, Any], name: str) -> list[str]:
    parts = (part.strip() for part in _COMMAS.split(str(settings.get(name) or "")))
    return [part for part in parts if part]
