"""What a patron does to a card, and how each is taken back.

A step keeps what is needed to undo it and nothing else: no title rides in a cookie.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from api.context import Reader
from api.web import notices
from library.errors import InvalidInput, NotFound
from library.i18n.messages import _
from library.tables import (
    Creator,
    Feedback,
    Interest,
    InterestProfile,
    Loan,
    Subject,
    Suppression,
    Work,
    WorkSubject,
)
from library.vocabulary import Channel, SuppressionKind, Verdict
from profiles.feedback import record_verdict, verdict_of
from profiles.interests import change_interest
from profiles.suppression import lift, suppress

LEAST_WEIGHT: Final = 0.5
OFFER_AFTER: Final = 3
"""So many "not for me" on one subject, and the page offers to leave it out."""

_SAID: Final = {
    Verdict.WANTED: _("Saved: %(what)s"),
    Verdict.READ_ALREADY: _("Noted as read: %(what)s"),
    Verdict.NOT_FOR_ME: _("Hidden for good: %(what)s"),
    None: _("Taken back: %(what)s"),
}
_LESS: Final = {
    "suppression": _("You will see no more of %(what)s"),
    "interest": _("Your interest in %(what)s counts less now"),
    "loan": _("%(what)s is left out of your suggestions"),
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
    if kind == "interest":
        step = _lessen_interest(session, patron_id, _number(ref))
    elif kind == "loan":
        step = _ignore_loans(session, patron_id, _number(ref), ignored=True)
    elif kind in {"creator", "subject", "series"}:
        wish = SuppressionKind(kind)
        label = _label(session, wish, ref)
        row = suppress(session, patron_id, wish, ref, label, at)
        step = {"do": "suppression", "id": row.id}
    else:
        raise InvalidInput(f"{kind!r} cannot be lessened", field="reason")
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
        _ignore_loans(session, patron_id, step["work"], ignored=False)
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
        said = _LESS[step["do"]]
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


def _lessen_interest(
    session: Session, patron_id: int, interest_id: int
) -> dict[str, Any]:
    interest = _interest(session, patron_id, interest_id)
    if interest is None:
        raise NotFound(f"no interest {interest_id}")
    before = interest.weight
    change_interest(session, patron_id, interest_id, weight=before * LEAST_WEIGHT)
    return {"do": "interest", "id": interest_id, "before": before}


def _ignore_loans(
    session: Session, patron_id: int, work_id: int, *, ignored: bool
) -> dict[str, Any]:
    changed = session.execute(
        update(Loan)
        .where(Loan.patron_id == patron_id, Loan.work_id == work_id)
        .values(ignored=ignored)
        .returning(Loan.id)
    ).all()
    if not changed:
        raise NotFound(f"no loan of work {work_id}")
    return {"do": "loan", "work": work_id}


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


def _label(session: Session, kind: SuppressionKind, ref: str) -> str:
    asked: Mapping[SuppressionKind, Callable[[], str | None]] = {
        SuppressionKind.CREATOR: lambda: session.scalar(
            select(Creator.name).where(Creator.squash == ref)
        ),
        SuppressionKind.SUBJECT: lambda: session.scalar(
            select(Subject.label).where(Subject.squash == ref).limit(1)
        ),
        SuppressionKind.SERIES: lambda: session.scalar(
            select(Work.series).where(Work.series_squash == ref).limit(1)
        ),
    }
    label = asked[kind]()
    if label is None:
        raise NotFound(f"no {kind} {ref!r}")
    return label


def _number(ref: str) -> int:
    if not (ref.isascii() and ref.isdecimal()):
        raise InvalidInput(f"{ref!r} names nothing", field="reason")
    return int(ref)
