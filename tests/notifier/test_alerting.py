from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from library.db import Sessions, reading
from library.settings import Settings
from library.tables import Branch, Feedback, Preference, Rule, Suppression
from library.vocabulary import (
    Channel,
    ConsentPurpose,
    DeliveryState,
    Rhythm,
    RuleAction,
    RuleTarget,
    SuppressionKind,
    Verdict,
)
from notifier.alerting import make_alerts
from notifier.asked_for import queue_sign_in
from profiles import experiments, preferences
from profiles.trials import Arm
from tests.factories import (
    NOON,
    ada,
    bo,
    cy,
    make_interest,
    make_loan,
    make_patron,
    make_work,
)
from tests.notifier.cast import (
    alert,
    alerts,
    deliveries,
    make_match,
    matched,
    only,
    point_of,
    states,
)

DAY = timedelta(days=1)


def test_a_first_match_makes_an_alert_and_a_digest_at_once(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        matched(session, ada(session), ["Contact", "Solaris"])

    report = alert(sessions, settings)

    assert (report.patrons, report.alerts, report.digests) == (1, 2, 1)
    digest = only(sessions)
    assert (digest.state, digest.due_at) == (DeliveryState.PENDING, NOON)
    assert {one.delivery_id for one in alerts(sessions)} == {digest.id}


def test_the_hold_out_is_told_only_what_it_asked_for(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        arms = {"all": Arm(0.999999, told=False), "none": Arm(0.000001)}
        experiments.begin(
            session, "x", arms, starts_at=NOON - DAY, ends_at=NOON + DAY, at=NOON
        )
        patron = ada(session)
        matched(session, patron, ["Contact"])
        asked = make_interest(session, patron, "Astronomy")
        work = make_work(session, "Solaris")
        make_match(session, patron, work, interest_id=asked.id)

    report = alert(sessions, settings)

    assert report.alerts == 1
    assert [one.work_id for one in alerts(sessions)] == [work.id]


def test_run_again_it_finds_nothing_to_do(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        matched(session, ada(session), ["Contact"])
    alert(sessions, settings)

    again = alert(sessions, settings, NOON + timedelta(minutes=1))

    assert (again.patrons, again.alerts, again.digests) == (0, 0, 0)


def test_without_consent_nothing_is_made(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        matched(session, bo(session), ["Contact"])

    alert(sessions, settings)

    assert (alerts(sessions), deliveries(sessions)) == ([], [])


def test_two_digests_built_in_one_run_share_nothing(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        first, second = ada(session), cy(session)
        matched(session, first, ["Contact"])
        matched(session, second, ["Solaris"])

    alert(sessions, settings)

    by_id = {one.id: one.patron_id for one in deliveries(sessions)}
    assert [by_id[one.delivery_id or 0] for one in alerts(sessions)] == [
        one.patron_id for one in alerts(sessions)
    ]
    assert len(by_id) == 2


@pytest.mark.parametrize(
    "met", ["borrowed", "judged", "suppressed", "its creator suppressed", "ruled out"]
)
def test_what_must_not_be_told_makes_no_alert(
    sessions: Sessions, settings: Settings, met: str
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        work = make_work(session, "Contact", creator="Carl Sagan")
        make_match(session, patron, work)
        if met == "borrowed":
            make_loan(session, patron, work)
        elif met == "judged":
            session.add(
                Feedback(
                    patron_id=patron.id,
                    work_id=work.id,
                    verdict=Verdict.NOT_FOR_ME,
                    given_at=NOON,
                    via=Channel.PAGE,
                )
            )
        elif met == "ruled out":
            session.add(
                Rule(
                    action=RuleAction.EXCLUDE,
                    target_kind=RuleTarget.WORK,
                    target=str(work.id),
                    label="Contact",
                    starts_at=NOON - DAY,
                    ends_at=NOON + DAY,
                    reason="damaged",
                    created_at=NOON,
                )
            )
        else:
            by_itself = met == "suppressed"
            session.add(
                Suppression(
                    patron_id=patron.id,
                    kind=SuppressionKind.WORK if by_itself else SuppressionKind.CREATOR,
                    target=str(work.id) if by_itself else "carlsagan",
                    label="x",
                    created_at=NOON,
                )
            )

    alert(sessions, settings)

    assert (alerts(sessions), deliveries(sessions)) == ([], [])


def test_below_the_floor_is_told_only_where_an_interest_asked(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        session.get_one(Branch, patron.branch_id).floor = 0.6
        interest = make_interest(session, patron, "Astronomy")
        make_match(session, patron, make_work(session, "Weak"), score=0.5)
        asked = make_work(session, "Asked for")
        make_match(session, patron, asked, score=0.5, interest_id=interest.id)

    report = alert(sessions, settings)

    assert [one.work_id for one in alerts(sessions)] == [asked.id]
    assert report.below_floor == 1


def test_the_weeks_allowance_leaves_the_best(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        session.get_one(Branch, patron.branch_id).allowance = 2
        works = matched(session, patron, ["First", "Second", "Third"])

    report = alert(sessions, settings)

    assert [one.work_id for one in alerts(sessions)] == [works[0].id, works[1].id]
    assert report.over_allowance == 1


def test_fewer_than_at_least_wait_and_go_with_the_next(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(session, patron.id, at=NOON, at_least=3)
        matched(session, patron, ["First", "Second"])
    assert alert(sessions, settings).waiting == 1
    assert deliveries(sessions) == []

    with sessions.begin() as session:
        matched(session, patron, ["Third"])
    alert(sessions, settings, NOON + DAY)

    assert {one.delivery_id for one in alerts(sessions)} == {only(sessions).id}
    assert len(alerts(sessions)) == 3


def test_a_patron_who_wants_the_page_gets_no_mail(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(session, patron.id, at=NOON, channel=Channel.PAGE)
        matched(session, patron, ["Contact"])

    alert(sessions, settings)

    assert len(alerts(sessions)) == 1
    assert only(sessions).channel is Channel.PAGE


def test_with_digests_off_the_page_still_has_the_alerts(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(session, patron.id, at=NOON, rhythm=Rhythm.OFF)
        matched(session, patron, ["Contact"])

    alert(sessions, settings)

    assert len(alerts(sessions)) == 1
    assert only(sessions).channel is Channel.PAGE


def test_a_pause_holds_everything_and_says_so(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        matched(session, patron, ["Contact"])
        preferences.pause(session, patron.id, until=NOON + 2 * DAY)

    assert alert(sessions, settings).held == {"pause": 1}
    assert (alerts(sessions), deliveries(sessions)) == ([], [])

    assert alert(sessions, settings, NOON + 3 * DAY).digests == 1


def test_quiet_hours_only_move_the_digest(
    sessions: Sessions, settings: Settings
) -> None:
    night = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(
            session, patron.id, at=NOON, quiet_from=22 * 60, quiet_to=7 * 60
        )
        matched(session, patron, ["Contact"])

    alert(sessions, settings, night)

    morning = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
    assert (only(sessions).due_at, only(sessions).cause) == (morning, "quiet hours")


def test_switching_quiet_hours_off_frees_what_they_held(
    sessions: Sessions, settings: Settings
) -> None:
    night = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(
            session, patron.id, at=NOON, quiet_from=22 * 60, quiet_to=7 * 60
        )
        matched(session, patron, ["Contact"])
    alert(sessions, settings, night)

    with sessions.begin() as session:
        preferences.change(session, patron.id, at=night, quiet_from=None, quiet_to=None)

    assert only(sessions).due_at == night


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        ("unverified", "address not confirmed"),
        ("stopped", "address stopped"),
        ("none", "no address"),
    ],
)
def test_an_address_that_cannot_be_used_is_kept_as_the_cause(
    sessions: Sessions, settings: Settings, wrong: str, cause: str
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        point = point_of(session, patron)
        if wrong == "none":
            session.delete(point)
        elif wrong == "stopped":
            point.stopped_at = NOON
        else:
            point.verified_at = None
        matched(session, patron, ["Contact"])

    report = alert(sessions, settings)

    assert report.held == {cause: 1}
    assert (only(sessions).state, only(sessions).cause) == (
        DeliveryState.WITHHELD,
        cause,
    )


def test_a_test_installation_reaches_only_whom_it_may(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        matched(session, ada(session), ["Contact"])
        inside = make_patron(
            session, "Di", consents=tuple(ConsentPurpose), address="di@inside.test"
        )
        matched(session, inside, ["Solaris"])

    alert(sessions, replace(settings, deliver_only_to=("@inside.test",)))

    assert states(sessions) == [DeliveryState.WITHHELD, DeliveryState.PENDING]


def test_a_patron_without_preferences_gets_the_default_ones(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        session.delete(session.get_one(Preference, patron.id))
        matched(session, patron, ["Contact"])

    assert alert(sessions, settings).digests == 1
    with reading(sessions) as session:
        assert session.get_one(Preference, patron.id).rhythm is Rhythm.WEEKLY


def test_the_next_digest_is_a_rhythm_away(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(session, patron.id, at=NOON, zone="Asia/Tehran")
        matched(session, patron, ["Contact"])

    alert(sessions, settings)

    with reading(sessions) as session:
        due_at = session.get_one(Preference, patron.id).next_digest_at
    assert due_at == datetime(2026, 3, 7, 4, 30, tzinfo=UTC)  # Saturday, 08:00 there


@pytest.mark.parametrize("days", [1, 3, 10])
def test_a_digest_missed_while_down_is_made_once(
    sessions: Sessions, settings: Settings, days: int
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(session, patron.id, at=NOON, rhythm=Rhythm.DAILY)
        session.get_one(Preference, patron.id).next_digest_at = NOON
        matched(session, patron, ["Contact"])

    back = NOON + days * DAY
    for minutes in (0, 5, 10):
        alert(sessions, settings, back + timedelta(minutes=minutes))

    assert only(sessions).not_after == back + timedelta(hours=36)
    with reading(sessions) as session:
        due_at = session.get_one(Preference, patron.id).next_digest_at
    assert due_at is not None
    assert back < due_at <= back + DAY


def test_one_digest_a_day_however_the_hour_is_changed(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        preferences.change(session, patron.id, at=NOON, rhythm=Rhythm.DAILY)
        matched(session, patron, ["Contact"])
    alert(sessions, settings)
    with sessions.begin() as session:
        preferences.change(session, patron.id, at=NOON, hour=20)
        matched(session, patron, ["Solaris"])

    evening = alert(sessions, settings, NOON.replace(hour=20))

    assert evening.held == {"one today already": 1}
    assert len(deliveries(sessions)) == 1
    alert(sessions, settings, NOON.replace(hour=20) + DAY)
    assert [one.delivery_id for one in alerts(sessions)] == [
        one.id for one in deliveries(sessions)
    ]


def test_one_patron_alone_can_be_looked_at(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        matched(session, patron, ["Contact"])
        matched(session, cy(session), ["Solaris"])

    make_alerts(sessions, settings, at=NOON, patron_id=patron.id)

    assert [one.patron_id for one in alerts(sessions)] == [patron.id]


def test_an_interest_without_alerts_brings_no_message(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        interest = make_interest(session, patron, "Astronomy")
        interest.alerts = False
        work = make_work(session, "Contact")
        make_match(session, patron, work, interest_id=interest.id)

    alert(sessions, settings)

    assert alerts(sessions) == []


def test_a_sign_in_link_waits_sealed(sessions: Sessions, settings: Settings) -> None:
    with sessions.begin() as session:
        delivery = queue_sign_in(
            session,
            settings,
            ada(session).id,
            link="https://x/y",
            code="123456",
            at=NOON,
        )

    kept = str(delivery.parameters)
    assert "https" not in kept
    assert "123456" not in kept
    assert delivery.not_after == NOON + timedelta(minutes=15)
