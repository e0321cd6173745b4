"""Two callers at one moment: one change, whoever comes first."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from library import audit
from library.db import Sessions, reading
from library.tables import AuditEntry, Interest, InterestProfile, Patron, Rule
from tests.api.rest.client import ApiClient
from tests.factories import ada

CALLERS = 4
PROFILE = {"name": "thesis"}
RULE = {
    "action": "pin",
    "target_kind": "subject",
    "target": "Stars",
    "reason": "A week of stars",
    "starts_at": "2026-01-01T00:00:00Z",
    "ends_at": "2099-01-01T00:00:00Z",
}


@pytest.fixture
def root(sessions: Sessions) -> str:
    with sessions.begin() as session:
        return f"/patrons/{ada(session).id}"


def _at_once(
    api: ApiClient, call: Callable[[ApiClient, int], TestResponse]
) -> list[TestResponse]:
    together = Barrier(CALLERS)

    def one(number: int) -> TestResponse:
        caller = ApiClient(api.app, api.key)
        together.wait()
        return call(caller, number)

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(one, range(CALLERS)))


def _count(sessions: Sessions, table: type[object]) -> int | None:
    with reading(sessions) as session:
        return session.scalar(select(func.count()).select_from(table))


def test_one_key_makes_one_change(api: ApiClient, sessions: Sessions) -> None:
    once = {"Idempotency-Key": "k"}
    answers = _at_once(api, lambda caller, _: caller.post("/rules", RULE, headers=once))
    assert [answer.status_code for answer in answers] == [201] * CALLERS
    assert len({answer.get_json()["id"] for answer in answers}) == 1
    assert _count(sessions, Rule) == 1


def test_of_those_who_saw_one_state_one_changes_it(
    api: ApiClient, sessions: Sessions, root: str
) -> None:
    made = api.post(f"{root}/interest-profiles", PROFILE)
    seen = {"If-Match": made.headers["ETag"]}
    answers = _at_once(
        api,
        lambda caller, n: caller.put(
            made.headers["Location"], {"name": f"thesis {n}"}, headers=seen
        ),
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200, *[412] * (CALLERS - 1)]


def test_an_interest_said_at_once_is_kept_once(
    api: ApiClient, sessions: Sessions, root: str
) -> None:
    where = api.post(f"{root}/interest-profiles", PROFILE).headers["Location"]
    wanted = {"kind": "subject", "label": "CRM"}
    answers = _at_once(api, lambda caller, _: caller.post(f"{where}/interests", wanted))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201, *[409] * (CALLERS - 1)]
    assert _count(sessions, Interest) == 1


def test_the_audit_of_many_at_once_is_one_chain(
    api: ApiClient, sessions: Sessions, root: str
) -> None:
    _at_once(api, lambda caller, _: caller.get(root))
    assert _count(sessions, AuditEntry) == CALLERS
    with reading(sessions) as session:
        assert audit.first_broken(session) is None


def test_a_patron_erased_meanwhile_is_gone_whole(
    api: ApiClient, sessions: Sessions, root: str
) -> None:
    def erase_or_add(caller: ApiClient, number: int) -> TestResponse:
        if number == 0:
            return caller.delete(root)
        return caller.post(f"{root}/interest-profiles", {"name": f"n{number}"})

    answers = _at_once(api, erase_or_add)

    assert answers[0].status_code == 200
    assert {answer.status_code for answer in answers[1:]} <= {201, 404}
    assert _count(sessions, Patron) == 0
    assert _count(sessions, InterestProfile) == 0
