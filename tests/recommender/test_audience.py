from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete, select

from library.db import Sessions, reading
from library.tables import Branch, Preference
from recommender.audience import Audience, read_audience
from recommender.interactions import Stretch
from tests.factories import NOON, bo, make_interest

DAYS = pytest.mark.parametrize(
    ("zone", "at", "left"),
    [
        pytest.param("UTC", NOON, 1, id="on the last day"),
        pytest.param("UTC", NOON + timedelta(days=1), 0, id="on the day after"),
        pytest.param("Pacific/Kiritimati", NOON, 0, id="where it is tomorrow"),
        pytest.param(
            "Pacific/Honolulu",
            NOON + timedelta(hours=17),
            1,
            id="where it is still today",
        ),
    ],
)


def audience(sessions: Sessions, patron_id: int, at: datetime) -> Audience:
    with reading(sessions) as session:
        stretch = Stretch(patron_id, patron_id)
        return read_audience(session, stretch, at=at, for_alerts=True)


@pytest.mark.parametrize("set_by", ["the patron", "the branch"])
@DAYS
def test_an_interest_lasts_to_the_end_of_its_last_day_where_the_patron_is(
    sessions: Sessions, zone: str, at: datetime, left: int, set_by: str
) -> None:
    with sessions.begin() as session:
        patron = bo(session)
        make_interest(session, patron, "Stars").ends_on = NOON.date()
        if set_by == "the patron":
            session.get_one(Preference, patron.id).zone = zone
        else:
            session.execute(delete(Preference))
            session.scalars(select(Branch)).one().zone = zone

    assert len(audience(sessions, patron.id, at).interests) == left


@DAYS
def test_a_membership_lasts_to_the_end_of_its_last_day_at_the_branch(
    sessions: Sessions, zone: str, at: datetime, left: int
) -> None:
    with sessions.begin() as session:
        patron = bo(session)
        patron.expires_on = NOON.date()
        session.scalars(select(Branch)).one().zone = zone

    assert len(audience(sessions, patron.id, at)) == left
