"""FR15: a canary in all that is held of one patron; erased, it is nowhere."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from library.db import Sessions, reading
from library.settings import Settings
from library.tables import Base, Patron
from library.vocabulary import Channel, ConsentPurpose, SuppressionKind, Verdict
from notifier.alerting import make_alerts
from notifier.delivery import deliver_due
from profiles import contacts
from profiles.feedback import record_verdict
from profiles.privacy import REPORTS, erase, export_zip
from profiles.suppression import suppress
from tests.factories import NOON, cy, make_interest, make_loan, make_patron, make_work
from tests.faults.runs import Run
from tests.notifier.cast import make_match

pytestmark = pytest.mark.slow

CANARY = "canary-7f3b"


def test_fr15_after_erasing_nothing_holds_the_canary(
    run: Run, sessions: Sessions, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    patron_id = lived(sessions, settings)
    report = settings.home / REPORTS / "patrons.csv"
    report.parent.mkdir()
    report.write_text(f"line,name,why\n1,{CANARY},no branch\n2,Somebody,no branch\n")
    with reading(sessions) as session:
        taken_out = export_zip(session, patron_id)
    assert len(taken_out) > 1_000
    before = places(sessions, settings.home)
    assert {"the rows", "mail", REPORTS} <= before

    receipt = erase(sessions, settings, patron_id, at=NOON)

    left = places(sessions, settings.home)
    run.tell(size=1, events=1, wrong=len(left))
    assert receipt.overwritten
    assert receipt.messages == 1
    assert left == set()
    assert CANARY not in caplog.text
    assert "Somebody" in report.read_text()
    with reading(sessions) as session:
        assert session.scalars(select(Patron.name)).all() == ["Cy"]


def lived(sessions: Sessions, settings: Settings) -> int:
    """Let a patron leave traces wherever one can; return who it is."""
    with sessions.begin() as session:
        patron = make_patron(
            session,
            CANARY,
            consents=tuple(ConsentPurpose),
            address=f"{CANARY}@patrons.test",
        )
        cy(session)
        works = [make_work(session, title) for title in ("Contact", "Solaris")]
        interest = make_interest(session, patron, CANARY)
        make_loan(session, patron, works[0])
        make_match(session, patron, works[1], interest_id=interest.id)
        contacts.ask_for(
            session, patron.id, Channel.EMAIL, f"{CANARY}2@patrons.test", at=NOON
        )
        suppress(session, patron.id, SuppressionKind.SUBJECT, CANARY, CANARY, NOON)
        record_verdict(
            session,
            patron_id=patron.id,
            work_id=works[0].id,
            verdict=Verdict.READ_ALREADY,
            via=Channel.PAGE,
            at=NOON,
        )
    make_alerts(sessions, settings, at=NOON)
    report = deliver_due(sessions, replace(settings, smtp_url=""), at=NOON, worker="w1")
    assert report.sent == 1
    return patron.id


def places(sessions: Sessions, home: Path) -> set[str]:
    """Say where the canary is: in rows, and in which files and folders."""
    found = {
        path.relative_to(home).parts[0]
        for path in home.rglob("*")
        if path.is_file() and CANARY.encode() in path.read_bytes() + path.name.encode()
    }
    with reading(sessions) as session:
        rows = repr(
            [session.execute(select(t)).all() for t in Base.metadata.sorted_tables]
        )
    return found | ({"the rows"} if CANARY in rows else set())
