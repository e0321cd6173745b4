import pytest

from library.db import Sessions
from library.tables import Delivery, LedgerEntry
from library.vocabulary import Channel, DeliveryState, Purpose
from tests.api.rest.client import ApiClient
from tests.factories import NOON, ada, cy, make_alert, make_work


@pytest.fixture
def ids(sessions: Sessions) -> dict[str, int]:
    """Ada's message was sent, Cy's waits."""
    with sessions.begin() as session:
        made: dict[str, int] = {}
        for patron, state in (
            (ada(session), DeliveryState.SENT),
            (cy(session), DeliveryState.PENDING),
        ):
            delivery = Delivery(
                patron_id=patron.id,
                purpose=Purpose.DIGEST,
                channel=Channel.EMAIL,
                state=state,
                due_at=NOON,
                not_after=NOON,
                message_id=f"<{patron.id}@x.test>",
                created_at=NOON,
            )
            session.add(delivery)
            session.flush()
            alert = make_alert(session, patron, make_work(session, state.value))
            alert.delivery_id = delivery.id
            made |= {state.value: delivery.id, str(patron.name): patron.id}
        session.add(
            LedgerEntry(
                delivery_id=made["sent"],
                patron_id=made["Ada"],
                attempt=1,
                outcome="sent",
                address="ada@patrons.test",
                subject="3 new works",
                at=NOON,
            )
        )
        return made


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("", ["pending", "sent"], id="all"),
        pytest.param("?state=sent", ["sent"], id="in one state"),
        pytest.param("?patron_id={Cy}", ["pending"], id="to one patron"),
    ],
)
def test_deliveries_are_listed(
    api: ApiClient, ids: dict[str, int], query: str, found: list[str]
) -> None:
    items = api.get(f"/deliveries{query.format(**ids)}").get_json()["items"]
    assert [delivery["id"] for delivery in items] == [ids[name] for name in found]


def test_a_delivery_shows_what_became_of_it(
    api: ApiClient, ids: dict[str, int]
) -> None:
    shown = api.get(f"/deliveries/{ids['sent']}").get_json()
    assert [(e["outcome"], e["address"]) for e in shown["ledger"]] == [
        ("sent", "ada@patrons.test")
    ]


def test_what_was_sent_is_sent_again_as_another(
    api: ApiClient, ids: dict[str, int]
) -> None:
    again = api.post(f"/deliveries/{ids['sent']}/resend")
    assert again.status_code == 202
    assert again.get_json()["id"] not in ids.values()
    assert again.get_json()["state"] == "pending"
    assert api.post(f"/deliveries/{ids['pending']}/resend").status_code == 409


def test_what_waits_is_cancelled_once(api: ApiClient, ids: dict[str, int]) -> None:
    gone = api.post(f"/deliveries/{ids['pending']}/cancel")
    assert gone.get_json()["state"] == "withheld"
    assert api.post(f"/deliveries/{ids['pending']}/cancel").status_code == 409
    assert api.post(f"/deliveries/{ids['sent']}/cancel").status_code == 409


def test_a_message_is_sent_again_once_for_one_key(
    api: ApiClient, ids: dict[str, int]
) -> None:
    once = {"Idempotency-Key": "again"}
    answers = [
        api.post(f"/deliveries/{ids['sent']}/resend", headers=once) for _ in range(3)
    ]
    assert len({answer.get_json()["id"] for answer in answers}) == 1
    assert len(api.get("/deliveries").get_json()["items"]) == 3
