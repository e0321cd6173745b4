from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.vocabulary import Channel, ConsentPurpose, Purpose, Rhythm
from notifier.gate import Answer, House, may_send
from profiles.causes import Cause
from profiles.standing import CAPPED, ContactStanding, Standing

AT = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
HOUSE = House(cap=3)
WELL = Standing(
    1,
    consents=frozenset(ConsentPurpose),
    contact=ContactStanding(1, "ada@patrons.test"),
)
MESSAGES = [Channel.EMAIL, Channel.PUSH, Channel.WEBHOOK]


def ask(
    standing: Standing,
    purpose: Purpose = Purpose.DIGEST,
    channel: Channel = Channel.EMAIL,
    house: House = HOUSE,
) -> tuple[Answer, Cause | None, datetime | None]:
    ruling = may_send(standing, purpose, channel, AT, house=house)
    return ruling.answer, ruling.cause, ruling.until


def test_nothing_speaks_against_it() -> None:
    assert ask(WELL) == (Answer.SEND, None, None)


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        pytest.param({"consents": frozenset()}, Cause.CONSENT, id="no consent"),
        pytest.param({"active": False}, Cause.INACTIVE, id="membership over"),
        pytest.param({"rhythm": Rhythm.OFF}, Cause.OFF, id="digests off"),
        pytest.param({"contact": None}, Cause.NO_ADDRESS, id="no address"),
        pytest.param(
            {"contact": ContactStanding(1, "a@x.test", verified=False)},
            Cause.UNCONFIRMED,
            id="not confirmed",
        ),
        pytest.param(
            {"contact": ContactStanding(1, "a@x.test", stopped=True)},
            Cause.STOPPED,
            id="stopped",
        ),
    ],
)
@pytest.mark.parametrize("channel", MESSAGES)
def test_never_on_any_channel(
    changed: dict[str, object], cause: Cause, channel: Channel
) -> None:
    standing = replace(WELL, **changed)  # type: ignore[arg-type]

    assert ask(standing, channel=channel) == (Answer.NEVER, cause, None)


@pytest.mark.parametrize(
    ("changed", "cause", "until"),
    [
        pytest.param(
            {"pauses": {"all": AT + DAY}}, Cause.PAUSE, AT + DAY, id="pause of all"
        ),
        pytest.param(
            {"pauses": {"digest": AT + DAY}},
            Cause.PAUSE,
            AT + DAY,
            id="pause of digests",
        ),
        pytest.param(
            {"quiet_from": 22 * 60, "quiet_to": 7 * 60},
            Cause.QUIET,
            datetime(2026, 3, 2, 7, tzinfo=UTC),
            id="quiet over midnight",
        ),
        pytest.param(
            {"recent": (AT - 3 * DAY, AT - 2 * DAY, AT - DAY)},
            Cause.CAP,
            AT + 4 * DAY,
            id="cap of three",
        ),
        pytest.param(
            {"contact": ContactStanding(1, "a@x.test", retry_at=AT + HOUR)},
            Cause.BOUNCED,
            AT + HOUR,
            id="soft bounce",
        ),
        pytest.param(
            {
                "pauses": {"all": AT + HOUR},
                "quiet_from": 22 * 60,
                "quiet_to": 7 * 60,
            },
            Cause.QUIET,
            datetime(2026, 3, 2, 7, tzinfo=UTC),
            id="the longest of two",
        ),
    ],
)
@pytest.mark.parametrize("channel", MESSAGES)
def test_later_on_any_channel(
    changed: dict[str, object], cause: Cause, until: datetime, channel: Channel
) -> None:
    standing = replace(WELL, **changed)  # type: ignore[arg-type]

    assert ask(standing, channel=channel) == (Answer.LATER, cause, until)


@pytest.mark.parametrize(
    "purpose", [Purpose.DIGEST, Purpose.CAMPAIGN, Purpose.SURVEY, Purpose.AVAILABLE]
)
def test_a_pause_holds_every_purpose_nobody_asked_for(purpose: Purpose) -> None:
    paused = replace(WELL, pauses={"all": AT + DAY})

    assert ask(paused, purpose)[:2] == (Answer.LATER, Cause.PAUSE)


@pytest.mark.parametrize("purpose", [Purpose.SIGN_IN, Purpose.CONFIRM, Purpose.ENQUIRY])
def test_what_the_patron_waits_for_passes_pause_quiet_hours_and_cap(
    purpose: Purpose,
) -> None:
    busy = replace(
        WELL,
        consents=frozenset(),
        pauses={"all": AT + DAY},
        quiet_from=0,
        quiet_to=1439,
        recent=(AT,) * 9,
    )

    assert ask(busy, purpose)[0] is Answer.SEND


@pytest.mark.parametrize("purpose", list(Purpose))
@pytest.mark.parametrize("channel", MESSAGES)
def test_a_stopped_address_gets_nothing_from_any_path(
    purpose: Purpose, channel: Channel
) -> None:
    stopped = replace(WELL, contact=ContactStanding(1, "a@x.test", stopped=True))

    assert ask(stopped, purpose, channel)[:2] == (Answer.NEVER, Cause.STOPPED)


def test_only_the_confirmation_goes_to_an_unconfirmed_address() -> None:
    fresh = replace(WELL, contact=ContactStanding(1, "a@x.test", verified=False))

    assert ask(fresh, Purpose.CONFIRM)[0] is Answer.SEND
    assert ask(fresh, Purpose.SIGN_IN)[0] is Answer.NEVER


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("di@inside.test", Answer.SEND),
        ("ED@Else.test", Answer.SEND),
        ("x@else.test", Answer.NEVER),
        ("di@inside.test.evil.test", Answer.NEVER),
    ],
)
def test_a_test_installation_reaches_only_whom_it_may(
    address: str, answer: Answer
) -> None:
    listed = House(cap=3, only_to=("@inside.test", "ed@else.test"))
    standing = replace(WELL, contact=ContactStanding(1, address))

    assert ask(standing, house=listed)[0] is answer


def test_page_and_feed_ask_for_consent_and_pause_alone() -> None:
    at_night = replace(
        WELL, contact=None, quiet_from=0, quiet_to=1439, recent=(AT,) * 9
    )

    for channel in (Channel.PAGE, Channel.FEED):
        assert ask(at_night, channel=channel)[0] is Answer.SEND
        paused = replace(at_night, pauses={"all": AT + DAY})
        assert ask(paused, channel=channel)[:2] == (Answer.LATER, Cause.PAUSE)
        unasked = replace(at_night, consents=frozenset())
        assert ask(unasked, channel=channel)[:2] == (Answer.NEVER, Cause.CONSENT)


def test_a_cap_of_nothing_never_lets_one_through() -> None:
    assert ask(WELL, house=House(cap=0))[:2] == (Answer.LATER, Cause.CAP)


zones = st.sampled_from(
    ["UTC", "Asia/Tehran", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]
)
moments = st.datetimes(
    datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)
)
minutes = st.one_of(st.none(), st.integers(0, 1439))


@st.composite
def standings(draw: st.DrawFn, at: datetime) -> Standing:
    ends = st.timedeltas(timedelta(seconds=1), timedelta(days=40))
    pause = draw(st.one_of(st.none(), ends))
    ago = st.timedeltas(timedelta(), timedelta(days=7) - timedelta(seconds=1))
    return replace(
        WELL,
        zone=draw(zones),
        quiet_from=draw(minutes),
        quiet_to=draw(minutes),
        pauses={"all": at + pause} if pause else {},
        recent=tuple(sorted(at - one for one in draw(st.lists(ago, max_size=6)))),
    )


@given(st.data())
def test_it_lets_nothing_through_that_a_choice_forbids(data: st.DataObject) -> None:
    at = data.draw(moments)
    standing = data.draw(standings(at))
    ruling = may_send(standing, Purpose.DIGEST, Channel.EMAIL, at, house=HOUSE)

    if ruling.answer is Answer.SEND:
        assert not standing.pauses
        assert len(standing.recent) < HOUSE.cap
        assert not in_quiet_hours(standing, at)
    else:
        assert ruling.until is not None
        assert ruling.until > at


@given(st.data())
def test_what_is_held_goes_when_it_may(data: st.DataObject) -> None:
    at = data.draw(moments)
    standing = data.draw(standings(at))
    for _ in range(6):
        ruling = may_send(standing, Purpose.DIGEST, Channel.EMAIL, at, house=HOUSE)
        if ruling.answer is Answer.SEND:
            return
        assert ruling.until is not None
        at = ruling.until
        standing = replace(
            standing,
            pauses={k: v for k, v in standing.pauses.items() if v > at},
            recent=tuple(one for one in standing.recent if one > at - 7 * DAY),
        )
    raise AssertionError("it is held for ever")


def in_quiet_hours(standing: Standing, at: datetime) -> bool:
    start, end = standing.quiet_from, standing.quiet_to
    if start is None or end is None or start == end:
        return False
    local = at.astimezone(ZoneInfo(standing.zone))
    minute = local.hour * 60 + local.minute
    return start <= minute < end if start < end else minute >= start or minute < end


def test_every_unasked_purpose_is_capped() -> None:
    assert {Purpose.DIGEST, Purpose.CAMPAIGN, Purpose.SURVEY} <= CAPPED
