"""A small library with planted tastes, and rows to match in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from library.db import Sessions
from library.settings import Settings
from library.tables import Patron, Work
from library.vocabulary import ConsentPurpose
from tests.factories import NOON, make_loan, make_patron, make_work


@dataclass(frozen=True)
class Library:
    """An installation of one test's own."""

    sessions: Sessions
    settings: Settings


STARS, COOKS = "Astronomy", "Cookery"
EACH = 15
"""Patrons of each taste."""


def make_two_tastes(session: Session) -> tuple[list[Patron], list[Work]]:
    """Add patrons who borrow by taste over half a year: stargazers, then cooks."""
    works = [
        make_work(
            session,
            f"{subject} for evenings {number}",
            creator=f"{subject} writer {number % 5}",
            subjects=[subject],
            at=NOON - timedelta(days=400),
        )
        for subject in (STARS, COOKS)
        for number in range(20)
    ]
    patrons = []
    for taste in range(2):
        shelf = works[taste * 20 : taste * 20 + 20]
        for number in range(EACH):
            patron = make_patron(
                session,
                f"{'sc'[taste]}{number}",
                consents=tuple(ConsentPurpose),
                at=NOON - timedelta(days=500),
            )
            patrons.append(patron)
            lent = [shelf[(number * 3 + k) % 20] for k in range(8)]
            borrow(session, patron, lent, days_ago=7 + number)
    return patrons, works


def borrow(
    session: Session, patron: Patron, works: Sequence[Work], *, days_ago: int = 7
) -> None:
    """Lend the works one by one every 20 days, the last so many days ago."""
    for back, work in enumerate(reversed(works)):
        made = make_loan(session, patron, work, at=NOON)
        made.borrowed_at = NOON - timedelta(days=days_ago + 20 * back)
