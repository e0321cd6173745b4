from datetime import timedelta

import pytest
from sqlalchemy import select

from library.db import Sessions, reading
from library.errors import NotFound
from library.tables import Alert
from library.vocabulary import Channel, Verdict
from profiles.feedback import list_feedback, record_verdict, verdict_of
from profiles.suppression import list_suppressions
from tests.factories import NOON, ada, cy, make_alert, make_work

LATER = NOON + timedelta(hours=1)


def _say(
    sessions: Sessions, patron_id: int, work_id: int, *said: Verdict | None
) -> None:
    for verdict in said:
        with sessions.begin() as session:
            record_verdict(
                session,
                patron_id=patron_id,
                work_id=work_id,
                verdict=verdict,
                via=Channel.PAGE,
                at=LATER,
            )


@pytest.fixture
def ids(sessions: Sessions) -> tuple[int, int]:
    with sessions.begin() as session:
        patron, work = ada(session), make_work(session, "Cosmos")
        make_alert(session, patron, work)
        make_alert(session, cy(session), work)
        return patron.id, work.id


@pytest.mark.parametrize(
    ("said", "verdict", "hidden"),
    [
        pytest.param([Verdict.WANTED], Verdict.WANTED, [], id="wanted"),
        pytest.param(
            [Verdict.NOT_FOR_ME], Verdict.NOT_FOR_ME, ["Cosmos"], id="not for me hides"
        ),
        pytest.param(
            [Verdict.NOT_FOR_ME] * 2, Verdict.NOT_FOR_ME, ["Cosmos"], id="twice"
        ),
        pytest.param(
            [Verdict.NOT_FOR_ME, Verdict.READ_ALREADY],
            Verdict.READ_ALREADY,
            [],
            id="the last one wins",
        ),
        pytest.param([Verdict.NOT_FOR_ME, None], None, [], id="taken back"),
        pytest.param([None], None, [], id="nothing to take back"),
    ],
)
def test_the_last_verdict_counts(
    sessions: Sessions,
    ids: tuple[int, int],
    said: list[Verdict | None],
    verdict: Verdict | None,
    hidden: list[str],
) -> None:
    _say(sessions, *ids, *said)

    with reading(sessions) as session:
        assert verdict_of(session, *ids) == verdict
        wishes = list_suppressions(session, ids[0])
        assert [wish.label for wish in wishes] == hidden
        kept = [row.verdict for row in list_feedback(session, ids[0])]
        assert kept == ([verdict] if verdict else [])


def test_the_alert_about_it_is_handled_once(
    sessions: Sessions, ids: tuple[int, int]
) -> None:
    _say(sessions, *ids, Verdict.WANTED)

    with reading(sessions) as session:
        handled = {a.patron_id: a.handled_at for a in session.scalars(select(Alert))}
    assert handled.pop(ids[0]) == LATER
    assert list(handled.values()) == [None]


@pytest.mark.parametrize("missing", [0, 1], ids=["patron", "work"])
def test_a_verdict_needs_patron_and_work(
    sessions: Sessions, ids: tuple[int, int], missing: int
) -> None:
    patron_id, work_id = (999 if n == missing else id_ for n, id_ in enumerate(ids))
    with pytest.raises(NotFound):
        _say(sessions, patron_id, work_id, Verdict.WANTED)
