from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.tables import Hold, Impression, Match, Patron, Work
from library.vocabulary import ConsentPurpose
from profiles import experiments
from profiles.trials import Arm
from recommender.uptake import Line, Taken, Told, arms_uptake, join, uptake
from recommender.versions import ensure_version
from tests.factories import NOON, make_loan, make_patron, make_work

DAY = timedelta(days=1)
MONTH = 30 * DAY


def shown(
    session: Session,
    patron: Patron,
    work: Work,
    *,
    days_ago: float,
    place: str = "page",
) -> None:
    session.add(
        Impression(
            list_ref=f"{place}:{patron.id}:{days_ago}",
            patron_id=patron.id,
            work_id=work.id,
            place=place,
            rank=1,
            shown_at=NOON - days_ago * DAY,
        )
    )


def readers(session: Session, n: int = 12) -> Sequence[Patron]:
    return [
        make_patron(session, f"r{number}", consents=tuple(ConsentPurpose))
        for number in range(n)
    ]


def told_of(sessions: Sessions, **how: object) -> list[Line]:
    with reading(sessions) as session:
        since = NOON - 90 * DAY
        return uptake(session, since=since, until=NOON, **how)  # type: ignore[arg-type]


def test_a_loan_nine_days_after_a_showing_counts_once(sessions: Sessions) -> None:
    with sessions.begin() as session:
        work, other = make_work(session, "Comets"), make_work(session, "Bread")
        patrons = readers(session)
        for patron in patrons:
            shown(session, patron, work, days_ago=20)
            shown(session, patron, work, days_ago=19, place="email")
        make_loan(session, patrons[0], work, at=NOON - 10 * DAY)
        make_loan(session, patrons[0], work, at=NOON - 5 * DAY)
        make_loan(session, patrons[0], other, at=NOON - 5 * DAY)

    lines = {line.how: line for line in told_of(sessions)}

    assert lines["email"].taken == 1
    assert lines["page"].taken == 0
    assert lines["email"].told == 12
    share = lines["email"].share
    assert share is not None
    assert share.value == pytest.approx(1 / 12)
    assert 0 <= share.low < share.value < share.high < 1


def test_what_came_before_or_too_late_counts_nowhere(sessions: Sessions) -> None:
    with sessions.begin() as session:
        work = make_work(session, "Comets")
        patrons = readers(session)
        for patron in patrons:
            shown(session, patron, work, days_ago=60)
        make_loan(session, patrons[0], work, at=NOON - 61 * DAY)
        make_loan(session, patrons[1], work, at=NOON - 29 * DAY)

    assert [line.taken for line in told_of(sessions)] == [0]


def test_a_hold_counts_as_a_loan_does(sessions: Sessions) -> None:
    with sessions.begin() as session:
        work = make_work(session, "Comets")
        patrons = readers(session)
        for patron in patrons:
            shown(session, patron, work, days_ago=3)
        session.add(
            Hold(
                system="t",
                ref="1",
                patron_id=patrons[0].id,
                work_id=work.id,
                placed_at=NOON - DAY,
            )
        )

    assert [line.taken for line in told_of(sessions)] == [1]


def test_patrons_who_have_not_agreed_are_in_no_figure(sessions: Sessions) -> None:
    with sessions.begin() as session:
        work = make_work(session, "Comets")
        agreed = readers(session)
        silent = make_patron(session, "silent", consents=(ConsentPurpose.ALERTS,))
        for patron in (*agreed, silent):
            shown(session, patron, work, days_ago=3)
        make_loan(session, silent, work, at=NOON - DAY)

    (line,) = told_of(sessions)

    assert (line.patrons, line.told, line.taken) == (12, 12, 0)


def test_a_handful_of_patrons_is_not_told(sessions: Sessions) -> None:
    with sessions.begin() as session:
        work = make_work(session, "Comets")
        for patron in readers(session, 3):
            shown(session, patron, work, days_ago=3)

    (line,) = told_of(sessions)

    assert (line.patrons, line.taken, line.share) == (3, None, None)


def test_arms_are_compared_on_what_was_matched_told_or_not(sessions: Sessions) -> None:
    version = ensure_version(sessions, at=NOON)
    with sessions.begin() as session:
        arms = {"now": Arm(0.5), "hold-out": Arm(0.5, told=False)}
        row = experiments.begin(
            session, "x", arms, starts_at=NOON, ends_at=NOON + 90 * DAY, at=NOON
        )
        trial = experiments.trial_of(row)
        work, late = make_work(session, "Comets"), make_work(session, "Late")
        patrons = readers(session, 60)
        for patron in patrons:
            for one, at in ((work, NOON + DAY), (late, NOON + 50 * DAY)):
                session.add(
                    Match(
                        patron_id=patron.id,
                        work_id=one.id,
                        model_version_id=version,
                        score=1,
                        rank=1,
                        reasons=[],
                        created_at=at,
                    )
                )
        now = [p for p in patrons if trial.arm_of(p.key) == "now"]
        for patron in now[:6]:
            make_loan(session, patron, work, at=NOON + 8 * DAY)

    with reading(sessions) as session:
        row = experiments.find(session, "x")
        held, told = arms_uptake(session, row, at=NOON + 60 * DAY)

    assert (held.how, told.how) == ("hold-out", "now")
    assert held.patrons + told.patrons == held.told + told.told == 60
    assert (held.taken, told.taken) == (0, 6)
    assert told.share is not None
    assert told.share.value == pytest.approx(6 / len(now))


moments = st.integers(0, 100).map(lambda days: NOON + days * DAY)
pairs = st.tuples(st.integers(0, 2), st.integers(0, 2))


@given(
    st.lists(st.tuples(pairs, moments, st.sampled_from("ab"))),
    st.lists(st.tuples(pairs, moments)),
)
def test_nothing_taken_is_counted_twice_or_without_a_telling(
    tellings: list[tuple[tuple[int, int], object, str]],
    takings: list[tuple[tuple[int, int], object]],
) -> None:
    told = [Told(*pair, at, (how, None)) for pair, at, how in tellings]  # type: ignore[arg-type]
    taken = [Taken(*pair, at) for pair, at in takings]  # type: ignore[arg-type]

    found = join(told, taken, MONTH)

    for (patron, work), how in found.items():
        assert any(
            (one.patron_id, one.work_id, one.how) == (patron, work, how)
            and (loan.patron_id, loan.work_id) == (patron, work)
            and timedelta() <= loan.at - one.at <= MONTH
            for one in told
            for loan in taken
        )
