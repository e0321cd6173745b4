"""Matching with no model, and once with one, on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from library.db import Sessions, reading
from library.settings import Settings
from library.tables import Match, ModelVersion, Patron
from library.vocabulary import InterestKind
from recommender.matching import MatchReport, match
from recommender.training import train
from tests.factories import (
    NOON,
    ada,
    bo,
    make_acquisition,
    make_interest,
    make_work,
)
from tests.recommender.library_of_two_tastes import STARS, make_two_tastes

pytestmark = pytest.mark.slow


def run(sessions: Sessions, settings: Settings) -> MatchReport:
    return match(sessions, settings, at=NOON)


def matched(sessions: Sessions, work_id: int) -> dict[str, Match]:
    query = select(Patron.external_id, Match).join(Match)
    with reading(sessions) as session:
        return dict(session.execute(query.where(Match.work_id == work_id)).all())


def test_an_empty_library_is_no_trouble(sessions: Sessions, settings: Settings) -> None:
    assert run(sessions, settings) == MatchReport(0, 0, 0, 0, [])


def test_works_without_any_model(sessions: Sessions, settings: Settings) -> None:
    with sessions.begin() as session:
        make_interest(session, bo(session), STARS)
        ada(session)
        work = make_work(session, "Evenings under the stars", subjects=[STARS])
        make_acquisition(session, work)

    report = run(sessions, settings)

    assert report.matched == 1
    assert list(matched(sessions, work.id)) == ["bo"]
    with reading(sessions) as session:
        version = session.scalars(select(ModelVersion)).one()
        assert (version.state, version.file) == ("current", None)


def test_a_followed_creator_is_told_and_an_old_work_is_not(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = bo(session)
        interest = make_interest(
            session, patron, "Ada Writer", kind=InterestKind.CREATOR
        )
        interest.follow = True
        interest.created_at = NOON - timedelta(days=1)
        old = make_work(
            session, "Old", creator="Ada Writer", at=NOON - timedelta(days=9)
        )
        new = make_work(session, "New", creator="Ada Writer")
        reprint = make_work(session, "Reprint", creator="Ada Writer")
        reprint.year_greg_to = 2019
        for work in (old, new, reprint):
            make_acquisition(session, work)

    run(sessions, settings)

    with reading(sessions) as session:
        assert list(session.scalars(select(Match.work_id))) == [new.id]


def test_trains_and_matches_on_both_databases(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        make_two_tastes(session)
    train(sessions, settings, at=NOON)
    with sessions.begin() as session:
        work = make_work(session, "Evenings under the stars", subjects=[STARS])
        make_acquisition(session, work)

    first, second = run(sessions, settings), run(sessions, settings)

    assert first.matched == len(matched(sessions, work.id)) >= 10
    assert second == MatchReport(0, 0, 0, 0, [])
