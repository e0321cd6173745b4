"""Acquisitions that another system posts, so that none has to wait for a harvest."""

from typing import Any

from flask import request
from pydantic import Field
from sqlalchemy.orm import Session

from api.rest.blueprint import part
from api.rest.doors import signed
from api.rest.fields import In, Out
from harvesters.harvesting import HarvestReport
from harvesters.pushing import MOST_RECORDS, receive
from library.clock import utc_now
from library.tables import Source

bp = part("acquisitions")


class RecordsIn(In):
    """Records of a library system; one that cannot be taken stops no other."""

    records: list[Any] = Field(
        max_length=MOST_RECORDS,
        description="Objects with id, title, creators, language, year, isbn, subjects, "
        "series, format, call_number, url, summary, status (ordered, received, "
        "available), copies_free, withdrawn.",
    )
    silent: bool = Field(
        default=False, description="Nothing of this is new: it is a backfill."
    )


class RejectionOut(Out):
    """A record that could not be taken."""

    place: str
    why: str


class TakenOut(Out):
    """What came of the records."""

    added: int
    changed: int
    withdrawn: int
    unchanged: int
    rejected: int
    acquisitions: int
    rejections: list[RejectionOut]


@bp.post("/acquisitions")
@signed
@bp.input(RecordsIn)
@bp.output(TakenOut)
def post(session: Session, source: Source, json_data: RecordsIn) -> HarvestReport:
    """Take in records that a source of kind push has signed."""
    return receive(
        session,
        source,
        json_data.records,
        size=len(request.get_data()),
        silent=json_data.silent,
        at=utc_now(),
    )
