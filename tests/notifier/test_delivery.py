import contextlib
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, select, update

from library.db import Sessions, reading
from library.errors import DeliveryFailed
from library.settings import Settings
from library.tables import (
    Alert,
    Consent,
    ContactPoint,
    Delivery,
    Feedback,
    Guardian,
    Impression,
    LedgerEntry,
    Patron,
    Preference,
)
from library.vocabulary import (
    Channel,
    ConsentPurpose,
    DeliveryState,
    Purpose,
    Rhythm,
    Verdict,
)
from notifier import links, lots
from notifier.asked_for import queue_confirm, queue_sign_in
from notifier.delivery import deliver_due
from notifier.outbox import LEASE, claim_due, mark
from notifier.outcomes import AGAIN
from notifier.resting import holds
from profiles import contacts, preferences
from tests.factories import NOON, ada, cy, make_loan, make_patron
from tests.notifier.cast import (
    MINUTE,
    Outbox,
    a_digest_for_ada,
    alert,
    alerts,
    deliver,
    deliveries,
    matched,
    only,
    point_of,
    states,
)

DAY = timedelta(days=1)
REFUSED = DeliveryFailed("550 5.1.1 no such user", permanent=True)
BUSY = DeliveryFailed("451 4.7.0 greylisted")
CUT = DeliveryFailed("connection: closed", ambiguous=True)


def test_a_digest_goes_out_once(sessions: Sessions, settings: Settings) -> None:
    a_digest_for_ada(sessions, settings, "Contact", "Solaris")
    outbox = Outbox()

    first = deliver(sessions, settings, outbox)
    second = deliver(sessions, settings, outbox, at=NOON + DAY)

    assert (first.sent, second.sent) == (1, 0)
    (message,) = outbox.taken
    assert message.to.address == "ada@patrons.test"
    assert message.message_id == only(sessions).message_id
    assert "Contact" in message.text
    assert only(sessions).state is DeliveryState.SENT


def test_what_was_shown_is_kept_by_rank(sessions: Sessions, settings: Settings) -> None:
    delivery_id = a_digest_for_ada(sessions, settings, "First", "Second", "Third")
    deliver(sessions, settings, Outbox())

    with reading(sessions) as session:
        shown = session.scalars(select(Impression).order_by(Impression.rank)).all()
    assert [one.rank for one in shown] == [1, 2, 3]
    assert [one.alert_id for one in shown] == [one.id for one in alerts(sessions)]
    assert {one.list_ref for one in shown} == {f"delivery:{delivery_id}"}
    assert all(one.model_version_id for one in shown)


def test_nothing_counts_as_shown_before_it_is_sent(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)
    deliver(sessions, settings, Outbox(BUSY))

    with reading(sessions) as session:
        assert session.scalars(select(Impression)).all() == []


def test_gives_up_at_once_when_the_address_is_refused(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)

    report = deliver(sessions, settings, Outbox(REFUSED))

    assert report.abandoned == 1
    assert only(sessions).state is DeliveryState.ABANDONED
    with reading(sessions) as session:
        assert session.scalars(select(ContactPoint.hard)).all() == [1]


def test_a_busy_server_is_asked_again_with_the_same_message_id(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)
    outbox = Outbox(BUSY)

    assert deliver(sessions, settings, outbox).retried == 1
    first = only(sessions)
    assert timedelta() < first.due_at - (NOON + MINUTE) < timedelta(seconds=30)
    assert first.data_at is None

    assert deliver(sessions, settings, outbox, at=NOON + 2 * MINUTE).sent == 1
    assert outbox.taken[0].message_id == first.message_id


def test_when_the_answer_never_came_ten_minutes_pass(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)
    outbox = Outbox(CUT)

    deliver(sessions, settings, outbox)

    row = only(sessions)
    assert row.data_at is not None
    assert row.due_at >= NOON + 10 * MINUTE
    assert deliver(sessions, settings, outbox, at=NOON + 9 * MINUTE).sent == 0
    assert deliver(sessions, settings, outbox, at=NOON + 11 * MINUTE).sent == 1


def test_a_fault_of_ours_holds_the_channel_and_gives_up_no_message(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        matched(session, ada(session), ["Contact"])
        matched(session, cy(session), ["Solaris"])
    alert(sessions, settings)
    outbox = Outbox(DeliveryFailed("550 relaying denied", ours=True))

    report = deliver(sessions, settings, outbox)

    assert (report.sent, report.abandoned) == (0, 0)
    assert states(sessions) == [DeliveryState.PENDING] * 2
    with reading(sessions) as session:
        assert holds(session, at=NOON) == {Channel.EMAIL: "550 relaying denied"}
    assert deliver(sessions, settings, outbox, at=NOON + MINUTE).sent == 0
    assert deliver(sessions, settings, outbox, at=NOON + 6 * MINUTE).sent == 2


def test_one_bad_address_stops_and_repeats_nobody_else(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        matched(session, ada(session), ["Contact"])
        matched(session, cy(session), ["Solaris"])
    alert(sessions, settings)
    outbox = Outbox(REFUSED)

    report = deliver(sessions, settings, outbox)

    assert (report.abandoned, report.sent) == (1, 1)
    assert [one.to.address for one in outbox.taken] == ["cy@patrons.test"]


def test_one_message_that_cannot_be_made_stops_nobody_else(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        matched(session, ada(session), ["Contact"])
        matched(session, cy(session), ["Solaris"])
    alert(sessions, settings)
    with sessions.begin() as session:
        first = session.scalars(select(Alert).order_by(Alert.id)).first()
        assert first is not None
        first.reasons = [{"kind": "no such kind"}]
    outbox = Outbox()

    report = deliver(sessions, settings, outbox)

    assert (report.retried, report.sent) == (1, 1)
    waiting = next(one for one in deliveries(sessions) if not one.settled_at)
    assert waiting.cause == "could not be made: ValueError"


def test_a_dead_workers_claim_is_taken_over_when_its_lease_is_out(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)
    with sessions.begin() as session:
        claim_due(
            session, "dead", at=NOON, limit=5, channels=frozenset({Channel.EMAIL})
        )
    outbox = Outbox()

    assert deliver(sessions, settings, outbox, at=NOON + 14 * MINUTE).sent == 0
    assert deliver(sessions, settings, outbox, at=NOON + LEASE).sent == 1
    assert only(sessions).attempts == 2


def test_a_worker_that_lost_its_claim_settles_nothing(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)

    def take_over() -> None:
        with sessions.begin() as session:
            session.execute(update(Delivery).values(worker="w2", attempts=2))

    report = deliver(sessions, settings, Outbox(then=take_over))

    assert report.sent == 0
    assert (only(sessions).state, only(sessions).worker) == (
        DeliveryState.SENDING,
        "w2",
    )


def test_while_a_message_leaves_no_other_goes_to_the_same_patron(
    sessions: Sessions, settings: Settings
) -> None:
    """Or two workers at once would pass a cap of one."""
    first = a_digest_for_ada(sessions, settings)
    with sessions.begin() as session:
        claims = claim_due(
            session, "w2", at=NOON, limit=5, channels=frozenset({Channel.EMAIL})
        )
        mark(session, claims, at=NOON)
        session.add(_again(claims[0].delivery))
    server = Outbox()

    assert deliver(sessions, settings, server).sent == 0
    with sessions.begin() as session:
        session.execute(
            update(Delivery).where(Delivery.id == first).values(state="sent")
        )
    assert deliver(sessions, settings, server, at=NOON + 2 * MINUTE).sent == 1


def test_a_patron_erased_while_sending_leaves_nothing(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)

    def erase() -> None:
        with sessions.begin() as session:
            session.delete(session.scalars(select(Patron)).one())

    deliver(sessions, settings, Outbox(then=erase))

    assert deliveries(sessions) == []
    with reading(sessions) as session:
        assert session.scalars(select(LedgerEntry)).all() == []


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ("consent withdrawn", DeliveryState.WITHHELD),
        ("digests off", DeliveryState.WITHHELD),
        ("address stopped", DeliveryState.WITHHELD),
        ("all borrowed", DeliveryState.WITHHELD),
        ("membership over", DeliveryState.WITHHELD),
        ("paused", DeliveryState.PENDING),
        ("quiet", DeliveryState.PENDING),
    ],
)
def test_the_facts_are_read_again_right_before_it_leaves(
    sessions: Sessions, settings: Settings, changed: str, state: DeliveryState
) -> None:
    a_digest_for_ada(sessions, settings)
    with sessions.begin() as session:
        patron = session.scalars(select(Patron)).one()
        if changed == "consent withdrawn":
            session.execute(update(Consent).values(withdrawn_at=NOON))
        elif changed == "digests off":
            session.execute(update(Preference).values(rhythm="off"))
        elif changed == "address stopped":
            session.execute(update(ContactPoint).values(stopped_at=NOON))
        elif changed == "all borrowed":
            for one in session.scalars(select(Alert)):
                session.add(
                    Feedback(
                        patron_id=patron.id,
                        work_id=one.work_id,
                        verdict=Verdict.READ_ALREADY,
                        given_at=NOON,
                        via=Channel.PAGE,
                    )
                )
        elif changed == "membership over":
            patron.expires_on = (NOON - DAY).date()
        elif changed == "paused":
            preferences.pause(session, patron.id, until=NOON + DAY)
        else:
            preferences.change(
                session, patron.id, at=NOON, quiet_from=11 * 60, quiet_to=14 * 60
            )
    outbox = Outbox()

    deliver(sessions, settings, outbox)

    assert outbox.taken == []
    assert only(sessions).state is state
    assert only(sessions).cause


def test_what_changes_while_others_are_sent_counts_too(
    sessions: Sessions, settings: Settings
) -> None:
    """All were read and the next one made before the first one left."""
    with sessions.begin() as session:
        names = ("Di", "Ed", "Flo", "Gus")
        patrons = [
            make_patron(session, name, consents=tuple(ConsentPurpose)) for name in names
        ]
        works = [
            matched(session, one, [f"A {one.name}", f"B {one.name}"]) for one in patrons
        ]
    alert(sessions, settings)
    told: list[str] = []

    def change() -> None:
        if told:
            return
        told.append("changed")
        with sessions.begin() as session:
            session.execute(
                update(Consent)
                .where(Consent.patron_id == patrons[1].id)
                .values(withdrawn_at=NOON)
            )
            session.execute(
                update(ContactPoint)
                .where(ContactPoint.patron_id == patrons[2].id)
                .values(address="new@patrons.test")
            )
            make_loan(session, patrons[3], works[3][0])

    outbox = Outbox(then=change)
    report = deliver(sessions, settings, outbox)

    assert (report.sent, report.withheld) == (3, 1)
    assert [one.to.address for one in outbox.taken] == [
        "di@patrons.test",
        "new@patrons.test",
        "gus@patrons.test",
    ]
    assert "A Gus" not in outbox.taken[2].text
    assert "B Gus" in outbox.taken[2].text


def test_an_answer_counts_whatever_becomes_of_the_next(
    sessions: Sessions, settings: Settings
) -> None:
    """The database goes away while the server reads; it is back later."""
    count = 3 * lots.TOGETHER
    with sessions.begin() as session:
        for number in range(count):
            patron = make_patron(session, f"P{number}", consents=tuple(ConsentPurpose))
            matched(session, patron, [f"For {number}"])
    alert(sessions, settings)
    engine = sessions.kw["bind"]
    outbox = Outbox()

    def away(*_: object) -> None:
        if len(outbox.taken) >= lots.TOGETHER:
            raise ConnectionError("the database is away")

    event.listen(engine, "before_cursor_execute", away)
    with contextlib.suppress(ConnectionError):
        deliver(sessions, settings, outbox)
    event.remove(engine, "before_cursor_execute", away)
    assert lots.TOGETHER <= len(outbox.taken) < count

    report = deliver(sessions, settings, outbox, at=NOON + LEASE + MINUTE)

    assert len({one.message_id for one in outbox.taken}) == len(outbox.taken) == count
    assert set(states(sessions)) == {DeliveryState.SENT}
    assert report.sent >= count - lots.TOGETHER


def test_a_work_borrowed_in_between_is_left_out(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings, "Contact", "Solaris")
    with sessions.begin() as session:
        patron = session.scalars(select(Patron)).one()
        first = session.scalars(select(Alert).order_by(Alert.id)).first()
        assert first is not None
        session.add(
            Feedback(
                patron_id=patron.id,
                work_id=first.work_id,
                verdict=Verdict.WANTED,
                given_at=NOON,
                via=Channel.PAGE,
            )
        )
    outbox = Outbox()

    deliver(sessions, settings, outbox)

    assert "Contact" not in outbox.taken[0].text
    assert "Solaris" in outbox.taken[0].text


def test_a_new_address_moves_what_waits(sessions: Sessions, settings: Settings) -> None:
    a_digest_for_ada(sessions, settings)
    with sessions.begin() as session:
        session.execute(update(ContactPoint).values(address="new@patrons.test"))
    outbox = Outbox()

    deliver(sessions, settings, outbox)

    assert outbox.taken[0].to.address == "new@patrons.test"


def test_past_its_time_a_digest_is_withheld_and_its_alerts_ride_in_the_next(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)
    late = NOON + 6 * DAY + MINUTE  # a weekly one
    outbox = Outbox()

    assert deliver(sessions, settings, outbox, at=late).withheld == 1
    assert only(sessions).cause == "too late"
    alert(sessions, settings, late + 7 * DAY)
    deliver(sessions, settings, outbox, at=late + 7 * DAY)

    assert len(outbox.taken) == 1
    assert {one.delivery_id for one in alerts(sessions)} == {
        deliveries(sessions)[-1].id
    }


@pytest.mark.parametrize("later", [(), (BUSY,), (BUSY, BUSY)])
def test_what_may_be_out_never_rides_again(
    sessions: Sessions, settings: Settings, later: tuple[DeliveryFailed, ...]
) -> None:
    """Whatever became of attempts after the one that nobody knows of."""
    delivery_id = a_digest_for_ada(sessions, settings)
    deliver(sessions, settings, Outbox(CUT))
    for number, failure in enumerate(later, 1):
        report = deliver(
            sessions, settings, Outbox(failure), at=NOON + number * 60 * MINUTE
        )
        assert report.retried == 1

    deliver(sessions, settings, Outbox(), at=NOON + 7 * DAY)

    assert only(sessions).state is DeliveryState.WITHHELD
    assert [one.delivery_id for one in alerts(sessions)] == [delivery_id]


def test_a_pause_beyond_its_time_frees_the_alerts(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)
    with sessions.begin() as session:
        patron = session.scalars(select(Patron)).one()
        preferences.pause(session, patron.id, until=NOON + 30 * DAY)

    deliver(sessions, settings, Outbox())

    assert (only(sessions).state, only(sessions).cause) == (
        DeliveryState.WITHHELD,
        "pause",
    )
    assert [one.delivery_id for one in alerts(sessions)] == [None]


def test_above_the_cap_a_message_waits_until_the_week_is_over(
    sessions: Sessions, settings: Settings
) -> None:
    capped = replace(settings, message_cap=1)
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(session, patron.id, at=NOON, rhythm=Rhythm.DAILY)
        matched(session, patron, ["Contact"])
    alert(sessions, capped)
    outbox = Outbox()
    deliver(sessions, capped, outbox)
    with sessions.begin() as session:
        matched(session, patron, ["Solaris"], at=NOON + DAY)

    report = alert(sessions, capped, NOON + DAY)
    assert report.held == {"cap": 1}
    assert len(deliveries(sessions)) == 1

    alert(sessions, capped, NOON + 7 * DAY + MINUTE)
    deliver(sessions, capped, outbox, at=NOON + 7 * DAY + MINUTE)
    assert len(outbox.taken) == 2


def test_what_just_left_counts_for_the_next_one_to_the_same_patron(
    sessions: Sessions, settings: Settings
) -> None:
    """Both were claimed and read before the first one left."""
    first = a_digest_for_ada(sessions, settings)
    with sessions.begin() as session:
        session.add(_again(session.get_one(Delivery, first)))
    server = Outbox()

    report = deliver(sessions, replace(settings, message_cap=1), server)

    assert len(server.taken) == 1
    assert (report.sent, report.held) == (1, 1)
    assert [one.cause for one in deliveries(sessions)] == [None, "cap"]


@pytest.mark.parametrize("together", [1, 2, 25])
def test_the_next_one_to_a_patron_leaves_when_the_one_before_is_settled(
    sessions: Sessions,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    together: int,
) -> None:
    """While a lot leaves the next one is marked, but not for the same patrons."""
    monkeypatch.setattr(lots, "TOGETHER", together)
    first = a_digest_for_ada(sessions, settings)
    with sessions.begin() as session:
        session.add(_again(session.get_one(Delivery, first)))
        matched(session, cy(session), ["Solaris"])
    alert(sessions, settings)
    seen: list[list[DeliveryState]] = []
    server = Outbox(then=lambda: seen.append(states(sessions)[:2]))

    report = deliver(sessions, settings, server)

    assert report.sent == 3
    order = [one.to.address.partition("@")[0] for one in server.taken]
    again = order.index("ada", order.index("ada") + 1)
    assert seen[again] == [DeliveryState.SENT, DeliveryState.SENDING]


def test_an_address_that_was_refused_is_not_tried_for_the_next_child(
    sessions: Sessions, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lots, "TOGETHER", 1)
    with sessions.begin() as session:
        parent = make_patron(session, "Parent")
        point_of(session, parent).hard = 1  # one more stops it
        for name in ("Di", "Ed"):
            child = make_patron(session, name, consents=tuple(ConsentPurpose))
            session.add(Guardian(patron_id=child.id, guardian_id=parent.id))
            matched(session, child, [f"For {name}"])
    alert(sessions, settings)
    server = Outbox(REFUSED)

    report = deliver(sessions, settings, server)

    assert (report.abandoned, report.withheld, len(server.taken)) == (1, 1, 0)


def test_page_deliveries_need_no_address_and_no_server(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(session, patron.id, at=NOON, channel=Channel.PAGE)
        session.execute(update(ContactPoint).values(stopped_at=NOON))
        matched(session, patron, ["Contact"])
    alert(sessions, settings)

    report = deliver_due(sessions, settings, at=NOON, worker="w1")

    assert report.sent == 1
    assert only(sessions).state is DeliveryState.SENT


def test_without_a_server_mail_is_written_as_files(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)

    deliver_due(sessions, settings, at=NOON, worker="w1")

    (path,) = settings.mail.iterdir()
    assert path.suffix == ".eml"
    assert path.stem in only(sessions).message_id


def test_a_sign_in_passes_pause_and_quiet_hours_and_leaves_no_words_behind(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.pause(session, patron.id, until=None)
        preferences.change(
            session, patron.id, at=NOON, quiet_from=0, quiet_to=24 * 60 - 1
        )
        queue_sign_in(
            session, settings, patron.id, link="https://x/y", code="123456", at=NOON
        )
    outbox = Outbox()

    deliver(sessions, settings, outbox)

    assert "https://x/y" in outbox.taken[0].text
    assert "123456" in outbox.taken[0].html
    assert only(sessions).parameters == {}
    with reading(sessions) as session:
        assert session.scalars(select(LedgerEntry.body)).all() == [None]


def test_a_sign_in_goes_before_the_digests_that_wait(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        for number in range(3):
            patron = make_patron(session, f"P{number}", consents=tuple(ConsentPurpose))
            matched(session, patron, [f"For {number}"])
    alert(sessions, settings)
    with sessions.begin() as session:
        queue_sign_in(
            session, settings, ada(session).id, link="https://x", code="1", at=NOON
        )
    outbox = Outbox()

    deliver(sessions, settings, outbox, at=NOON + MINUTE, limit=2)

    purposes = [one.purpose for one in outbox.taken]
    assert purposes == [Purpose.SIGN_IN, Purpose.DIGEST]


def test_a_sign_in_link_is_not_sent_when_it_is_over(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        queue_sign_in(
            session, settings, ada(session).id, link="https://x", code="1", at=NOON
        )
    outbox = Outbox()

    deliver(sessions, settings, outbox, at=NOON + 16 * MINUTE)

    assert outbox.taken == []
    assert only(sessions).state is DeliveryState.WITHHELD


def test_due_is_sent_and_withheld_and_abandoned_and_open(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        for name in ("Di", "Ed", "Flo", "Gus"):
            patron = make_patron(session, name, consents=tuple(ConsentPurpose))
            matched(session, patron, [f"For {name}"])
    alert(sessions, settings)

    report = deliver(sessions, settings, Outbox(REFUSED, BUSY, CUT))

    assert (report.sent, report.abandoned, report.retried) == (1, 1, 2)
    assert len(deliveries(sessions)) == 4
    assert all(
        one.cause for one in deliveries(sessions) if one.state != DeliveryState.SENT
    )


def test_a_limit_takes_up_no_more(sessions: Sessions, settings: Settings) -> None:
    with sessions.begin() as session:
        matched(session, ada(session), ["Contact"])
        matched(session, cy(session), ["Solaris"])
    alert(sessions, settings)

    assert deliver(sessions, settings, Outbox(), limit=1).sent == 1
    assert states(sessions) == [DeliveryState.SENT, DeliveryState.PENDING]


def test_with_a_slow_server_what_was_sent_is_settled_before_the_others_leave(
    sessions: Sessions, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lots, "FRESH", timedelta())
    monkeypatch.setattr(lots, "SETTLED_WITHIN", timedelta())
    with sessions.begin() as session:
        for name in ("Di", "Ed", "Flo"):
            patron = make_patron(session, name, consents=tuple(ConsentPurpose))
            matched(session, patron, [f"For {name}"])
    alert(sessions, settings)
    seen: list[int] = []
    server = Outbox(
        then=lambda: seen.append(states(sessions).count(DeliveryState.SENT))
    )

    report = deliver(sessions, settings, server)

    assert report.sent == 3
    assert seen == [0, 1, 2]


def test_when_its_time_is_over_what_is_left_is_free_at_once(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        matched(session, ada(session), ["Contact"])
        matched(session, cy(session), ["Solaris"])
    alert(sessions, settings)
    server = Outbox(then=lambda: time.sleep(3))

    first = deliver_due(
        sessions,
        settings,
        at=NOON,
        worker="w1",
        within=timedelta(seconds=3),
        channels={Channel.EMAIL: server},
    )

    assert (first.sent, first.more) == (1, True)
    assert states(sessions) == [DeliveryState.SENT, DeliveryState.PENDING]
    second = deliver(sessions, settings, server, at=NOON + MINUTE)
    assert (second.sent, second.more) == (1, False)


def test_a_new_address_is_asked_before_any_digest_goes_there(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        point = contacts.add(
            session, patron.id, Channel.EMAIL, "new@patrons.test", at=NOON
        )
        queue_confirm(session, settings, point, at=NOON)
        matched(session, patron, ["Contact"])
    alert(sessions, settings)
    outbox = Outbox()

    deliver(sessions, settings, outbox)

    asked, digest = outbox.taken
    assert (asked.purpose, asked.to.address) == (Purpose.CONFIRM, "new@patrons.test")
    assert digest.to.address == "ada@patrons.test"
    token = asked.text.split("/confirm/")[1].split()[0]
    assert links.read_confirm(settings.secret, token, at=NOON) == point.id


def test_a_folder_that_cannot_be_written_holds_the_channel(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)
    settings.mail.write_text("a file stands where the folder should be")

    report = deliver_due(sessions, settings, at=NOON, worker="w1")

    assert report.retried == 1
    with reading(sessions) as session:
        assert Channel.EMAIL in holds(session, at=NOON)
    settings.mail.unlink()
    later = NOON + 6 * MINUTE
    assert deliver_due(sessions, settings, at=later, worker="w1").sent == 1


def _again(delivery: Delivery) -> Delivery:
    """Return one more delivery of what another carries."""
    return Delivery(
        patron_id=delivery.patron_id,
        purpose=Purpose.DIGEST,
        channel=Channel.EMAIL,
        due_at=NOON,
        not_after=NOON + 8 * DAY,
        message_id="<again@library.test>",
        parameters={AGAIN: delivery.id},
        created_at=NOON,
    )
