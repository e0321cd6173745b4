"""Which version is in use: one, also where two processes choose at once."""

from threading import Thread

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.tables import ModelVersion
from library.vocabulary import ModelState
from recommender.versions import ensure_version, find_current, promote
from tests.factories import NOON
from tests.races import meanwhile


def test_two_promoted_at_once_wait_for_each_other(sessions: Sessions) -> None:
    ensure_version(sessions, at=NOON)
    first, second = _candidate(sessions), _candidate(sessions)

    waited = meanwhile(
        sessions, lambda s: _promote(s, first), lambda s: _promote(s, second)
    )

    assert waited == [True]
    assert _states(sessions) == {
        first: ModelState.RETIRED,
        second: ModelState.CURRENT,
    }


def test_the_first_version_is_made_once(sessions: Sessions) -> None:
    made: list[int] = []
    threads = [
        Thread(target=lambda: made.append(ensure_version(sessions, at=NOON)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == len(threads)
    assert len(set(made)) == 1


def _candidate(sessions: Sessions) -> int:
    with sessions.begin() as session:
        version = ModelVersion(state=ModelState.CANDIDATE, seed=0, created_at=NOON)
        session.add(version)
        session.flush()
        return version.id


def _promote(session: Session, version_id: int) -> None:
    promote(session, session.get_one(ModelVersion, version_id), at=NOON)


def _states(sessions: Sessions) -> dict[int, ModelState]:
    with reading(sessions) as session:
        current = find_current(session)
        assert current is not None
        trained = ModelVersion.cause.is_(None)
        found = session.execute(
            select(ModelVersion.id, ModelVersion.state).where(trained)
        )
        return {row.id: row.state for row in found}
