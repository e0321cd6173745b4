"""What a patron does to a card, and how each is taken back.

A step keeps what is needed to undo it and nothing else: no title rides in a cookie.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.context import Reader
from api.pages.shelf_words import LESSENED
from api.web import notices
from library.errors import InvalidInput
from library.i18n.messages import _
from library.tables import (
    Feedback,
    Interest,
    InterestProfile,
    Subject,
    Suppression,
    Work,
    WorkSubject,
)
from library.vocabulary import Channel, ReasonKind, SuppressionKind, Verdict
from profiles.feedback import record_verdict, verdict_of
from profiles.interests import change_interest
from profiles.lessening import LEFT_OUT, halve_interest, ignore_loans, leave_out
from profiles.suppression import lift

OFFER_AFTER: Final = 3
"""So many "not for me" on one subject, and the page offers to leave it out."""

_SAID: Final = {
    Verdict.WANTED: _("Saved: %(what)s"),
    Verdict.READ_ALREADY: _("Noted as read: %(what)s"),
    Verdict.NOT_FOR_ME: _("Hidden for good: %(what)s"),
    None: _("Taken back: %(what)s"),
}


@dataclass(frozen=True)
class Undo:
    """The notice under which the latest step can be taken back."""

    text: str
    what: str
    more: int


@dataclass(frozen=True)
class Offer:
    """A subject to which a patron said no several times."""

    subject: str
    squash: str
    times: int


def give_verdict(
    session: Session,
    patron_id: int,
    work_id: int,
    verdict: Verdict | None,
    *,
    at: datetime,
) -> None:
    """Store a verdict and remember the one before it."""
    before = verdict_of(session, patron_id, work_id)
    _record(session, patron_id, work_id, verdict, at)
    notices.remember(
        {"do": "verdict", "work": work_id, "before": before, "now": verdict}
    )


def lessen(
    session: Session, patron_id: int, kind: str, ref: str, *, at: datetime
) -> None:
    """Let what a reason names count less, or not at all.

    Raises:
        InvalidInput: A reason of this kind cannot be lessened.
        NotFound: It names nothing of this patron's.
    """
    reason = _kind(kind)
    step: dict[str, Any]
    if reason is ReasonKind.INTEREST:
        before = halve_interest(session, patron_id, ref)
        step = {"do": "interest", "id": int(ref), "before": before}
    elif reason is ReasonKind.LOAN:
        ignore_loans(session, patron_id, ref)
        step = {"do": "loan", "work": int(ref)}
    else:
        wish = leave_out(session, patron_id, reason, ref, at=at)
        step = {"do": "suppression", "id": wish.id}
    notices.remember(step)


def undo(
    session: Session, patron_id: int, step: Mapping[str, Any], *, at: datetime
) -> None:
    """Take a step back; what is gone meanwhile stays gone."""
    if step["do"] == "verdict":
        before = Verdict(step["before"]) if step["before"] else None
        _record(session, patron_id, step["work"], before, at)
    elif step["do"] == "interest":
        change_interest(session, patron_id, step["id"], weight=step["before"])
    elif step["do"] == "loan":
        ignore_loans(session, patron_id, str(step["work"]), ignored=False)
    elif session.get(Suppression, step["id"]):
        lift(session, patron_id, step["id"])


def described(session: Session, reader: Reader, patron_id: int) -> Undo | None:
    """Say what the latest step was; None when there is none."""
    kept = notices.steps()
    if not kept:
        return None
    step = kept[-1]
    what = _what(session, patron_id, step)
    if what is None:
        return None
    if step["do"] == "verdict":
        said = _SAID[Verdict(step["now"]) if step["now"] else None]
    else:
        said = LESSENED[step["do"]]
    return Undo(reader.say(said, what=f"\u2068{what}\u2069"), what, len(kept) - 1)


def offered_suppression(session: Session, patron_id: int) -> Offer | None:
    """Return a subject to offer to leave out, after the latest "not for me"."""
    kept = notices.steps()
    if not kept or kept[-1].get("now") != Verdict.NOT_FOR_ME:
        return None
    refused = (
        select(WorkSubject.subject_id, func.count().label("times"))
        .join(Feedback, Feedback.work_id == WorkSubject.work_id)
        .where(Feedback.patron_id == patron_id, Feedback.verdict == Verdict.NOT_FOR_ME)
        .group_by(WorkSubject.subject_id)
        .having(func.count() >= OFFER_AFTER)
        .subquery()
    )
    wished = select(Suppression.target).where(
        Suppression.patron_id == patron_id, Suppression.kind == SuppressionKind.SUBJECT
    )
    row = session.execute(
        select(Subject.label, Subject.squash, refused.c.times)
        .join(refused, refused.c.subject_id == Subject.id)
        .join(WorkSubject, WorkSubject.subject_id == Subject.id)
        .where(
            WorkSubject.work_id == kept[-1]["work"],
            Subject.scheme != "class",
            Subject.squash.not_in(wished),
        )
        .order_by(refused.c.times.desc(), Subject.id)
        .limit(1)
    ).first()
    return Offer(*row) if row else None


def _record(
    session: Session,
    patron_id: int,
    work_id: int,
    verdict: Verdict | None,
    at: datetime,
) -> None:
    record_verdict(
        session,
        patron_id=patron_id,
        work_id=work_id,
        verdict=verdict,
        via=Channel.PAGE,
        at=at,
    )


def _interest(session: Session, patron_id: int, interest_id: int) -> Interest | None:
    return session.scalar(
        select(Interest)
        .join(InterestProfile)
        .where(Interest.id == interest_id, InterestProfile.patron_id == patron_id)
    )


def _what(session: Session, patron_id: int, step: Mapping[str, Any]) -> str | None:
    if "work" in step:
        return session.scalar(select(Work.title).where(Work.id == step["work"]))
    if step["do"] == "interest":
        interest = _interest(session, patron_id, step["id"])
        return interest.label if interest else None
    return session.scalar(
        select(Suppression.label).where(
            Suppression.id == step["id"], Suppression.patron_id == patron_id
        )
    )


def _kind(word: str) -> ReasonKind:
    if word not in {ReasonKind.INTEREST, ReasonKind.LOAN, *LEFT_OUT}:
        raise InvalidInput(f"{word!r} cannot be lessened", field="reason")
    return ReasonKind(word)
