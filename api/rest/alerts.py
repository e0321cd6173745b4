"""Alerts: which works were brought to which patrons, and why."""

from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from api.auth.keys import KeyCaller
from api.rest.blueprint import part
from api.rest.doors import note_read, reads
from api.rest.fields import GREATEST_ID, Out, WorkName, work_name
from api.rest.lists import listed
from api.rest.protocol.paging import PageIn
from library.errors import NotFound
from library.i18n.messages import nearest_locale
from library.i18n.reasons import reason_text
from library.tables import Alert, Patron, Work

bp = part("alerts")


class AlertsIn(PageIn):
    """Which alerts."""

    patron_id: int | None = Field(default=None, ge=1, le=GREATEST_ID)
    work_id: int | None = Field(default=None, ge=1, le=GREATEST_ID)
    handled: bool | None = Field(
        default=None, description="Shown to or answered by the patron, or not yet."
    )


class ReasonOut(Out):
    """Why the work suits the patron."""

    kind: str
    label: str
    share: float
    text: str = Field(description="A sentence in the patron's language.")


class AlertOut(Out):
    """Our decision to bring one work to one patron."""

    id: int
    patron_id: int
    work: WorkName
    score: float
    reasons: list[ReasonOut]
    interest_id: int | None
    rule_id: int | None
    model_version_id: int | None
    delivery_id: int | None
    handled_at: datetime | None
    withdrawn_at: datetime | None
    created_at: datetime


class AlertsOut(Out):
    """A page of alerts."""

    items: list[AlertOut]


@bp.get("/alerts")
@reads("alerts")
@bp.input(AlertsIn, location="query")
@bp.output(AlertsOut)
def list_alerts(
    session: Session, caller: KeyCaller, query_data: AlertsIn
) -> tuple[dict[str, Any], int, dict[str, str]]:
    """List alerts of the caller's branches, the newest first."""
    if query_data.patron_id:
        caller.needs_patron(session, query_data.patron_id)
    answer = listed(
        session,
        _chosen(caller, query_data),
        Alert.id,
        query_data,
        lambda alert: _alert(session, alert),
        newest_first=True,
    )
    for patron_id in sorted({alert.patron_id for alert in answer[0]["items"]}):
        note_read(patron_id)
    return answer


@bp.get("/alerts/<int:alert_id>")
@reads("alerts")
@bp.output(AlertOut)
def get_alert(session: Session, caller: KeyCaller, alert_id: int) -> AlertOut:
    """Return an alert with its reasons."""
    alert = alert_for(session, caller, alert_id)
    note_read(alert.patron_id)
    return _alert(session, alert)


def alert_for(session: Session, caller: KeyCaller, alert_id: int) -> Alert:
    """Return an alert the caller may deal with.

    Raises:
        NotAllowed: Its patron is of another branch.
        NotFound: There is no such alert.
    """
    alert = session.get(Alert, alert_id)
    if alert is None:
        raise NotFound(f"no alert {alert_id}")
    caller.needs_patron(session, alert.patron_id)
    return alert


def _chosen(caller: KeyCaller, asked: AlertsIn) -> Select[Alert]:
    rows = select(Alert)
    if caller.branch_id is not None:
        mine = select(Patron.id).where(Patron.branch_id == caller.branch_id)
        rows = rows.where(Alert.patron_id.in_(mine))
    if asked.patron_id is not None:
        rows = rows.where(Alert.patron_id == asked.patron_id)
    if asked.work_id is not None:
        rows = rows.where(Alert.work_id == asked.work_id)
    if asked.handled is not None:
        unhandled = Alert.handled_at.is_(None)
        rows = rows.where(~unhandled if asked.handled else unhandled)
    return rows


def _alert(session: Session, alert: Alert) -> AlertOut:
    language = session.get_one(Patron, alert.patron_id).language
    locale = nearest_locale(language)
    return AlertOut(
        id=alert.id,
        patron_id=alert.patron_id,
        work=work_name(session.get_one(Work, alert.work_id)),
        score=alert.score,
        reasons=[_reason(reason, locale) for reason in alert.reasons],
        interest_id=alert.interest_id,
        rule_id=alert.rule_id,
        model_version_id=alert.model_version_id,
        delivery_id=alert.delivery_id,
        handled_at=alert.handled_at,
        withdrawn_at=alert.withdrawn_at,
        created_at=alert.created_at,
    )


def _reason(reason: dict[str, Any], locale: str) -> ReasonOut:
    return ReasonOut(
        kind=reason["kind"],
        label=reason["label"],
        share=reason["share"],
        text=reason_text(reason, locale),
    )
