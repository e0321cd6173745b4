from typing import Any

import pytest

from library.db import Sessions, reading
from library.vocabulary import Verdict
from profiles.feedback import verdict_of
from profiles.suppression import list_suppressions
from tests.api.rest.client import ApiClient
from tests.factories import NOON, ada, cy, make_alert, make_work

REASON = {"kind": "loan", "ref": 1, "label": "Contact", "share": 0.5}


@pytest.fixture
def ids(sessions: Sessions) -> dict[str, int]:
    with sessions.begin() as session:
        patron, other = ada(session), cy(session)
        work = make_work(session, "Cosmos")
        alert = make_alert(session, patron, work)
        theirs = make_alert(session, other, work)
        alert.reasons = theirs.reasons = [REASON]
        theirs.handled_at = NOON
        return {
            "ada": patron.id,
            "cy": other.id,
            "work": work.id,
            "alert": alert.id,
            "theirs": theirs.id,
        }


@pytest.mark.parametrize(
    ("query", "alerts"),
    [
        pytest.param("", ["theirs", "alert"], id="all"),
        pytest.param("?patron_id={ada}", ["alert"], id="one patron's"),
        pytest.param("?handled=true", ["theirs"], id="handled"),
        pytest.param("?handled=false&work_id={work}", ["alert"], id="open"),
        pytest.param("?patron_id=999", [], id="nobody's"),
    ],
)
def test_alerts_are_listed(
    api: ApiClient, ids: dict[str, int], query: str, alerts: list[str]
) -> None:
    items = api.get(f"/alerts{query.format(**ids)}").get_json()["items"]
    assert [alert["id"] for alert in items] == [ids[name] for name in alerts]


def test_filters_stay_on_the_next_page(api: ApiClient, sessions: Sessions) -> None:
    with sessions.begin() as session:
        patron, other = ada(session), cy(session)
        for n in range(3):
            work = make_work(session, f"W{n}")
            make_alert(session, patron, work)
            make_alert(session, other, work)
    first = api.get(f"/alerts?patron_id={patron.id}&handled=false&limit=2")
    address = first.headers["Link"].split(">")[0].strip("<")
    second = api.get(address).get_json()["items"]
    assert [alert["patron_id"] for alert in second] == [patron.id]


def test_a_reason_is_told_in_the_patrons_language(
    api: ApiClient, ids: dict[str, int]
) -> None:
    def text(alert: str) -> str:
        answer: dict[str, Any] = api.get(f"/alerts/{ids[alert]}").get_json()
        return str(answer["reasons"][0]["text"])

    assert "Contact" in text("alert")
    assert "Contact" in text("theirs")
    assert text("theirs") != text("alert")


def test_a_verdict_is_put_by_alert_or_by_work(
    api: ApiClient, sessions: Sessions, ids: dict[str, int]
) -> None:
    hide = api.put(f"/alerts/{ids['alert']}/feedback", {"verdict": "not_for_me"})
    assert hide.status_code == 204
    with reading(sessions) as session:
        assert verdict_of(session, ids["ada"], ids["work"]) is Verdict.NOT_FOR_ME
        assert len(list_suppressions(session, ids["ada"])) == 1

    where = f"/patrons/{ids['ada']}/feedback"
    items = api.get(where).get_json()["items"]
    assert [(i["work"]["title"], i["verdict"]) for i in items] == [
        ("Cosmos", "not_for_me")
    ]

    back = api.put(f"{where}/{ids['work']}", {"verdict": None})
    assert back.status_code == 204
    assert api.get(where).get_json()["items"] == []
    with reading(sessions) as session:
        assert list_suppressions(session, ids["ada"]) == []


@pytest.mark.parametrize("body", [{}, {"verdict": "love"}, {"verdict": 1}, None])
def test_a_verdict_has_to_be_one(
    api: ApiClient, ids: dict[str, int], body: object
) -> None:
    answer = api.put(f"/alerts/{ids['alert']}/feedback", body)
    assert answer.status_code in {415, 422, 400}
