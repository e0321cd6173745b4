"""Killed at any moment, the same commands again bring each patron each alert."""

import email
import time
from dataclasses import replace
from email import policy
from pathlib import Path

import pytest
from sqlalchemy import select

from api.commands.setup import prepare
from api.demo.announcements import NewWork, rss
from harvesters.sources import add_source
from library.clock import utc_now
from library.db import reading
from library.runtime import Runtime, start
from library.settings import Settings
from library.tables import Alert, Delivery, Patron, Work
from library.vocabulary import ConsentPurpose, DeliveryState, SourceKind
from tests.command_line import begin, ended
from tests.factories import make_interest, make_patron

pytestmark = pytest.mark.slow

STAGES = ("harvest", "match", "alert", "deliver")
PATRONS = 200
"""Enough for a kill to come while some are served and some are not."""
NEW = tuple(
    NewWork(f"n{n}", title, (creator,), subjects=("Astronomy",))
    for n, (title, creator) in enumerate(
        [("Comets", "Carla Sagan"), ("Rings of Saturn", "Vera Rubens")]
    )
)


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """Many patrons who like one subject, and a feed of new works on it."""
    runtime = start(replace(Settings(), home=tmp_path / "home"))
    prepare(runtime)
    feed = tmp_path / "feed.xml"
    feed.write_bytes(rss(NEW, site="http://new.test"))
    with runtime.sessions.begin() as session:
        for number in range(PATRONS):
            patron = make_patron(
                session,
                f"Ada{number}",
                consents=(ConsentPurpose.ALERTS,),
                at=utc_now(),
            )
            make_interest(session, patron, "Astronomy")
        add_source(
            session,
            "new",
            SourceKind.FEED,
            str(feed),
            branch_code="main",
            silent=False,
            allow_files=True,
            at=utc_now(),
        )
    return runtime


@pytest.mark.parametrize("delay", [0.7, 1.4])
def test_a_kill_in_any_stage_loses_no_alert(runtime: Runtime, delay: float) -> None:
    home = runtime.settings.home
    for stage in STAGES:
        with begin(home, stage) as process:
            time.sleep(delay)
            process.kill()
        _do(home, stage)

    _each_patron_has_each_alert(runtime)


def test_a_kill_between_stages_loses_no_alert(runtime: Runtime) -> None:
    home = runtime.settings.home
    for last in range(1, len(STAGES) + 1):
        for stage in STAGES[:last]:
            _do(home, stage)
        # Whatever comes next dies at its birth.
        with begin(home, STAGES[last % len(STAGES)]) as process:
            process.kill()

    _each_patron_has_each_alert(runtime)


@pytest.mark.parametrize("written", [1, 20])
def test_a_kill_in_the_middle_of_delivering_loses_no_message(
    runtime: Runtime, written: int
) -> None:
    home, mail = runtime.settings.home, runtime.settings.mail
    for stage in STAGES[:-1]:
        _do(home, stage)
    with begin(home, "deliver") as process:
        while len(list(mail.glob("*.eml"))) < written and process.poll() is None:
            time.sleep(0.002)
        process.kill()
    assert _delivered(runtime) < PATRONS, "the kill came too late to tell anything"

    _do(home, "deliver")

    _each_patron_has_each_alert(runtime)


def _do(home: Path, *words: str) -> None:
    code, _, error = ended(home, *words)
    assert code == 0, error


def _delivered(runtime: Runtime) -> int:
    with reading(runtime.sessions) as session:
        states = session.scalars(select(Delivery.state)).all()
    return states.count(DeliveryState.SENT)


def _each_patron_has_each_alert(runtime: Runtime) -> None:
    titles = {work.title for work in NEW}
    with reading(runtime.sessions) as session:
        had = session.execute(
            select(Patron.external_id, Work.title)
            .join(Alert, Alert.patron_id == Patron.id)
            .join(Work, Work.id == Alert.work_id)
        ).all()
        addresses = {f"{ref}@patrons.test" for ref in session.scalars(_REFS)}
    assert sorted(map(tuple, had)) == sorted(
        (address.partition("@")[0], title) for address in addresses for title in titles
    )
    assert _delivered(runtime) == PATRONS
    told = _told(runtime.settings.mail)
    assert told.keys() == addresses
    assert all(title in text for text in told.values() for title in titles)


_REFS = select(Patron.external_id)


def _told(folder: Path) -> dict[str, str]:
    """Return the text of each message by its address; one message for each."""
    told: dict[str, str] = {}
    for path in folder.glob("*.eml"):
        mail = email.message_from_bytes(path.read_bytes(), policy=policy.default)
        body = mail.get_body(("plain",))
        assert body is not None
        address = mail["To"].addresses[0].addr_spec
        assert address not in told
        told[address] = body.get_content()
    return told
