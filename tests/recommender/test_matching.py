from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from library.db import Sessions, reading
from library.settings import Settings
from library.tables import (
    Acquisition,
    Feedback,
    Hold,
    InterestProfile,
    Match,
    ModelVersion,
    Patron,
    Rule,
    Suppression,
    Work,
)
from library.vocabulary import (
    Channel,
    ConsentPurpose,
    ReasonKind,
    RuleAction,
    RuleTarget,
    SuppressionKind,
    Verdict,
)
from profiles import experiments
from profiles.consent import withdraw
from profiles.trials import Arm
from recommender import matching
from recommender.matching import MatchReport, match
from tests.factories import (
    NOON,
    ada,
    make_acquisition,
    make_branch,
    make_interest,
    make_loan,
    make_patron,
    make_work,
)
from tests.recommender.library_of_two_tastes import COOKS, STARS, Library, borrow


@pytest.fixture
def sessions(library: Library) -> Sessions:
    return library.sessions


@pytest.fixture
def trained(library: Library) -> Settings:
    return library.settings


def new_work(sessions: Sessions, title: str, subject: str) -> int:
    with sessions.begin() as session:
        work = make_work(session, title, subjects=[subject])
        make_acquisition(session, work)
        return work.id


def matched(sessions: Sessions, work_id: int) -> dict[str, Match]:
    with reading(sessions) as session:
        query = (
            select(Patron.external_id, Match)
            .join(Match)
            .where(Match.work_id == work_id)
        )
        return dict(session.execute(query).all())


def run(sessions: Sessions, settings: Settings, **how: object) -> MatchReport:
    return match(sessions, settings, **{"at": NOON, **how})  # type: ignore[arg-type]


def test_a_new_work_goes_to_those_whose_loans_it_is_like(
    sessions: Sessions, trained: Settings
) -> None:
    stars = new_work(sessions, "Evenings under the stars", STARS)
    cooks = new_work(sessions, "Evenings at the stove", COOKS)

    run(sessions, replace(trained, floor=0.3))

    assert {name[0] for name in matched(sessions, stars)} == {"s"}
    assert {name[0] for name in matched(sessions, cooks)} == {"c"}
    assert len(matched(sessions, stars)) > 10


def test_what_is_like_a_disliked_work_comes_lower(
    sessions: Sessions, trained: Settings
) -> None:
    stars = new_work(sessions, "Evenings under the stars", STARS)
    before = _scores(run(sessions, trained, dry_run=True), stars)
    with sessions.begin() as session:
        one = session.scalars(select(Patron).order_by(Patron.id)).first()
        assert one is not None
        disliked = make_work(session, "Evenings under many stars", subjects=[STARS])
        session.add(
            Feedback(
                patron_id=one.id,
                work_id=disliked.id,
                verdict=Verdict.NOT_FOR_ME,
                via=Channel.PAGE,
                given_at=NOON,
            )
        )

    after = _scores(run(sessions, trained, dry_run=True), stars)

    assert after.get(one.id, 0) < before[one.id] - 0.3
    assert {k: v for k, v in after.items() if k != one.id} == {
        k: v for k, v in before.items() if k != one.id
    }


def test_an_arm_of_its_own_weights_scores_its_patrons_its_own_way(
    sessions: Sessions, trained: Settings
) -> None:
    low = replace(trained, floor=-9.0)
    stars = new_work(sessions, "Evenings under the stars", STARS)
    before = _scores(run(sessions, low, dry_run=True), stars)
    arms = {"now": Arm(0.5), "plain": Arm(0.5, {"latest": 1.0})}
    with sessions.begin() as session:
        row = experiments.begin(
            session,
            "x",
            arms,
            starts_at=NOON,
            ends_at=NOON + timedelta(days=9),
            at=NOON,
        )
        trial = experiments.trial_of(row)
        patrons = session.scalars(select(Patron)).all()
        plain = {p.id for p in patrons if trial.arm_of(p.key) == "plain"}

    after = _scores(run(sessions, low, dry_run=True), stars)

    assert plain
    same = before.keys() - plain
    assert {patron: after[patron] for patron in same} == {
        patron: before[patron] for patron in same
    }
    assert len({after[patron] for patron in plain & after.keys()}) == 1


def _scores(report: MatchReport, work_id: int) -> dict[int, float]:
    return {
        row.patron_id: row.score for row in report.matches if row.work_id == work_id
    }


def test_every_match_says_why(sessions: Sessions, trained: Settings) -> None:
    work = new_work(sessions, "Evenings under the stars", STARS)

    run(sessions, trained)

    found = matched(sessions, work)
    assert found
    for name, one in found.items():
        assert 1 <= len(one.reasons) <= 3
        if name[0] == "s":
            assert one.reasons[0]["kind"] in (ReasonKind.LOAN, ReasonKind.CREATOR)
            assert STARS in one.reasons[0]["label"]
        assert sum(reason["share"] for reason in one.reasons) <= 1.001


def test_the_same_seed_and_data_give_the_same_matches(
    sessions: Sessions, trained: Settings
) -> None:
    new_work(sessions, "Evenings under the stars", STARS)

    first = run(sessions, trained, dry_run=True)
    second = run(sessions, trained, dry_run=True)

    assert first.matches
    assert first == second
    with reading(sessions) as session:
        assert session.scalar(select(Match.id)) is None


def test_leaves_out_what_was_borrowed_held_judged_or_suppressed(
    sessions: Sessions, trained: Settings
) -> None:
    titles = ("Lent", "Held", "Judged", "Hidden creator", "Left")
    with sessions.begin() as session:
        patron = ada(session)
        borrow(session, patron, session.scalars(select(Work).limit(8)).all())
        works = [
            make_work(session, title, subjects=[STARS], creator=f"Writer of {title}")
            for title in titles
        ]
        for work in works:
            make_acquisition(session, work)
        lent, held, judged, *_ = works
        make_loan(session, patron, lent).ignored = True
        where = {"patron_id": patron.id, "work_id": held.id}
        session.add(Hold(system="t", ref="1", placed_at=NOON, **where))
        session.add(
            Feedback(
                patron_id=patron.id,
                work_id=judged.id,
                verdict=Verdict.NOT_FOR_ME,
                given_at=NOON,
                via=Channel.PAGE,
            )
        )
        session.add(
            Suppression(
                patron_id=patron.id,
                kind=SuppressionKind.CREATOR,
                target="writerofhiddencreator",
                label="Writer of Hidden creator",
                created_at=NOON,
            )
        )

    run(sessions, replace(trained, floor=-9))

    assert [w.title for w in works if "ada" in matched(sessions, w.id)] == ["Left"]


def test_without_consent_only_interests_speak_and_loans_are_not_read(
    sessions: Sessions, trained: Settings
) -> None:
    with sessions.begin() as session:
        patron = make_patron(
            session, "Di", consents=[ConsentPurpose.HISTORY, ConsentPurpose.ALERTS]
        )
        borrow(session, patron, session.scalars(select(Work).limit(8)).all())
        interest = make_interest(session, patron, COOKS)
    stars = new_work(sessions, "Evenings under the stars", STARS)
    cooks = new_work(sessions, "Evenings at the stove", COOKS)

    run(sessions, trained)

    assert "di" not in matched(sessions, stars)
    found = matched(sessions, cooks)["di"]
    assert found.interest_id == interest.id
    assert found.reasons == [
        {"kind": "interest", "ref": interest.id, "label": COOKS, "share": 1.0}
    ]


def test_a_newcomer_needs_no_training(sessions: Sessions, trained: Settings) -> None:
    with sessions.begin() as session:
        works: Sequence[Work] = session.scalars(select(Work).order_by(Work.id)).all()
        patron = make_patron(session, "Neu", consents=tuple(ConsentPurpose))
        borrow(session, patron, works[:3])
    stars = new_work(sessions, "Evenings under the stars", STARS)

    run(sessions, replace(trained, floor=0.3))

    assert "neu" in matched(sessions, stars)
    with reading(sessions) as session:
        assert len(session.scalars(select(ModelVersion)).all()) == 1


def test_one_stored_during_the_run_is_in_the_next(
    sessions: Sessions, trained: Settings
) -> None:
    first = new_work(sessions, "Evenings under the stars", STARS)
    late: list[int] = []

    def meanwhile(done: int, total: int | None) -> None:
        if not late:
            late.append(new_work(sessions, "Stars again", STARS))

    run(sessions, trained, progress=meanwhile)

    assert matched(sessions, first)
    assert not matched(sessions, late[0])
    run(sessions, trained)
    assert matched(sessions, late[0])
    with reading(sessions) as session:
        pending = select(Acquisition).where(Acquisition.matched_at.is_(None))
        assert session.scalars(pending).all() == []


def test_twice_changes_nothing(sessions: Sessions, trained: Settings) -> None:
    work = new_work(sessions, "Evenings under the stars", STARS)
    run(sessions, trained)
    before = {name: one.id for name, one in matched(sessions, work).items()}
    with sessions.begin() as session:
        session.scalars(select(Acquisition)).one().matched_at = None

    run(sessions, trained)

    assert {name: one.id for name, one in matched(sessions, work).items()} == before


def test_below_the_floor_nothing_is_told(sessions: Sessions, trained: Settings) -> None:
    work = new_work(sessions, "Evenings under the stars", STARS)

    report = run(sessions, replace(trained, floor=50.0))

    assert report.matched == 0
    assert report.below_floor == report.patrons
    assert not matched(sessions, work)


def test_what_a_patron_asked_for_is_told_below_the_floor(
    sessions: Sessions, trained: Settings
) -> None:
    work = new_work(sessions, "Evenings under the stars", STARS)
    other = new_work(sessions, "Evenings at the stove", COOKS)
    with sessions.begin() as session:
        patron = ada(session)
        make_interest(session, patron, STARS, weight=0.2)

    run(sessions, replace(trained, floor=50.0))

    found = matched(sessions, work)
    assert set(found) == {patron.external_id}
    assert found[patron.external_id].score < 50
    assert not matched(sessions, other)


def test_a_branch_sets_its_own_floor(sessions: Sessions, trained: Settings) -> None:
    work = new_work(sessions, "Evenings under the stars", STARS)
    with sessions.begin() as session:
        make_branch(session).floor = 50.0

    run(sessions, trained)

    assert not matched(sessions, work)


def test_a_work_new_elsewhere_is_not_told_here(
    sessions: Sessions, trained: Settings
) -> None:
    with sessions.begin() as session:
        work = make_work(session, "Evenings under the stars", subjects=[STARS])
        make_acquisition(session, work, branch="east")
        away = make_patron(session, "Ed", branch="east")
        make_interest(session, away, STARS)
        fetching = make_patron(session, "Fay")
        interest = make_interest(session, fetching, STARS)
        session.flush()
        profile = session.get_one(InterestProfile, interest.interest_profile_id)
        profile.branches = ["east"]

    run(sessions, trained)

    assert set(matched(sessions, work.id)) == {"ed", "fay"}


@pytest.mark.parametrize("action", list(RuleAction))
def test_rules_raise_lower_and_exclude(
    sessions: Sessions, trained: Settings, action: RuleAction
) -> None:
    work = new_work(sessions, "Evenings under the stars", STARS)
    with sessions.begin() as session:
        rule = Rule(
            action=action,
            target_kind=RuleTarget.WORK,
            target=str(work),
            label="Evenings under the stars",
            factor=60.0,
            starts_at=NOON - timedelta(days=1),
            ends_at=NOON + timedelta(days=1),
            reason="astronomy week",
            created_at=NOON,
        )
        session.add(rule)

    run(sessions, replace(trained, floor=40.0))

    found = matched(sessions, work)
    if action in (RuleAction.PIN, RuleAction.BOOST):
        assert len(found) == 30
        assert {one.rule_id for one in found.values()} == {rule.id}
        assert {one.reasons[0]["kind"] for one in found.values()} == {"rule"}
    else:
        assert not found


def test_a_lapsed_rule_does_nothing(sessions: Sessions, trained: Settings) -> None:
    work = new_work(sessions, "Evenings under the stars", STARS)
    with sessions.begin() as session:
        session.add(
            Rule(
                action=RuleAction.PIN,
                target_kind=RuleTarget.WORK,
                target=str(work),
                label="x",
                starts_at=NOON - timedelta(days=2),
                ends_at=NOON,
                reason="past",
                created_at=NOON,
            )
        )

    run(sessions, replace(trained, floor=40.0))

    assert not matched(sessions, work)


def test_a_consent_taken_back_during_the_run_is_kept(
    sessions: Sessions, trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = new_work(sessions, "Evenings under the stars", STARS)
    with sessions.begin() as session:
        patron = session.scalars(select(Patron).where(Patron.external_id == "s1")).one()
    found = matching._find

    def and_then(*how: object) -> object:
        result = found(*how)  # type: ignore[arg-type]
        with sessions.begin() as session:
            withdraw(session, patron.id, ConsentPurpose.MODEL, at=NOON)
        return result

    monkeypatch.setattr(matching, "_find", and_then)
    run(sessions, trained)

    assert "s1" not in matched(sessions, work)
    assert "s2" in matched(sessions, work)


def test_one_patron_alone_is_matched_with_the_last_month(
    sessions: Sessions, trained: Settings
) -> None:
    new_work(sessions, "Evenings under the stars", STARS)
    run(sessions, trained)
    with sessions.begin() as session:
        patron = ada(session)
        make_interest(session, patron, STARS)

    report = run(sessions, trained, patron_id=patron.id, dry_run=True)

    assert {one.patron_id for one in report.matches} == {patron.id}
