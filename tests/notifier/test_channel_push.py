"""Web push, from the digest to the words a browser reads."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from library.clock import utc_now
from library.db import Sessions, reading
from library.errors import DeliveryFailed, InvalidInput
from library.fetching.fetch import Fetcher, Limits
from library.settings import Settings
from library.tables import (
    ContactPoint,
    Impression,
    LedgerEntry,
    Patron,
    Preference,
    Work,
)
from library.vocabulary import Channel, DeliveryState
from notifier import push_keys
from notifier.channels.push import LARGEST, PushChannel, sealed
from notifier.delivery import DeliveryReport, deliver_due
from notifier.message import topic_of
from profiles import devices, preferences
from profiles.causes import Cause
from profiles.devices import Device, parse_device
from tests import loopback
from tests.factories import NOON, ada, cy
from tests.loopback import Answer, Guard
from tests.notifier.cast import (
    MINUTE,
    Outbox,
    alert,
    alerts,
    deliver,
    deliveries,
    matched,
    only,
)
from tests.notifier.push_service import PushService, push_service
from tests.notifier.test_channels import letter

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def service(settings: Settings) -> Iterator[PushService]:
    with push_service(settings) as served:
        yield served


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    with loopback.guarded(monkeypatch) as watching:
        yield watching


def told_by_push(
    sessions: Sessions, service: PushService, patron: Patron, *names: str
) -> None:
    with sessions.begin() as session:
        for place, name in enumerate(names or ("ada",)):
            at = NOON - DAY + place * MINUTE
            devices.add(session, patron.id, service.subscribe(name), name, at=at)
        preferences.change(session, patron.id, at=NOON, channel=Channel.PUSH)


def digest_for(
    sessions: Sessions, service: PushService, *names: str, persian: bool = False
) -> Patron:
    """Make a digest of two works for a patron who is told on these devices."""
    with sessions.begin() as session:
        patron = cy(session) if persian else ada(session)
        matched(session, patron, ["Contact", "Solaris"])
    told_by_push(sessions, service, patron, *names)
    alert(sessions, service.settings)
    return patron


def push(
    sessions: Sessions, service: PushService, at: timedelta = timedelta()
) -> DeliveryReport:
    return deliver_due(sessions, service.settings, at=NOON + at, worker="w1")


def device_rows(sessions: Sessions) -> list[ContactPoint]:
    with reading(sessions) as session:
        return list(
            session.scalars(
                select(ContactPoint)
                .where(ContactPoint.channel == Channel.PUSH)
                .order_by(ContactPoint.id)
            )
        )


def test_a_digest_is_shown_on_the_device_in_a_few_words(
    sessions: Sessions, service: PushService
) -> None:
    digest_for(sessions, service)

    assert push(sessions, service).sent == 1

    (pushed,) = service.waiting.values()
    assert pushed.words["title"] == "Hamkhan Library"
    assert pushed.words["body"] == "New for you: \u2068Contact\u2069 and 1 more"
    assert (pushed.words["lang"], pushed.words["dir"]) == ("en", "ltr")
    assert pushed.words["link"] == f"{service.settings.base_url}/me"
    assert pushed.words["leave"].startswith(f"{service.settings.base_url}/leave/")
    assert pushed.words["tag"] == pushed.headers["topic"]


def test_where_more_is_new_than_fits_it_opens_the_page_of_all(
    sessions: Sessions, service: PushService
) -> None:
    digest_for(sessions, service)

    short = replace(service.settings, digest_limit=1)
    deliver_due(sessions, short, at=NOON, worker="w1")

    (pushed,) = service.waiting.values()
    assert pushed.words["link"] == f"{service.settings.base_url}/me/alerts"


def test_in_persian_it_reads_from_right_to_left(
    sessions: Sessions, service: PushService
) -> None:
    digest_for(sessions, service, persian=True)

    push(sessions, service)

    (pushed,) = service.waiting.values()
    assert (pushed.words["lang"], pushed.words["dir"]) == ("fa", "rtl")
    assert pushed.words["title"] == "کتابخانهٔ همخوان"
    assert pushed.words["leave_label"] == "پیام کمتر"


def test_to_the_discreet_it_says_how_many_and_not_which(
    sessions: Sessions, service: PushService
) -> None:
    patron = digest_for(sessions, service)
    with sessions.begin() as session:
        preferences.change(session, patron.id, at=NOON, discreet=True)

    push(sessions, service)

    (pushed,) = service.waiting.values()
    assert pushed.words["body"] == "2 new works"
    assert "Contact" not in str(pushed.words)
    assert seen(sessions) == []


def test_only_the_work_it_names_counts_as_seen(
    sessions: Sessions, service: PushService
) -> None:
    digest_for(sessions, service)

    push(sessions, service)

    assert seen(sessions) == [("push", "Contact")]


def seen(sessions: Sessions) -> list[tuple[str, str]]:
    with reading(sessions) as session:
        rows = session.execute(
            select(Impression.place, Work.title).join(
                Work, Work.id == Impression.work_id
            )
        )
        return [(place, title) for place, title in rows]


def test_the_service_keeps_it_no_longer_than_it_is_worth_telling(
    sessions: Sessions, service: PushService
) -> None:
    digest_for(sessions, service)
    not_after = only(sessions).not_after

    push(sessions, service, HOUR)

    (pushed,) = service.waiting.values()
    left = (not_after - NOON - HOUR).total_seconds()
    assert left - 10 <= int(pushed.headers["ttl"]) <= left


def test_taken_without_an_answer_it_comes_again_and_is_shown_once(
    sessions: Sessions, service: PushService
) -> None:
    digest_for(sessions, service)
    service.answers.append(Answer(write=lambda _: None))

    assert push(sessions, service).retried == 1
    assert push(sessions, service, 11 * MINUTE).sent == 1

    topics = [asked.headers["topic"] for asked in service.site.asked]
    assert topics == [topic_of(only(sessions).message_id)] * 2
    assert list(service.waiting) == topics[:1]


def test_every_device_of_a_patron_is_told(
    sessions: Sessions, service: PushService
) -> None:
    digest_for(sessions, service, "phone", "laptop", "tablet")
    service.subscribers.pop("/push/phone")

    assert push(sessions, service).sent == 1

    paths = [asked.path for asked in service.site.asked]
    assert paths == ["/push/tablet", "/push/laptop", "/push/phone"]
    assert service.told == ["/push/tablet", "/push/laptop"]


def test_when_the_device_that_asked_last_is_gone_the_others_are_told(
    sessions: Sessions, service: PushService
) -> None:
    digest_for(sessions, service, "phone", "laptop")
    service.subscribers.pop("/push/laptop")

    assert push(sessions, service).retried == 1
    assert push(sessions, service, 2 * MINUTE).sent == 1

    assert service.told == ["/push/phone"]
    stopped = [row.stopped_at is not None for row in device_rows(sessions)]
    assert stopped == [False, True]


def test_when_the_last_device_is_gone_the_works_come_by_mail(
    sessions: Sessions, service: PushService
) -> None:
    patron = digest_for(sessions, service)
    service.subscribers.clear()
    push(sessions, service)
    push(sessions, service, 2 * MINUTE)
    withheld = only(sessions)
    assert (withheld.state, withheld.cause) == (DeliveryState.WITHHELD, Cause.STOPPED)
    assert all(one.delivery_id is None for one in alerts(sessions))

    with sessions.begin() as session:
        session.get_one(Preference, patron.id).next_digest_at = None
    alert(sessions, service.settings, NOON + 8 * DAY)
    outbox = Outbox()
    deliver(sessions, service.settings, outbox, at=NOON + 8 * DAY)

    (mail,) = outbox.taken
    assert mail.to.address == "ada@patrons.test"
    assert "Contact" in mail.text
    assert "Solaris" in mail.text


def test_a_service_that_refuses_us_lets_the_channel_rest_and_loses_nothing(
    sessions: Sessions, service: PushService
) -> None:
    digest_for(sessions, service)
    service.answers.append(Answer(status=403))

    push(sessions, service)
    assert push(sessions, service, MINUTE).sent == 0
    assert push(sessions, service, 6 * MINUTE).sent == 1

    assert len(service.site.asked) == 2


def test_a_wish_to_wait_is_kept(sessions: Sessions, service: PushService) -> None:
    digest_for(sessions, service)
    busy = Answer(status=429, headers={"Retry-After": "3600"})
    service.answers.append(busy)

    push(sessions, service)

    wait = only(sessions).due_at - NOON
    assert HOUR <= wait <= HOUR + MINUTE


def test_the_ledger_names_the_service_and_holds_no_key(
    sessions: Sessions, service: PushService
) -> None:
    digest_for(sessions, service)

    push(sessions, service)

    with reading(sessions) as session:
        (line,) = session.scalars(select(LedgerEntry)).all()
    assert line.address == "127.0.0.1"
    assert (line.outcome, line.subject) == (
        "sent",
        "New for you: \u2068Contact\u2069 and 1 more",
    )


def test_to_a_refused_address_nothing_is_posted_and_it_is_stopped(
    sessions: Sessions, service: PushService, guard: Guard
) -> None:
    digest_for(sessions, service)
    closed = replace(service.settings, fetch_allow=())

    deliver_due(sessions, closed, at=NOON, worker="w1")

    assert service.site.asked == []
    (row,) = device_rows(sessions)
    assert row.stopped_at is not None


def test_a_redirect_is_not_followed(service: PushService, guard: Guard) -> None:
    device = service.subscribe()
    there = service.subscribe("there").endpoint
    service.answers.append(Answer(status=307, headers={"Location": there}))
    channel = PushChannel(service.settings, Fetcher.of(service.settings))

    with pytest.raises(DeliveryFailed, match="307"):
        channel.hand_over(letter(1, device.address), before=utc_now() + HOUR)

    assert [asked.path for asked in service.site.asked] == ["/push/ada"]


def test_a_host_that_is_away_is_asked_once_a_run(
    sessions: Sessions, service: PushService
) -> None:
    away = service.subscribe()
    gone = replace(away, endpoint="http://127.0.0.1:9/push")
    settings = replace(service.settings, fetch_allow=("127.0.0.1:9",))
    channel = PushChannel(settings, Fetcher.of(settings))
    for said in ("refused", "not reached just now"):
        with pytest.raises(DeliveryFailed, match=said) as failed:
            channel.hand_over(letter(1, gone.address), before=utc_now() + HOUR)
        assert not failed.value.ambiguous
    channel.close()

    with pytest.raises(DeliveryFailed, match="refused"):
        channel.hand_over(letter(1, gone.address), before=utc_now() + HOUR)


def test_a_service_that_hangs_is_waited_for_once(service: PushService) -> None:
    over = threading.Event()

    def hang(_: object) -> None:
        over.wait(5)

    device = service.subscribe()
    service.answers.append(Answer(write=hang))
    hasty = replace(Fetcher.of(service.settings), limits=Limits(seconds=0.3))
    channel = PushChannel(service.settings, hasty)

    with pytest.raises(DeliveryFailed, match="no end") as first:
        channel.hand_over(letter(1, device.address), before=utc_now() + HOUR)
    with pytest.raises(DeliveryFailed, match="not reached just now") as second:
        channel.hand_over(letter(2, device.address), before=utc_now() + HOUR)
    over.set()

    assert (first.value.ambiguous, second.value.ambiguous) == (True, False)
    assert len(service.site.asked) == 1


def test_a_name_with_one_refused_address_is_refused(
    service: PushService, guard: Guard
) -> None:
    device = replace(service.subscribe(), endpoint="https://push.test/1")
    answers = ["93.184.215.14", "10.0.0.1"]
    fetcher = replace(Fetcher.of(service.settings), resolver=lambda *_: answers)
    channel = PushChannel(service.settings, fetcher)

    with pytest.raises(DeliveryFailed, match=r"10\.0\.0\.1") as failed:
        channel.hand_over(letter(1, device.address), before=utc_now() + HOUR)

    assert failed.value.gone


def test_a_device_that_was_asked_under_an_older_secret_is_still_reached(
    settings: Settings,
) -> None:
    with push_service(replace(settings, secret="old")) as service:
        device = service.subscribe()
        changed = replace(service.settings, secret="new old")
        PushChannel(changed, Fetcher.of(changed)).hand_over(
            letter(1, device.address), before=utc_now() + HOUR
        )
        forgotten = replace(changed, secret="new")
        with pytest.raises(DeliveryFailed, match="key of before") as failed:
            PushChannel(forgotten, Fetcher.of(forgotten)).hand_over(
                letter(2, device.address), before=utc_now() + HOUR
            )

    assert len(service.waiting) == 1
    assert service.refused == []
    assert failed.value.gone
    assert push_keys.public_key(changed) != push_keys.public_key(settings)


def test_words_that_do_not_fit_are_refused_here(service: PushService) -> None:
    device = service.subscribe()
    assert len(sealed(b"x" * LARGEST, device)) == 4096

    with pytest.raises(DeliveryFailed, match="more than") as failed:
        sealed(b"x" * (LARGEST + 1), device)

    assert failed.value.permanent


def test_a_key_that_is_no_point_of_the_curve_ends_the_device(
    service: PushService,
) -> None:
    device = service.subscribe()
    wrong = replace(device, p256dh="BA" + "A" * 85)

    with pytest.raises(DeliveryFailed) as failed:
        sealed(b"x", wrong)

    assert failed.value.gone


def test_an_address_is_read_as_it_was_written(service: PushService) -> None:
    device = service.subscribe()

    assert parse_device(device.address) == device


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("endpoint", "not an address"),
        ("endpoint", "https://push.test/#x"),
        ("endpoint", "https://push.test/" + "x" * 800),
        ("p256dh", "AAAA"),
        ("auth", "?"),
        ("asked_under", ""),
    ],
)
def test_what_is_no_device_is_refused(
    sessions: Sessions, service: PushService, field: str, value: str
) -> None:
    wrong: Device = replace(service.subscribe(), **{field: value})
    with sessions.begin() as session, pytest.raises(InvalidInput):
        devices.add(session, ada(session).id, wrong, "", at=NOON)


def test_a_device_tells_whoever_asked_last(
    sessions: Sessions, service: PushService
) -> None:
    device = service.subscribe()
    with sessions.begin() as session:
        one, other = ada(session), cy(session)
        devices.add(session, one.id, device, "Firefox", at=NOON)
        devices.add(session, other.id, device, "Firefox", at=NOON)

        assert devices.devices_of(session, one.id) == []
        assert len(devices.devices_of(session, other.id)) == 1


def test_beyond_the_most_the_oldest_device_goes(
    sessions: Sessions, service: PushService
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        for n in range(devices.MOST + 1):
            device = service.subscribe(f"d{n}")
            devices.add(session, patron.id, device, f"d{n}", at=NOON + n * MINUTE)

        labels = [one.label for one in devices.devices_of(session, patron.id)]

    assert labels == [f"d{n}" for n in range(devices.MOST, 0, -1)]


def test_without_a_device_the_choice_of_push_means_mail(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        matched(session, patron, ["Contact"])
        preferences.change(session, patron.id, at=NOON, channel=Channel.PUSH)

    alert(sessions, settings)

    assert [one.channel for one in deliveries(sessions)] == [Channel.EMAIL]
