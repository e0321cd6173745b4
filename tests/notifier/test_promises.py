"""Promises over whole histories: DL1, DL2, DL5, DL6."""

import contextlib
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.errors import DeliveryFailed
from library.settings import Settings
from library.tables import Alert, Delivery, Guardian, Match, Patron, Work
from library.vocabulary import (
    Channel,
    ConsentPurpose,
    DeliveryState,
    Rhythm,
    SuppressionKind,
    Verdict,
)
from notifier.asked_for import queue_sign_in
from profiles import preferences
from profiles.causes import Cause
from profiles.feedback import record_verdict
from profiles.suppression import suppress
from tests.factories import NOON, ada, bo, cy, make_loan, make_patron, make_work
from tests.notifier.cast import (
    MINUTE,
    Outbox,
    alert,
    alerts,
    deliver,
    deliveries,
    make_match,
    matched,
)

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "harvesters", "library", "notifier", "profiles", "recommender")
HOUR = timedelta(hours=1)


class _StoppedHere(Exception):
    pass


def test_alerts_and_their_delivery_commit_together_wherever_it_stops(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        matched(session, ada(session), ["Contact", "Solaris"])
    engine = sessions.kw["bind"]
    stops = 0
    for place in range(200):
        with contextlib.suppress(_StoppedHere), _stopping_after(engine, place):
            alert(sessions, settings)
            break
        stops += 1
        assert_whole(sessions)

    assert stops > 10
    assert len(alerts(sessions)) == 2
    assert_whole(sessions)


def assert_whole(sessions: Sessions) -> None:
    carriers = {one.delivery_id for one in alerts(sessions)}
    assert carriers == {one.id for one in deliveries(sessions)}


class _stopping_after:  # noqa: N801 -- read as a phrase
    """Raise before the statement with this number, on any connection."""

    def __init__(self, engine: Any, place: int) -> None:
        self._engine, self._place = engine, place
        self._seen = 0

    def __enter__(self) -> None:
        event.listen(self._engine, "before_cursor_execute", self._count)

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        self._seen += 1
        if self._seen > self._place:
            raise _StoppedHere


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_over_a_random_history_no_work_comes_twice_and_none_that_was_met(
    sessions: Sessions, settings: Settings, seed: int
) -> None:
    random = Random(seed)  # noqa: S311 -- only a spread
    with sessions.begin() as session:
        patrons = [_daily(session, name) for name in ("Di", "Ed")]
        works = [make_work(session, f"Work {n}") for n in range(14)]
    met: dict[str, set[str]] = defaultdict(set)
    shown: Counter[tuple[str, str]] = Counter()
    at = NOON
    for _ in range(30):
        at += timedelta(hours=random.randint(1, 30))
        patron, work = random.choice(patrons), random.choice(works)
        with sessions.begin() as session:
            _something(session, random, patron, work, at, met)
        alert(sessions, settings, at)
        outbox = Outbox(random.choice([None, DeliveryFailed("451 busy")]))
        deliver(sessions, settings, outbox, at=at)
        for message in outbox.taken:
            for one in works:
                if f"\u2068{one.title}\u2069" in message.text:
                    shown[message.to.address, one.title] += 1
                    assert one.title not in met[message.to.address]

    assert shown
    assert set(shown.values()) == {1}
    _assert_all_accounted_for(sessions)


@pytest.mark.parametrize(
    ("rhythm", "life"),
    [
        pytest.param(Rhythm.DAILY, 36 * HOUR, id="a daily digest, 36 hours"),
        pytest.param(Rhythm.WEEKLY, 6 * 24 * HOUR, id="a weekly one, 6 days"),
        pytest.param(Rhythm.MONTHLY, 14 * 24 * HOUR, id="a monthly one, 14 days"),
        pytest.param(None, HOUR / 4, id="a link to sign in, 15 minutes"),
    ],
)
def test_each_kind_goes_until_its_time_is_over_and_never_later(
    sessions: Sessions, settings: Settings, rhythm: Rhythm | None, life: timedelta
) -> None:
    with sessions.begin() as session:
        for patron in (ada(session), cy(session)):
            if rhythm is None:
                link = "https://x.test"
                queue_sign_in(
                    session, settings, patron.id, link=link, code="1", at=NOON
                )
                continue
            preferences.change(session, patron.id, at=NOON, rhythm=rhythm)
            matched(session, patron, [f"For {patron.name}"])
    alert(sessions, settings)
    outbox = Outbox()

    in_time = deliver(sessions, settings, outbox, at=NOON + life - MINUTE, limit=1)
    too_late = deliver(sessions, settings, outbox, at=NOON + life + MINUTE)

    assert (in_time.sent, too_late.sent, too_late.withheld) == (1, 0, 1)
    assert len(outbox.taken) == 1
    assert deliveries(sessions)[-1].cause == Cause.EXPIRED


def _daily(session: Session, name: str) -> Patron:
    patron = make_patron(session, name, consents=tuple(ConsentPurpose))
    preferences.change(session, patron.id, at=NOON, rhythm=Rhythm.DAILY)
    return patron


def _something(
    session: Session,
    random: Random,
    patron: Patron,
    work: Work,
    at: datetime,
    met: dict[str, set[str]],
) -> None:
    what = random.choice(["match", "match", "match", "loan", "verdict", "suppress"])
    address = f"{(patron.name or '').lower()}@patrons.test"
    if what == "match":
        known = select(Alert.id).where(
            Alert.patron_id == patron.id, Alert.work_id == work.id
        )
        if session.scalar(known) is None and not _matched(session, patron, work):
            make_match(session, patron, work, at=at)
        return
    met[address].add(work.title)
    if what == "loan":
        make_loan(session, patron, work, at=at)
    elif what == "verdict":
        record_verdict(
            session,
            patron_id=patron.id,
            work_id=work.id,
            verdict=Verdict.READ_ALREADY,
            via=Channel.PAGE,
            at=at,
        )
    else:
        suppress(session, patron.id, SuppressionKind.WORK, str(work.id), work.title, at)


def _matched(session: Session, patron: Patron, work: Work) -> bool:
    found = select(func.count(Match.id)).where(
        Match.patron_id == patron.id, Match.work_id == work.id
    )
    return bool(session.scalar(found))


def _assert_all_accounted_for(sessions: Sessions) -> None:
    with reading(sessions) as session:
        rows = session.scalars(select(Delivery)).all()
    states = Counter(one.state for one in rows)
    assert sum(states.values()) == len(rows)
    assert all(one.cause for one in rows if one.state is DeliveryState.WITHHELD)


def test_two_children_on_one_address_get_two_digests_each_with_its_name(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        guardian = bo(session)
        for name in ("Di", "Ed"):
            child = make_patron(session, name, consents=tuple(ConsentPurpose))
            session.add(Guardian(patron_id=child.id, guardian_id=guardian.id))
            matched(session, child, [f"For {name} alone"])
    alert(sessions, settings)
    outbox = Outbox()

    deliver(sessions, settings, outbox)

    assert [one.to.address for one in outbox.taken] == ["bo@patrons.test"] * 2
    for message, name in zip(outbox.taken, ("Di", "Ed"), strict=True):
        assert f"For {name}\n" in message.text
        assert f"For {name} alone" in message.text


def test_only_delivery_hands_a_message_to_a_channel_and_only_behind_the_gate() -> None:
    for path in _modules():
        name = path.relative_to(ROOT).as_posix()
        code = path.read_text(encoding="utf-8")
        carrying = {"notifier/delivery.py", "notifier/carriers.py"}
        if name not in carrying and "channels/" not in name:
            assert "notifier.channels" not in code, name
            asks_whether_mail_works = name == "api/commands/doctor.py"
            assert asks_whether_mail_works or "import smtplib" not in code, name
            assert "sendmail(" not in code, name
            assert "send_message(" not in code, name
        if name not in {"notifier/rendering.py", "notifier/composing.py"}:
            for call in ("render_digest", "render_sign_in", "render_confirm"):
                assert call not in code, name
    composing = (ROOT / "notifier" / "composing.py").read_text(encoding="utf-8")
    asked = composing.index("= may_send(")
    assert all(
        composing.index(f"{call}(", asked) > asked
        for call in ("render_digest", "render_sign_in", "render_confirm")
    )


def _modules() -> list[Path]:
    return sorted(p for name in PACKAGES for p in (ROOT / name).rglob("*.py"))
