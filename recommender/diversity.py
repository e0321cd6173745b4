"""Variety in one patron's list: caps by creator, subject and series, and kept places.

Caps are greedy down the ranking, as in Ziegler, McNee, Konstan, Lausen: Improving
Recommendation Lists Through Topic Diversification (WWW 2005), with counts instead of a
distance: a librarian can read "no creator more than twice". Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Caps:
    """At most so many works of one creator, subject and series in a list of `size`."""

    creator: int = 2
    subject: int = 4
    series: int = 2
    different: int = 2
    """Places per ten kept for works that few borrow."""


@dataclass(frozen=True)
class Sides:
    """What of a work the caps look at.

    Attributes:
        creators: Keys of its creators.
        subjects: Keys of its subjects; only the first counts, since catalogues give
            a work one heading or fifteen.
        series: Key of its series.
        common: It is among the most borrowed fifth.
    """

    creators: tuple[Hashable, ...] = ()
    subjects: tuple[Hashable, ...] = ()
    series: Hashable | None = None
    common: bool = False


@dataclass
class _Chosen:
    places: list[int] = field(default_factory=list)
    counts: Counter[Hashable] = field(default_factory=Counter)


def diversify(
    ranked: Sequence[int], sides: Sequence[Sides], size: int, caps: Caps
) -> list[int]:
    """Return up to `size` of the ranked places, in their order, within the caps.

    The kept places go to the best works outside the most borrowed fifth, and come
    last; where there are none, the common ones take them.

    Args:
        ranked: Places in `sides`, best first.
        sides: Of all candidates.
        size: Longest list.
        caps: Shrunk for no list: two of a creator are two in a short list too.
    """
    kept = min(size * caps.different // 10, size)
    chosen = _Chosen()
    _take(chosen, ranked, sides, size - kept, caps)
    rare = [place for place in ranked if not sides[place].common]
    have = sum(not sides[place].common for place in chosen.places)
    _take(
        chosen, rare, sides, min(size, len(chosen.places) + max(kept - have, 0)), caps
    )
    _take(chosen, ranked, sides, size, caps)
    order = {place: rank for rank, place in enumerate(ranked)}
    return sorted(chosen.places, key=order.__getitem__)


def few_borrow(places: Sequence[int], sides: Sequence[Sides]) -> frozenset[int]:
    """Return the places of a list to mark as something different.

    Those outside the most borrowed fifth, where they are not most of the list: in a
    list of new works, which nobody could borrow yet, the mark would say nothing.
    """
    rare = frozenset(place for place in places if not sides[place].common)
    return rare if 2 * len(rare) <= len(places) else frozenset()


def _take(
    chosen: _Chosen,
    ranked: Iterable[int],
    sides: Sequence[Sides],
    size: int,
    caps: Caps,
) -> None:
    taken = set(chosen.places)
    for place in ranked:
        if len(chosen.places) >= size:
            return
        keys = _keys(sides[place], caps)
        if place in taken or any(chosen.counts[key] >= cap for key, cap in keys):
            continue
        chosen.places.append(place)
        chosen.counts.update(key for key, _ in keys)


def _keys(sides: Sides, caps: Caps) -> list[tuple[Hashable, int]]:
    keys: list[tuple[Hashable, int]] = [
        (("creator", name), caps.creator) for name in sides.creators
    ]
    keys += [(("subject", name), caps.subject) for name in sides.subjects[:1]]
    if sides.series is not None:
        keys.append((("series", sides.series), caps.series))
    return keys
