"""A small library with planted tastes, and rows to match in it."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.orm import Session

from library.tables import Patron, Work
from library.vocabulary import ConsentPurpose
from tests.factories import NOON, make_loan, make_patron, make_work

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
            borrow(session, patron, [shelf[(number * 3 + k) % 20] for k in range(8)])
    return patrons, works


def borrow(session: Session, patron: Patron, works: Sequence[Work]) -> None:
    """Lend the works one by one, the last a week ago."""
    for back, work in enumerate(reversed(works)):
        make_loan(session, patron, work, at=NOON - timedelta(days=7 + 20 * back))
