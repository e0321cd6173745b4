"""How a patron arranged the page: order of shelves, which are hidden, how dense."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from sqlalchemy.orm import Session

from library.errors import InvalidInput
from profiles import preferences

V = TypeVar("V")
DENSITIES: Final = ("roomy", "compact")


@dataclass(frozen=True)
class Layout:
    """An arrangement; shelves it does not name follow in the library's order."""

    order: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()
    density: str = "roomy"

    def arranged(self, shelves: Mapping[str, V]) -> dict[str, V]:
        """Return the shelves to show, in this arrangement's order."""
        return {
            code: shelves[code]
            for code in self.order_of(tuple(shelves))
            if code not in self.hidden
        }

    def order_of(self, codes: Sequence[str]) -> list[str]:
        """Return all of `codes`, the named ones first."""
        named = [code for code in self.order if code in codes]
        return named + [code for code in codes if code not in named]


def of(session: Session, patron_id: int) -> Layout:
    """Return a patron's arrangement."""
    kept: Mapping[str, Any] = preferences.get(session, patron_id).layout or {}
    density = kept.get("density")
    return Layout(
        order=tuple(kept.get("order", ())),
        hidden=frozenset(kept.get("hidden", ())),
        density=density if density in DENSITIES else DENSITIES[0],
    )


def change(
    session: Session, patron_id: int, codes: Sequence[str], do: str, shelf: str
) -> None:
    """Store the arrangement after one step of the patron's.

    Raises:
        InvalidInput: There is no such step or shelf.
    """
    new = changed(of(session, patron_id), codes, do, shelf)
    preferences.stored(session, patron_id).layout = {
        "order": list(new.order),
        "hidden": sorted(new.hidden),
        "density": new.density,
    }


def changed(layout: Layout, codes: Sequence[str], do: str, shelf: str) -> Layout:
    """Return the arrangement after one step: up, down, hide, show, a density, reset.

    Raises:
        InvalidInput: There is no such step or shelf.
    """
    if do == "reset":
        return Layout()
    if do in DENSITIES:
        return replace(layout, density=do)
    if shelf not in codes:
        raise InvalidInput(f"{shelf!r} is no shelf", field="shelf")
    if do in {"hide", "show"}:
        hidden = layout.hidden - {shelf} if do == "show" else layout.hidden | {shelf}
        return replace(layout, hidden=hidden)
    if do not in {"up", "down"}:
        raise InvalidInput(f"{do!r} is no way to arrange a shelf", field="do")
    return replace(layout, order=_moved(layout.order_of(codes), shelf, do))


def _moved(order: list[str], shelf: str, do: str) -> tuple[str, ...]:
    place = order.index(shelf)
    other = max(0, place - 1) if do == "up" else min(len(order) - 1, place + 1)
    order[place], order[other] = order[other], order[place]
    return tuple(order)
