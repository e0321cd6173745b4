"""Killed by the app's server itself, which has a digest and never answers."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from subprocess import Popen

import pytest
from sqlalchemy import select

from api.commands.setup import prepare
from library.clock import utc_now
from library.db import reading
from library.runtime import Runtime, start
from library.settings import Settings
from library.tables import Delivery
from library.vocabulary import Channel, ConsentPurpose, DeliveryState
from notifier.channels.app import call_id
from profiles import devices, preferences
from tests.command_line import begin, ended
from tests.factories import make_patron
from tests.loopback import Answer, Asked
from tests.notifier.app_server import AppServer, app_server
from tests.notifier.cast import alert, matched

pytestmark = pytest.mark.slow

PATRONS = 6


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    runtime = start(replace(Settings(), home=tmp_path / "home"))
    prepare(runtime)
    return runtime


@pytest.fixture
def app(runtime: Runtime) -> Iterator[AppServer]:
    """An app whose patrons have a digest each, ready to go."""
    with app_server(runtime.settings) as server:
        at = utc_now()
        for n in range(PATRONS):
            with runtime.sessions.begin() as session:
                patron = make_patron(session, f"P{n}", consents=tuple(ConsentPurpose))
                matched(session, patron, [f"For {n}"], at=at)
                devices.name_to_app(session, patron.id, at=at)
                preferences.change(session, patron.id, at=at, channel=Channel.WEBHOOK)
        alert(runtime.sessions, server.settings, at)
        yield server


def test_each_digest_arrives_and_a_copy_is_known_by_its_id(
    runtime: Runtime, app: AppServer
) -> None:
    home, env = runtime.settings.home, environment(app)
    running: list[Popen[str]] = []

    def kill_at_the_third(asked: Asked) -> Answer:
        answer = app.take(asked)
        if len(app.calls) == 3 and running:
            running.pop().kill()
            return Answer(write=lambda _: None)
        return answer

    app.site.serve("/hamkhan", kill_at_the_third)
    with begin(home, "deliver", **env) as process:
        running.append(process)
    assert process.returncode == -9
    later = utc_now() + timedelta(minutes=20)

    code, _, error = ended(home, "deliver", "--at", later.isoformat(), **env)

    assert code == 0, error
    with reading(runtime.sessions) as session:
        rows = session.scalars(select(Delivery)).all()
    assert {row.state for row in rows} == {DeliveryState.SENT}
    copies = Counter(called for called, _ in app.calls)
    assert set(copies) == {call_id(row.message_id) for row in rows}
    assert sum(copies.values()) <= PATRONS + 1  # one event in doubt, one copy at most
    bodies = {(called, str(body)) for called, body in app.calls}
    assert len(bodies) == PATRONS  # and a copy is the same to the last word


def environment(app: AppServer) -> dict[str, str]:
    return {
        "HAMKHAN_APP_URL": app.settings.app_url,
        "HAMKHAN_FETCH_ALLOW": ",".join(app.settings.fetch_allow),
    }
