"""A patron's leave for each purpose: given with its wording, withdrawn with its traces.

All purposes are off until given. Withdrawing acts in the same transaction: what was
kept or concluded under the consent is gone with it.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, select, update
from sqlalchemy.orm import Session

from library.tables import (
    Alert,
    Consent,
    Hold,
    Impression,
    Interest,
    InterestProfile,
    Loan,
    Match,
    ShelfEntry,
)
from library.vocabulary import ConsentPurpose, InterestOrigin, ReasonKind
from profiles.patrons import hold_still

# What a reason of another kind says could come from loans alone.
_STANDS_WITHOUT_LOANS = frozenset(
    [ReasonKind.INTEREST, ReasonKind.RULE, ReasonKind.POPULAR, ReasonKind.LATEST]
)


def give(  # noqa: PLR0913 -- a consent is only good with all of these
    session: Session,
    patron_id: int,
    purpose: ConsentPurpose,
    *,
    wording: str,
    source: str,
    at: datetime,
    covers_past: bool = False,
) -> Consent:
    """Store that the patron agrees; one given already under this wording stays.

    Args:
        session: An open transaction.
        patron_id: Who.
        purpose: To what, and to nothing else.
        wording: The words agreed to, or the name of their version.
        source: Where it was said, as "page" or an import's system.
        at: When.
        covers_past: For history: loans from before may come in too.

    Raises:
        NotFound: No such patron.
    """
    hold_still(session, patron_id)
    live = session.scalar(_live(purpose).where(Consent.patron_id == patron_id))
    if live and live.wording == wording and live.covers_past >= covers_past:
        return live
    if live:
        live.withdrawn_at = at
    consent = _at(session, patron_id, purpose, at)
    consent.wording, consent.source = wording, source
    consent.covers_past, consent.withdrawn_at = covers_past, None
    session.add(consent)
    session.flush()
    return consent


def withdraw(
    session: Session, patron_id: int, purpose: ConsentPurpose, *, at: datetime
) -> None:
    """End the consent and remove what rested on it; safe where none was given.

    Without history no loan and no hold stays; without history or model nothing that was
    concluded from them: inferred interests, shelves, the reasons of matches and alerts.
    The patron's vector is made of these rows when needed, so it is gone too.

    Raises:
        NotFound: No such patron.
    """
    # Or what is concluded at this moment would be stored after we looked.
    hold_still(session, patron_id)
    session.execute(
        update(Consent)
        .where(Consent.patron_id == patron_id, Consent.purpose == purpose)
        .where(Consent.withdrawn_at.is_(None))
        .values(withdrawn_at=at)
    )
    if purpose is ConsentPurpose.HISTORY:
        session.execute(delete(Loan).where(Loan.patron_id == patron_id))
        session.execute(delete(Hold).where(Hold.patron_id == patron_id))
    if purpose in {ConsentPurpose.HISTORY, ConsentPurpose.MODEL}:
        forget_conclusions(session, patron_id)
    if purpose is ConsentPurpose.TRACKING:
        unname_impressions(session, patron_id)


def has(session: Session, patron_id: int, purpose: ConsentPurpose) -> bool:
    """Tell whether the patron agrees to the purpose now."""
    return (
        session.scalar(_live(purpose).where(Consent.patron_id == patron_id)) is not None
    )


def consenting(purpose: ConsentPurpose) -> Select[int]:
    """Return the query of the ids of all patrons who agree to the purpose."""
    return (
        select(Consent.patron_id)
        .where(Consent.purpose == purpose, Consent.withdrawn_at.is_(None))
        .distinct()
    )


def list_consents(session: Session, patron_id: int) -> list[Consent]:
    """Return all the patron ever gave, the withdrawn too, newest first."""
    given = select(Consent).where(Consent.patron_id == patron_id)
    return list(session.scalars(given.order_by(Consent.given_at.desc(), Consent.id)))


def forget_conclusions(session: Session, patron_id: int) -> None:
    """Remove what was concluded from loans and verdicts; what was stated stays."""
    profiles = select(InterestProfile.id).where(InterestProfile.patron_id == patron_id)
    session.execute(
        delete(Interest).where(
            Interest.interest_profile_id.in_(profiles),
            Interest.origin == InterestOrigin.INFERRED,
        )
    )
    session.execute(delete(ShelfEntry).where(ShelfEntry.patron_id == patron_id))
    _forget_reasons(session, patron_id)


def unname_impressions(session: Session, patron_id: int) -> None:
    """Keep that works were shown, and not to whom, nor which were shown together."""
    mine = select(Impression).where(Impression.patron_id == patron_id)
    for impression in session.scalars(mine):
        impression.patron_id = impression.alert_id = None
        impression.list_ref = f"unnamed {impression.id}"


def _forget_reasons(session: Session, patron_id: int) -> None:
    for match in session.scalars(select(Match).where(Match.patron_id == patron_id)):
        kept = _standing(match.reasons)
        if kept:
            match.reasons = kept
        else:
            session.delete(match)
    # An alert stays, whatever it rested on: a work is brought to a patron once.
    for alert in session.scalars(select(Alert).where(Alert.patron_id == patron_id)):
        alert.reasons = _standing(alert.reasons)


def _standing(reasons: list[Any]) -> list[Any]:
    return [reason for reason in reasons if reason["kind"] in _STANDS_WITHOUT_LOANS]


def _at(
    session: Session, patron_id: int, purpose: ConsentPurpose, at: datetime
) -> Consent:
    """Return the row of this moment: said twice in one moment is said once."""
    given = select(Consent).where(
        Consent.patron_id == patron_id,
        Consent.purpose == purpose,
        Consent.given_at == at,
    )
    return session.scalar(given) or Consent(
        patron_id=patron_id, purpose=purpose, given_at=at
    )


def _live(purpose: ConsentPurpose) -> Select[Consent]:
    return select(Consent).where(_is_live(purpose))


def _is_live(purpose: ConsentPurpose) -> ColumnElement[bool]:
    return (Consent.purpose == purpose) & Consent.withdrawn_at.is_(None)
