"""Channels that rest for a while, and why: kept for all workers and for who looks."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.remembering import remember
from library.tables import Setting
from library.vocabulary import Channel


def hold(session: Session, channel: Channel, cause: str, *, until: datetime) -> None:
    """Let a channel rest, and say why; `hamkhan doctor` and the console show it."""
    value = {"until": until.isoformat(), "cause": cause[:500]}
    remember(session, f"hold:{channel}", value)


def holds(session: Session, *, at: datetime) -> dict[Channel, str]:
    """Return the channels that rest now, and why."""
    rows = session.scalars(select(Setting).where(Setting.name.startswith("hold:")))
    return {
        Channel(row.name.removeprefix("hold:")): str(row.value["cause"])
        for row in rows
        if datetime.fromisoformat(row.value["until"]) > at
    }
