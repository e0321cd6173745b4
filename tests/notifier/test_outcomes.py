from datetime import timedelta

import pytest

from library.errors import DeliveryFailed
from library.tables import Delivery
from library.vocabulary import Channel, DeliveryState, Purpose
from notifier.gate import Answer, Ruling
from notifier.outcomes import Outcome, Result, Sent, pause_after, settle, trouble_of
from profiles.causes import Cause
from profiles.contacts import Trouble
from tests.factories import NOON

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def claimed(*, useful_for: timedelta = 6 * 24 * HOUR) -> Delivery:
    return Delivery(
        id=1,
        patron_id=1,
        purpose=Purpose.DIGEST,
        channel=Channel.EMAIL,
        state=DeliveryState.SENDING,
        due_at=NOON + 15 * MINUTE,
        not_after=NOON + useful_for,
        data_at=NOON,
        worker="w1",
        attempts=1,
        parameters={"link": "sealed"},
        message_id="<1@x>",
        created_at=NOON,
    )


def later(until: timedelta) -> Ruling:
    return Ruling(Answer.LATER, Cause.QUIET, NOON + until)


@pytest.mark.parametrize(
    ("result", "outcome", "state", "wait"),
    [
        pytest.param(Sent("250"), "sent", "sent", None, id="250 after DATA"),
        pytest.param(
            DeliveryFailed("451 busy"), "deferred", "pending", MINUTE, id="4xx"
        ),
        pytest.param(
            DeliveryFailed("451 busy", retry_after=600),
            *("deferred", "pending", 10 * MINUTE),
            id="4xx with a time",
        ),
        pytest.param(
            DeliveryFailed("550 5.1.1 unknown", permanent=True),
            *("abandoned", "abandoned", None),
            id="5xx to RCPT or DATA",
        ),
        pytest.param(
            DeliveryFailed("550 relaying denied", ours=True),
            *("deferred", "pending", 5 * MINUTE),
            id="5xx to connect, AUTH or MAIL",
        ),
        pytest.param(
            DeliveryFailed("connection: closed", ambiguous=True),
            *("unknown", "pending", 10 * MINUTE),
            id="cut after DATA",
        ),
        pytest.param(later(HOUR), "held", "pending", HOUR, id="quiet hours"),
        pytest.param(
            later(9 * 24 * HOUR), "withheld", "withheld", None, id="held too long"
        ),
        pytest.param(
            Ruling(Answer.NEVER, Cause.CONSENT),
            *("withheld", "withheld", None),
            id="the gate says never",
        ),
    ],
)
def test_the_table_of_outcomes(
    result: Result, outcome: str, state: str, wait: timedelta | None
) -> None:
    delivery = claimed()

    assert settle(delivery, result, at=NOON) == Outcome(outcome)
    assert delivery.state == DeliveryState(state)
    assert delivery.worker is None
    if wait is None:
        assert delivery.settled_at == NOON
        assert delivery.parameters == {}
    else:
        assert delivery.due_at == NOON + wait
        assert delivery.parameters == {"link": "sealed"}
    assert (delivery.cause is None) == isinstance(result, Sent)


def test_only_doubt_keeps_the_mark_that_it_may_be_out() -> None:
    sure, doubtful = claimed(), claimed()
    settle(sure, DeliveryFailed("451 busy"), at=NOON)
    settle(doubtful, DeliveryFailed("cut", ambiguous=True), at=NOON)

    assert (sure.data_at, doubtful.data_at) == (None, NOON)


def test_pauses_grow_to_eight_hours_more_or_less_a_fifth() -> None:
    pauses = [pause_after(n, seed=str(n)) for n in range(40)]

    assert [one / MINUTE for one in pauses[:5]] == [1, 5, 15, 60, 240]
    assert all(6.4 * HOUR <= one <= 9.6 * HOUR for one in pauses[5:])
    assert len(set(pauses[5:])) > 30
    assert pause_after(9, seed="x") == pause_after(9, seed="x")


def test_the_last_try_is_the_last_before_its_time_is_over() -> None:
    delivery = claimed(useful_for=20 * MINUTE)

    assert settle(delivery, DeliveryFailed("451"), at=NOON, failures=2) is (
        Outcome.DEFERRED
    )
    assert settle(delivery, DeliveryFailed("451"), at=NOON, failures=3) is (
        Outcome.ABANDONED
    )
    assert delivery.cause == "451"


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        ("550 5.1.1 no such user", Trouble.HARD),
        ("550 5.1.10 null MX", Trouble.HARD),
        ("552 5.2.2 mailbox full", Trouble.SOFT),
        ("550 5.4.4 unable to route", Trouble.SOFT),
        ("554 5.6.0 looks like spam", None),
        ("550 no code at all", None),
    ],
)
def test_what_an_answer_says_of_the_address(
    answer: str, trouble: Trouble | None
) -> None:
    assert trouble_of(DeliveryFailed(answer, permanent=True)) is trouble
    assert trouble_of(DeliveryFailed(answer)) is None
