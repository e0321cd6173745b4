from datetime import timedelta, timezone

import pytest
from sqlalchemy import delete, update

from library import audit
from library.db import Sessions, reading
from library.staff import create_staff
from library.tables import AuditEntry
from tests.factories import NOON

SECRET = "a secret for tests only"


def _three_lines(sessions: Sessions) -> list[int]:
    with sessions.begin() as session:
        staff = create_staff(session, "lib@x.test", "Lib", at=NOON)
        tehran = NOON.astimezone(timezone(timedelta(hours=3, minutes=30)))
        return [
            audit.record(
                session,
                "rule.made",
                at=tehran,
                by=audit.Actor(staff.id),
                table="rule",
                row_id=1,
                before={},
                after={"label": "کتاب", "factor": 1.5},
            ).id,
            audit.record(
                session,
                "patron.read",
                at=NOON,
                patron=audit.patron_hash(SECRET, 7),
            ).id,
            audit.record(session, "model.rolled_back", at=NOON).id,
        ]


def test_lines_left_alone_hold_together(sessions: Sessions) -> None:
    with reading(sessions) as session:
        assert audit.first_broken(session) is None
    _three_lines(sessions)
    with reading(sessions) as session:
        assert audit.first_broken(session) is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"action": "nothing"}, id="action"),
        pytest.param({"staff_id": None}, id="who"),
        pytest.param({"after": {"label": "x"}}, id="after"),
        pytest.param({"at": NOON + timedelta(seconds=1)}, id="when"),
        pytest.param({"row_id": 2}, id="which"),
    ],
)
def test_an_altered_line_is_named(
    sessions: Sessions, change: dict[str, object]
) -> None:
    first, *_ = _three_lines(sessions)
    with sessions.begin() as session:
        session.execute(
            update(AuditEntry).where(AuditEntry.id == first).values(**change)
        )
    with reading(sessions) as session:
        assert audit.first_broken(session) == first


def test_a_dropped_line_is_noticed_at_the_next(sessions: Sessions) -> None:
    _, second, third = _three_lines(sessions)
    with sessions.begin() as session:
        session.execute(delete(AuditEntry).where(AuditEntry.id == second))
    with reading(sessions) as session:
        assert audit.first_broken(session) == third


def test_a_patron_is_named_by_secret_and_id() -> None:
    assert audit.patron_hash(SECRET, 7) == audit.patron_hash(SECRET, 7)
    assert audit.patron_hash(SECRET, 7) != audit.patron_hash(SECRET, 8)
    assert audit.patron_hash("other", 7) != audit.patron_hash(SECRET, 7)
