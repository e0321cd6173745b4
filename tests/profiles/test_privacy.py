import csv
import io
import json
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import (
    func,
    select,
)

from library import audit
from library.db import Sessions, reading
from library.errors import NotFound
from library.settings import Settings
from library.tables import (
    AuditEntry,
    Base,
    Delivery,
    IdempotencyKey,
    Impression,
    Patron,
    Work,
)
from library.vocabulary import Channel, Purpose
from profiles.privacy import ERASED, erase, export, export_zip
from tests.factories import NOON, ada, cy, make_interest, make_loan, make_work
from tests.filling import CANARY, fill_every_table


def _names_a_patron() -> set[str]:
    """Tell which tables lead to `patron` by their foreign keys, however far."""
    keys = {
        table.name: {key.column.table.name for key in table.foreign_keys}
        for table in Base.metadata.tables.values()
    }
    named = {"patron"}
    while more := {name for name, to in keys.items() if to & named} - named:
        named |= more
    return named


def _patron_in_every_table(sessions: Sessions) -> int:
    with sessions.begin() as session:
        return fill_every_table(session)["patron"]


def _rows_by_table(sessions: Sessions, names: set[str]) -> dict[str, int]:
    with reading(sessions) as session:
        return {
            name: session.scalar(
                select(func.count()).select_from(Base.metadata.tables[name])
            )
            or 0
            for name in names
        }


def test_a_table_that_names_a_patron_is_taken_out(sessions: Sessions) -> None:
    patron_id = _patron_in_every_table(sessions)

    with reading(sessions) as session:
        taken = export(session, patron_id)

    assert {table for table, rows in taken.items() if rows} == _names_a_patron()
    json.dumps(taken)  # all of it is plain


def test_a_table_that_names_a_patron_is_erased(
    sessions: Sessions, settings: Settings
) -> None:
    patron_id = _patron_in_every_table(sessions)

    receipt = erase(sessions, settings, patron_id, at=NOON)

    assert set(receipt.rows) == _names_a_patron()
    left = _rows_by_table(sessions, _names_a_patron())
    assert {table for table, rows in left.items() if rows} == {"impression"}
    with reading(sessions) as session:
        shown = session.scalars(select(Impression)).one()
    assert (shown.patron_id, shown.alert_id) == (None, None)
    assert CANARY not in shown.list_ref


def test_nothing_holds_what_was_erased(sessions: Sessions, settings: Settings) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        patron.name = CANARY
        make_interest(session, patron, CANARY)
    assert CANARY.encode() in _all_kept(sessions, settings)

    receipt = erase(sessions, settings, patron.id, at=NOON)

    assert receipt.overwritten
    assert CANARY.encode() not in _all_kept(sessions, settings)


def _all_kept(sessions: Sessions, settings: Settings) -> bytes:
    """Return SQLite's files as they are; a server's are its own, so its rows."""
    files = sorted(settings.home.glob("hamkhan.db*"))
    with reading(sessions) as session:
        rows = [
            session.execute(select(table)).all()
            for table in Base.metadata.sorted_tables
        ]
    return b"".join(path.read_bytes() for path in files) + repr(rows).encode()


def test_an_erasure_leaves_others_alone(sessions: Sessions, settings: Settings) -> None:
    with sessions.begin() as session:
        gone, stays = ada(session), cy(session)
        work = make_work(session, "Cosmos")
        make_loan(session, gone, work)
        make_loan(session, stays, work)
    with reading(sessions) as session:
        before = export(session, stays.id)

    erase(sessions, settings, gone.id, at=NOON)

    with reading(sessions) as session:
        assert export(session, stays.id) == before
        assert session.get(Work, work.id) is not None


def test_the_audit_tells_of_an_erasure_and_names_nobody(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)

    receipt = erase(sessions, settings, patron.id, at=NOON)

    with reading(sessions) as session:
        line = session.scalars(select(AuditEntry)).one()
        assert line.action == ERASED
        assert line.patron_hash == audit.patron_hash(settings.secret, patron.id)
        assert line.row_id is None
        assert line.after is not None
        assert line.after["receipt"] == receipt.number
        assert audit.first_broken(session) is None


def test_mail_files_and_kept_answers_go_too(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        session.add(_delivery(patron, "<mine@x.test>"))
        session.add_all(
            [
                _answer(f"POST /api/v1/patrons/{patron.id}/interests"),
                _answer(f"POST /api/v1/patrons/{patron.id}0/interests"),
            ]
        )
    mine = _mail(settings.mail / "mine.eml", "<mine@x.test>")
    other = _mail(settings.mail / "other.eml", "<other@x.test>")

    receipt = erase(sessions, settings, patron.id, at=NOON)

    assert receipt.messages == 1
    assert (mine.exists(), other.exists()) == (False, True)
    with reading(sessions) as session:
        assert len(session.scalars(select(IdempotencyKey)).all()) == 1


def test_a_report_loses_the_lines_that_name_the_patron(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        patron.external_id = "=42"
    report = settings.home / "reports" / "loans.csv.refused.csv"
    report.parent.mkdir()
    report.write_text(
        "line,field,reason,patron_id\n"
        "2,borrowed_at,no date,'=42\n"
        "3,patron_id,unknown,43\n"
        "4,email,taken,ada@patrons.test\n"
    )

    erase(sessions, settings, patron.id, at=NOON)

    assert report.read_text().splitlines() == [
        "line,field,reason,patron_id",
        "3,patron_id,unknown,43",
    ]
    assert list(report.parent.iterdir()) == [report]


def _delivery(patron: Patron, message_id: str) -> Delivery:
    return Delivery(
        patron_id=patron.id,
        purpose=Purpose.DIGEST,
        channel=Channel.EMAIL,
        due_at=NOON,
        not_after=NOON,
        message_id=message_id,
        created_at=NOON,
    )


def _answer(route: str) -> IdempotencyKey:
    return IdempotencyKey(
        caller="1", key=route, route=route, body_hash="", expires_at=NOON
    )


def _mail(path: Path, message_id: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"Message-ID: {message_id}\r\n\r\nHello\r\n")
    return path


def test_a_patron_who_is_not_there_cannot_be_erased_or_taken_out(
    sessions: Sessions, settings: Settings
) -> None:
    with pytest.raises(NotFound):
        erase(sessions, settings, 999, at=NOON)
    with reading(sessions) as session, pytest.raises(NotFound):
        export(session, 999)


def test_a_take_out_names_works_and_is_safe_in_a_spreadsheet(
    sessions: Sessions,
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        patron.name = "=HYPERLINK(1)"
        patron.category = "-5"
        make_loan(session, patron, make_work(session, "کیهان"))

    with reading(sessions) as session:
        archive = zipfile.ZipFile(io.BytesIO(export_zip(session, patron.id)))

    whole = json.loads(archive.read("everything.json"))
    assert whole["loan"][0]["work_title"] == "کیهان"
    assert whole["patron"][0]["name"] == "=HYPERLINK(1)"
    text = archive.read("patron.csv").decode("utf-8-sig")
    row = next(csv.DictReader(io.StringIO(text)))
    assert row["name"] == "'=HYPERLINK(1)"
    assert row["category"] == "-5"
    assert "alert.csv" not in archive.namelist()
