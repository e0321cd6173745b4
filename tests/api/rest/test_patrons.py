import io
import json
import zipfile

import pytest
from sqlalchemy import select

from library import audit
from library.db import Sessions, reading
from library.settings import Settings
from library.tables import AuditEntry, Loan, Patron
from library.vocabulary import ConsentPurpose
from profiles import consent
from tests.api.rest.client import ApiClient
from tests.factories import ada, bo, make_loan, make_patron, make_work


@pytest.fixture
def patron_id(sessions: Sessions) -> int:
    with sessions.begin() as session:
        patron = ada(session)
        make_loan(session, patron, make_work(session, "Cosmos"))
        return patron.id


def _audited(sessions: Sessions) -> list[tuple[str, str | None]]:
    with reading(sessions) as session:
        assert audit.first_broken(session) is None
        lines = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(line.action, line.patron_hash) for line in lines]


def test_a_patron_is_shown_and_the_reading_audited(
    api: ApiClient, sessions: Sessions, settings: Settings, patron_id: int
) -> None:
    answer = api.get(f"/patrons/{patron_id}")

    assert answer.get_json()["name"] == "Ada"
    assert "address" not in answer.get_json()
    assert answer.headers["Cache-Control"] == "no-store"
    named = audit.patron_hash(settings.secret, patron_id)
    assert _audited(sessions) == [("patron.read", named)]


def test_patrons_are_listed_by_branch(api: ApiClient, sessions: Sessions) -> None:
    with sessions.begin() as session:
        ada(session)
        make_patron(session, "Nora", branch="north")
    everybody = api.get("/patrons").get_json()["items"]
    assert [patron["name"] for patron in everybody] == ["Ada", "Nora"]
    north = api.get("/patrons?branch=north").get_json()["items"]
    assert [patron["name"] for patron in north] == ["Nora"]


def test_a_take_out_is_a_zip(api: ApiClient, patron_id: int) -> None:
    answer = api.get(f"/patrons/{patron_id}/take-out")

    assert answer.content_type == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.get_data()))
    assert json.loads(archive.read("everything.json"))["loan"]


def test_an_erasure_gives_a_receipt(
    api: ApiClient, sessions: Sessions, patron_id: int
) -> None:
    receipt = api.delete(f"/patrons/{patron_id}").get_json()

    assert receipt["rows"]["loan"] == 1
    assert receipt["number"]
    with reading(sessions) as session:
        assert session.get(Patron, patron_id) is None
    assert api.delete(f"/patrons/{patron_id}").status_code == 404
    assert api.get(f"/patrons/{patron_id}").status_code == 404


def test_a_consent_is_given_and_withdrawn_with_its_traces(
    api: ApiClient, sessions: Sessions, patron_id: int
) -> None:
    where = f"/patrons/{patron_id}/consents"
    given = api.put(f"{where}/survey", {"wording": "v2"})
    assert given.status_code == 200
    assert given.get_json()["source"] == "api"

    assert api.delete(f"{where}/history").status_code == 204

    with reading(sessions) as session:
        assert session.scalars(select(Loan)).all() == []
        assert not consent.has(session, patron_id, ConsentPurpose.HISTORY)
    items = api.get(where).get_json()["items"]
    live = sorted(i["purpose"] for i in items if i["withdrawn_at"] is None)
    assert live == ["alerts", "model", "survey", "tracking"]
    assert [action for action, _ in _audited(sessions)] == [
        "consent.given",
        "consent.withdrawn",
        "patron.read",
    ]


def test_nothing_is_consented_to_but_the_purposes(
    api: ApiClient, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        patron_id = bo(session).id
    answer = api.put(f"/patrons/{patron_id}/consents/everything", {"wording": "v1"})
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == "#/purpose"
    assert _audited(sessions) == []
