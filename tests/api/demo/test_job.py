import email
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from api.demo.job import (
    MARK,
    DemoReport,
    announced,
    demo_settings,
    do_the_job,
    first_to_show,
    make_room,
    patron_id_of,
)
from api.demo.kept import GOOD_FOR, Asked, find_kept, keep
from api.demo.libraries import DemoLibrary, sample_library
from api.demo.site import served
from library.clock import utc_now
from library.db import reading
from library.errors import Conflict
from library.runtime import Runtime
from library.settings import Settings
from library.tables import Alert, Consent, Delivery, Loan, Patron
from library.vocabulary import ConsentPurpose
from notifier.alerting import make_alerts
from notifier.delivery import deliver_due
from tests.factories import NOON

ASKED = Asked("", 0, "http://127.0.0.1:8000")


@pytest.fixture(scope="module")
def small() -> DemoLibrary:
    """A handful of the sample's readers, so that training takes a moment."""
    whole = sample_library(today=utc_now().date())
    readers = [*whole.readers[:12], *whole.readers[-12:]]
    refs = {reader.ref for reader in readers}
    loans = [loan for loan in whole.loans if loan.patron in refs]
    lent = {loan.work for loan in loans}
    return DemoLibrary(
        works=[row for row in whole.works if row["work_id"] in lent],
        new=whole.new[:30],
        readers=readers,
        loans=loans,
    )


@pytest.fixture(scope="module")
def done(
    small: DemoLibrary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Runtime, DemoReport]]:
    """The whole job, done once for all tests here."""
    own = Settings(home=tmp_path_factory.mktemp("room") / "home")
    with served(announced(small)) as site:
        settings = replace(
            demo_settings(own, port=8000), fetch_allow=(urlsplit(site).netloc,)
        )
        room = make_room(settings)
        stages: list[str] = []
        at = utc_now()
        yield room, do_the_job(room, small, site=site, at=at, tell=stages.append)


pytestmark = pytest.mark.slow


def test_every_stage_did_something(
    done: tuple[Runtime, DemoReport], small: DemoLibrary
) -> None:
    _, report = done

    assert report.harvested == len(small.new)
    assert report.works == len(small.works) + len(small.new)
    assert report.patrons == len(small.readers)
    assert 0 < report.loans < len(small.loans)
    assert min(report.matched, report.alerted, report.delivered) > 0
    assert list(report.seconds) == [
        "import",
        "harvest",
        "train",
        "match",
        "alert",
        "deliver",
    ]


def test_nobody_is_told_who_did_not_agree(done: tuple[Runtime, DemoReport]) -> None:
    room, _ = done
    agreed = select(Consent.patron_id).where(Consent.purpose == ConsentPurpose.ALERTS)

    with reading(room.sessions) as session:
        told = set(session.scalars(select(Delivery.patron_id)))
        assert told
        assert told <= set(session.scalars(agreed))


def test_nobody_is_told_of_what_they_borrowed(
    done: tuple[Runtime, DemoReport],
) -> None:
    room, _ = done

    with reading(room.sessions) as session:
        alerts = set(session.execute(select(Alert.patron_id, Alert.work_id)).all())
        loans = set(session.execute(select(Loan.patron_id, Loan.work_id)).all())
    assert alerts
    assert alerts.isdisjoint(loans)


def test_only_histories_of_who_agreed_are_kept(
    done: tuple[Runtime, DemoReport], small: DemoLibrary
) -> None:
    room, _ = done

    with reading(room.sessions) as session:
        kept = set(
            session.scalars(
                select(Patron.external_id).join(Loan, Loan.patron_id == Patron.id)
            )
        )
    assert kept == {reader.ref for reader in small.readers if reader.agrees == "all"}


def test_the_mails_are_whole(done: tuple[Runtime, DemoReport]) -> None:
    _, report = done
    mails = [
        email.message_from_bytes(path.read_bytes(), policy=policy.default)
        for path in report.mail.glob("*.eml")
    ]

    assert len(mails) == report.delivered
    assert len({mail["Message-ID"] for mail in mails}) == len(mails)
    assert {mail["Content-Language"] for mail in mails} == {"en", "fa"}
    assert all(mail["List-Unsubscribe-Post"] for mail in mails)
    assert all(_has_both_parts(mail) for mail in mails)


def test_a_second_time_tells_nothing(done: tuple[Runtime, DemoReport]) -> None:
    room, _ = done

    again = make_alerts(room.sessions, room.settings, at=utc_now())
    sent = deliver_due(room.sessions, room.settings, at=utc_now(), worker="w")

    assert (again.alerts, again.digests, sent.sent) == (0, 0, 0)


def test_there_is_somebody_to_show_in_each_language(
    done: tuple[Runtime, DemoReport], small: DemoLibrary
) -> None:
    room, _ = done
    shown = [first_to_show(small, language) for language in ("fa", "en")]

    with reading(room.sessions) as session:
        languages = [
            session.get_one(Patron, patron_id_of(room, reader.ref)).language
            for reader in shown
        ]
    assert languages == ["fa_IR", "en"]


@pytest.mark.parametrize(
    ("there", "named", "expected"),
    [
        pytest.param((), True, ".", id="a new folder named by hand"),
        pytest.param(("secret",), True, ".", id="new but for its secret"),
        pytest.param((MARK, "hamkhan.db"), True, ".", id="a demo"),
        pytest.param(("hamkhan.db",), True, "demo", id="somebody's own"),
        pytest.param((), False, "demo", id="the default"),
    ],
)
def test_the_demo_keeps_away_from_the_readers_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: tuple[str, ...],
    named: bool,
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "named" if named else Settings().home
    home.mkdir()
    for name in there:
        (home / name).touch()

    assert demo_settings(Settings(home=home), port=1).home == home / expected


def test_the_demo_writes_mail_as_files_whatever_is_set(tmp_path: Path) -> None:
    own = Settings(
        home=tmp_path, smtp_url="smtp://mail.test", database_url="postgresql://db"
    )

    settings = demo_settings(own, port=8001)

    assert (settings.smtp_url, settings.database_url) == ("", "")
    assert settings.base_url == "http://127.0.0.1:8001"


def test_what_is_no_demo_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(Conflict, match="is not a demo"):
        make_room(Settings(home=tmp_path))

    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("asked", "later", "found"),
    [
        pytest.param(ASKED, timedelta(hours=1), True, id="as asked and of today"),
        pytest.param(ASKED, GOOD_FOR * 2, False, id="too old"),
        pytest.param(replace(ASKED, seed=1), timedelta(), False, id="another seed"),
        pytest.param(
            replace(ASKED, base_url="http://x"), timedelta(), False, id="other links"
        ),
    ],
)
def test_a_demo_made_before_is_shown_again(
    tmp_path: Path, asked: Asked, later: timedelta, found: bool
) -> None:
    report = DemoReport(tmp_path, tmp_path / "mail", harvested=3)
    keep(report, ASKED, site_port=1234, at=NOON)

    kept = find_kept(tmp_path, asked, at=NOON + later)

    assert (kept is not None) == found
    if kept:
        assert (kept.report, kept.site_port) == (report, 1234)


@pytest.mark.parametrize("text", [None, "", "no json", "[]"], ids=str)
def test_a_demo_that_was_not_finished_is_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / MARK).write_text(text)

    assert find_kept(tmp_path, ASKED, at=NOON) is None


def _has_both_parts(mail: EmailMessage) -> bool:
    return bool(mail.get_body(("html",)) and mail.get_body(("plain",)))
