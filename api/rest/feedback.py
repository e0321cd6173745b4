"""Patrons' verdicts on works."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.auth.keys import KeyCaller
from api.rest.alerts import alert_for
from api.rest.blueprint import part
from api.rest.doors import note_read, reads, writes
from api.rest.fields import In, Out, WorkName, work_name
from api.rest.lists import listed
from api.rest.patrons import patron_for, record_change
from api.rest.protocol.paging import PageIn
from library.clock import utc_now
from library.tables import Feedback, Work
from library.vocabulary import Channel, Verdict
from profiles.feedback import record_verdict

bp = part("feedback")


class VerdictIn(In):
    """A verdict; null takes the last one back."""

    verdict: Verdict | None


class FeedbackOut(Out):
    """The latest verdict of a patron on a work."""

    work: WorkName
    verdict: Verdict
    given_at: datetime
    via: Channel


class FeedbacksOut(Out):
    """A page of verdicts."""

    items: list[FeedbackOut]


@bp.get("/patrons/<int:patron_id>/feedback")
@reads("feedback")
@bp.input(PageIn, location="query")
@bp.output(FeedbacksOut)
def list_feedback(
    session: Session, caller: KeyCaller, patron_id: int, query_data: PageIn
) -> tuple[dict[str, Any], int, dict[str, str]]:
    """List a patron's verdicts, the newest first."""
    patron_for(session, caller, patron_id)
    note_read(patron_id)
    mine = select(Feedback).where(Feedback.patron_id == patron_id)
    shown = _shown(session)
    return listed(session, mine, Feedback.id, query_data, shown, newest_first=True)


@bp.put("/patrons/<int:patron_id>/feedback/<int:work_id>")
@writes("feedback")
@bp.input(VerdictIn)
@bp.output({}, status_code=204)
def put_verdict(
    session: Session,
    caller: KeyCaller,
    patron_id: int,
    work_id: int,
    json_data: VerdictIn,
) -> str:
    """Set a patron's verdict on a work, or take it back."""
    patron_for(session, caller, patron_id)
    _record(session, caller, patron_id, work_id, json_data.verdict)
    return ""


@bp.put("/alerts/<int:alert_id>/feedback")
@writes("feedback")
@bp.input(VerdictIn)
@bp.output({}, status_code=204)
def put_verdict_on_alert(
    session: Session, caller: KeyCaller, alert_id: int, json_data: VerdictIn
) -> str:
    """Set the verdict on the work an alert is about, or take it back."""
    alert = alert_for(session, caller, alert_id)
    _record(session, caller, alert.patron_id, alert.work_id, json_data.verdict)
    return ""


def _record(
    session: Session,
    caller: KeyCaller,
    patron_id: int,
    work_id: int,
    verdict: Verdict | None,
) -> None:
    record_verdict(
        session,
        patron_id=patron_id,
        work_id=work_id,
        verdict=verdict,
        via=Channel.PAGE,
        at=utc_now(),
    )
    record_change(session, caller, patron_id, "feedback.recorded")


def _shown(session: Session) -> Callable[[Feedback], FeedbackOut]:
    def shown(row: Feedback) -> FeedbackOut:
        return FeedbackOut(
            work=work_name(session.get_one(Work, row.work_id)),
            verdict=row.verdict,
            given_at=row.given_at,
            via=row.via,
        )

    return shown
