"""DL19 with processes: the worker is dead, and the web process tells of it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from api.working.listening import wait_until
from library.clock import utc_now
from library.db import Sessions, reading
from library.settings import Settings
from library.staff import create_staff
from library.tables import Schedule, ScheduleRun, Setting
from library.vocabulary import SlotState
from notifier import canary
from tests.command_line import begin
from tests.notifier.mail_server import MailServer
from tests.processes import free_port

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running


def test_a_web_process_tells_of_a_dead_worker(
    sessions: Sessions, settings: Settings, server: MailServer
) -> None:
    now = utc_now()
    with sessions.begin() as session:
        create_staff(session, "ada@library.test", "Ada", at=now)
        died_at = now - 40 * MINUTE
        session.add(Schedule(name=canary.JOB, next_at=died_at + 5 * MINUTE))
        session.add(
            ScheduleRun(
                name=canary.JOB,
                slot=died_at,
                due_at=died_at,
                state=SlotState.DONE,
                ended_at=died_at,
            )
        )
        looks = {"watched_since": now - 60 * MINUTE, "last": now - 2 * MINUTE}
        value = {name: at.isoformat() for name, at in looks.items()}
        session.add(Setting(name="watch", value={**value, "since": None, "told": {}}))

    web = begin(
        settings.home,
        *("web", "--port", str(free_port())),
        HAMKHAN_DATABASE_URL=settings.database_url,
        HAMKHAN_SECRET=settings.secret,
        HAMKHAN_SMTP_URL=server.url,
    )
    try:
        came = wait_until(lambda: bool(server.taken), 60)
    finally:
        web.terminate()
        web.communicate(timeout=30)

    assert came
    (mail,) = server.taken
    assert mail.recipient == "ada@library.test"
    assert mail.message["Subject"] == "No messages go out"
    with reading(sessions) as session:
        told = session.get_one(Setting, "watch").value["told"]
    assert list(told) == ["email"]
