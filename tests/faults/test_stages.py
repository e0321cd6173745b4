"""FR3 over all stages: harvest, match, alert and deliver, in processes that are killed.

Every few seconds a few patrons come who like one subject, and a new work on it. Each
must get one digest with that work, whatever was killed on its way to them.
"""

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from pathlib import Path

import pytest
from sqlalchemy import or_, select, update

from api.commands.setup import prepare
from api.demo.announcements import NewWork, rss
from harvesters.sources import add_source
from library.clock import utc_now
from library.db import Sessions, reading
from library.runtime import Runtime, start
from library.settings import Settings
from library.tables import Delivery, Patron, Schedule, Source
from library.vocabulary import ConsentPurpose, DeliveryState, SourceKind
from tests.factories import make_interest, make_patron
from tests.faults.runs import Run
from tests.faults.sizes import size
from tests.faults.test_delivering import copies
from tests.faults.test_services import running, settle_leftovers, wait_until
from tests.notifier.mail_server import MailServer
from tests.processes import Child, children, free_port, lives

pytestmark = pytest.mark.slow

STAGES = ("harvest", "match", "alert")
EACH_TIME = 4
"""Patrons who come with a new work."""


@dataclass
class House:
    """An installation to which works and patrons come."""

    runtime: Runtime
    feed: Path
    works: list[NewWork] = field(default_factory=list)
    wanted: dict[str, str] = field(default_factory=dict)
    """The title that each address waits for."""

    @property
    def sessions(self) -> Sessions:
        return self.runtime.sessions

    def come(self) -> None:
        """Let a new work and the patrons who wait for it come."""
        number = len(self.works)
        title, subject = f"The book of {number}", f"Subject {number}"
        at = utc_now()
        with self.sessions.begin() as session:
            for place in range(EACH_TIME):
                name = f"Reader{number}x{place}"
                patron = make_patron(
                    session, name, consents=(ConsentPurpose.ALERTS,), at=at
                )
                make_interest(session, patron, subject)
                self.wanted[f"{name.lower()}@patrons.test"] = title
        self.works.append(
            NewWork(f"n{number}", title, (f"Creator {number}",), subjects=(subject,))
        )
        self._write()

    def _write(self) -> None:
        draft = self.feed.with_suffix(".part")
        draft.write_bytes(rss(self.works, site="http://new.test"))
        draft.replace(self.feed)

    def make_due(self) -> None:
        """Let every stage take its turn now."""
        at = utc_now()
        with self.sessions.begin() as session:
            session.execute(update(Source).values(next_check_at=at))
            session.execute(
                update(Schedule).where(Schedule.name.in_(STAGES)).values(next_at=at)
            )

    def still_waiting(self) -> int:
        """Count the patrons whose digest was not sent.

        One that was leaving when its worker was killed rests for ten minutes: it goes
        out with the leftovers.
        """
        with reading(self.sessions) as session:
            served = set(
                session.scalars(
                    select(Delivery.patron_id).where(
                        or_(
                            Delivery.state == DeliveryState.SENT,
                            Delivery.data_at.is_not(None),
                        )
                    )
                )
            )
        return len(self.wanted) - len(served)


@pytest.fixture
def house(tmp_path: Path) -> House:
    runtime = start(replace(Settings(), home=tmp_path / "home"))
    prepare(runtime)
    house = House(runtime, tmp_path / "feed.xml")
    house._write()
    with runtime.sessions.begin() as session:
        add_source(
            session,
            "new",
            SourceKind.FEED,
            str(house.feed),
            branch_code="main",
            silent=False,
            allow_files=True,
            at=utc_now(),
        )
    return house


@pytest.mark.parametrize("how", ["all in one process", "a worker apart"])
def test_fr3_all_stages_under_kills_bring_each_patron_their_work(
    run: Run, house: House, how: str
) -> None:
    seconds, pause = size(20, 60, 900), 7
    words = ["run", "--port", str(free_port())]
    if how == "a worker apart":
        words = ["worker", "--processes", "1"]
    luck, killed = run.luck(), 0
    started: set[Child] = set()
    ends = time.monotonic() + seconds
    with MailServer(run.heard()) as server:
        settings = replace(house.runtime.settings, smtp_url=server.url)
        while time.monotonic() < ends:
            with running(settings, *words) as process:
                house.come()
                house.make_due()
                until = time.monotonic() + pause * luck.uniform(0.85, 1.3)
                while time.monotonic() < until:
                    started |= children(process.pid)
                    time.sleep(0.2)
                process.kill()
                process.wait()
                killed += 1
                run.note(f"killed {words[0]}, {process.pid}")
        with running(settings, *words):
            wait_until(lambda: all_due_and_served(house))
        settle_leftovers(house.sessions, settings)

    told = [(one.recipient, titles_in(one.message, house)) for one in server.taken]
    missed = house.wanted.keys() - {address for address, _ in told}
    wrong = [one for one in told if one[1] != {house.wanted[one[0]]}]
    run.tell(
        size=len(house.wanted),
        events=killed,
        lost=len(missed),
        wrong=len(wrong),
        copies=copies(server),
    )
    assert killed > seconds // (2 * pause)
    assert missed == set()
    assert wrong == []
    assert copies(server) <= killed
    assert digests_by_patron(house) == {1: len(house.wanted)}
    wait_until(lambda: not any(map(lives, started)))


def all_due_and_served(house: House) -> bool:
    """Go on making the stages due; tell whether nobody waits any more."""
    if house.still_waiting() == 0:
        return True
    house.make_due()
    time.sleep(5)
    return False


def titles_in(mail: EmailMessage, house: House) -> set[str]:
    """Return the works that a message tells of."""
    body = mail.get_body(("plain",))
    assert body is not None
    words = body.get_content()
    return {one.title for one in house.works if f"\u2068{one.title}\u2069" in words}


def digests_by_patron(house: House) -> Counter[int]:
    """Count the patrons by how many digests were made for them."""
    with reading(house.sessions) as session:
        rows = session.scalars(select(Delivery.patron_id)).all()
        patrons = session.scalars(select(Patron.id)).all()
    made = Counter(rows)
    return Counter(made[patron_id] for patron_id in patrons)
