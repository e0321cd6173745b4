"""A patron's verdict on a work: the last one wins, and each can be taken back."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from library.errors import NotFound
from library.tables import Alert, Feedback, Work
from library.vocabulary import Channel, SuppressionKind, Verdict
from profiles.patrons import hold_still
from profiles.suppression import lift_work, suppress


def record_verdict(
    session: Session,
    *,
    patron_id: int,
    work_id: int,
    verdict: Verdict | None,
    via: Channel,
    at: datetime,
) -> None:
    """Keep the verdict, or take the last one back.

    "Not for me" hides the work for good, and another verdict or none shows it again.
    An alert about the work counts as handled from now on.

    Args:
        session: An open transaction.
        patron_id: Whose.
        work_id: On what.
        verdict: None takes back what was said.
        via: How it reached us.
        at: When.

    Raises:
        NotFound: No such patron or work.
    """
    hold_still(session, patron_id)
    work = session.get(Work, work_id)
    if work is None:
        raise NotFound(f"no work {work_id}")
    _store(session, patron_id, work_id, verdict, via, at)
    if verdict is Verdict.NOT_FOR_ME:
        kind = SuppressionKind.WORK
        suppress(session, patron_id, kind, str(work_id), work.title, at)
    else:
        lift_work(session, patron_id, work_id)
    session.execute(
        update(Alert)
        .where(Alert.patron_id == patron_id, Alert.work_id == work_id)
        .where(Alert.handled_at.is_(None))
        .values(handled_at=at)
    )


def verdict_of(session: Session, patron_id: int, work_id: int) -> Verdict | None:
    """Return what the patron says of the work now."""
    given = _find(session, patron_id, work_id)
    return given.verdict if given else None


def list_feedback(session: Session, patron_id: int) -> list[Feedback]:
    """Return the patron's verdicts, the newest first."""
    mine = select(Feedback).where(Feedback.patron_id == patron_id)
    return list(
        session.scalars(mine.order_by(Feedback.given_at.desc(), Feedback.id.desc()))
    )


def _store(
    session: Session,
    patron_id: int,
    work_id: int,
    verdict: Verdict | None,
    via: Channel,
    at: datetime,
) -> None:
    given = _find(session, patron_id, work_id)
    if verdict is None:
        if given:
            session.delete(given)
    elif given:
        given.verdict, given.via, given.given_at = verdict, via, at
    else:
        session.add(
            Feedback(
                patron_id=patron_id,
                work_id=work_id,
                verdict=verdict,
                via=via,
                given_at=at,
            )
        )
    session.flush()


def _find(session: Session, patron_id: int, work_id: int) -> Feedback | None:
    return session.scalar(
        select(Feedback).where(
            Feedback.patron_id == patron_id, Feedback.work_id == work_id
        )
    )
