import pytest
from sqlalchemy import select

from library.db import Sessions, reading
from library.tables import AuditEntry, BlendWeight, Evaluation, ModelVersion
from library.vocabulary import ModelState
from tests.api.rest.client import ApiClient, key_of
from tests.factories import NOON, make_branch


@pytest.fixture
def versions(sessions: Sessions) -> list[int]:
    """The one before, and the one in use."""
    with sessions.begin() as session:
        rows = [
            ModelVersion(state=state, seed=0, created_at=NOON, promoted_at=NOON)
            for state in (ModelState.RETIRED, ModelState.CURRENT)
        ]
        session.add_all(rows)
        session.flush()
        current = rows[1].id
        session.add(
            BlendWeight(
                model_version_id=current, stratum="0", part="content", weight=0.7
            )
        )
        session.add(
            Evaluation(
                model_version_id=current,
                protocol="C",
                scorer="ours",
                patron_group="all",
                metric="ndcg@10",
                value=0.2,
                patrons=3,
            )
        )
        return [row.id for row in rows]


def test_versions_are_listed_and_shown_with_weights_and_figures(
    api: ApiClient, versions: list[int]
) -> None:
    items = api.get("/model-versions").get_json()["items"]
    assert [(v["id"], v["state"]) for v in items] == [
        (versions[1], "current"),
        (versions[0], "retired"),
    ]
    shown = api.get(f"/model-versions/{versions[1]}").get_json()
    assert shown["weights"] == [
        {"stratum": "0", "part": "content", "weight": 0.7, "alone": None}
    ]
    assert [e["value"] for e in shown["evaluations"]] == [0.2]


def test_going_back_twice_by_one_request_goes_back_once(
    api: ApiClient, sessions: Sessions, versions: list[int]
) -> None:
    wanted = {"leave": versions[1]}
    back = api.post("/model-versions/rollback", wanted)
    assert back.status_code == 200
    assert (back.get_json()["id"], back.get_json()["state"]) == (versions[0], "current")
    assert api.post("/model-versions/rollback", wanted).status_code == 409
    with reading(sessions) as session:
        current = select(ModelVersion.id).where(
            ModelVersion.state == ModelState.CURRENT
        )
        assert session.scalars(current).all() == [versions[0]]
        line = session.scalars(select(AuditEntry)).one()
        assert line.before == {"current": versions[1]}


def test_going_back_needs_somewhere_to_go(api: ApiClient, sessions: Sessions) -> None:
    with sessions.begin() as session:
        only = ModelVersion(state=ModelState.CURRENT, seed=0, created_at=NOON)
        session.add(only)
    answer = api.post("/model-versions/rollback", {"leave": only.id})
    assert answer.status_code == 409
    assert api.post("/model-versions/rollback", {"leave": 999}).status_code == 404


def test_a_key_of_one_branch_does_not_change_the_model_of_all(
    api: ApiClient, sessions: Sessions, versions: list[int]
) -> None:
    with sessions.begin() as session:
        north = make_branch(session, "north").id
    northern = ApiClient(api.app, key_of(sessions, branch_id=north))
    answer = northern.post("/model-versions/rollback", {"leave": versions[1]})
    assert answer.status_code == 403
