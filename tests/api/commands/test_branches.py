"""`hamkhan branch`: what a branch's mail says, and when its patrons are told."""

import json
from collections.abc import Callable

import pytest
from click.testing import Result
from sqlalchemy import select

from harvesters.imports.frame import branch_of_code
from library.db import Sessions, reading
from library.settings import Settings
from library.tables import AuditEntry, Branch, Preference
from profiles import preferences
from tests.factories import NOON, ada, bo, make_branch
from tests.notifier.cast import (
    Outbox,
    a_digest_for_ada,
    alert,
    alerts,
    deliver,
    matched,
)

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def main(sessions: Sessions) -> None:
    with sessions.begin() as session:
        make_branch(session)


def test_what_is_set_stands_in_the_next_mail(
    run: Run, sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)
    outbox = Outbox()

    done = run(
        *("branch", "main", "--postal-address", "12 Library Street, Shiraz"),
        *("--sender", "news@library.test", "--reply-to", "desk@library.test"),
    )
    deliver(sessions, settings, outbox)

    assert done.exit_code == 0
    (mail,) = outbox.taken
    assert "12 Library Street, Shiraz" in mail.text
    assert "12 Library Street, Shiraz" in mail.html
    assert mail.sender.address == "news@library.test"
    assert dict(mail.headers)["Reply-To"] == "desk@library.test"


def test_branches_are_listed_and_an_empty_value_takes_one_away(run: Run) -> None:
    run("branch", "main", "--name-fa", "شعبهٔ اصلی", "--reply-to", "desk@library.test")
    run("branch", "main", "--reply-to", "")

    (told,) = json.loads(run("branch", "--json").stdout)
    assert (told["name_fa"], told["reply_to"]) == ("شعبهٔ اصلی", None)
    assert "شعبهٔ اصلی" in run("branch").stdout


def test_floor_and_allowance_hold_for_its_patrons(
    run: Run, sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        works = matched(session, ada(session), ["Contact", "Solaris", "Eden"])

    run("branch", "main", "--floor", "1.985", "--allowance", "1")
    report = alert(sessions, settings)

    assert (report.below_floor, report.over_allowance) == (1, 1)
    assert [one.work_id for one in alerts(sessions)] == [works[0].id]


def test_a_floor_can_be_taken_away(run: Run) -> None:
    run("branch", "main", "--floor", "-0.5", "--allowance", "0")
    (told,) = json.loads(run("branch", "--json").stdout)
    run("branch", "main", "--floor", "", "--allowance", "")
    (after,) = json.loads(run("branch", "--json").stdout)

    assert (told["floor"], told["allowance"]) == (-0.5, 0)
    assert (after["floor"], after["allowance"]) == (None, None)


def test_patrons_whose_times_were_the_branchs_move_with_it(
    run: Run, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        stays, moves = ada(session), bo(session)
        for patron in (stays, moves):
            preference = preferences.change(session, patron.id, at=NOON, hour=8)
            preference.next_digest_at = NOON
        preferences.change(session, stays.id, at=NOON, zone="Europe/Berlin")

    run("branch", "main", "--zone", "Asia/Tehran")

    with reading(sessions) as session:
        zones = [session.get_one(Preference, p.id).zone for p in (stays, moves)]
        moved = session.get_one(Preference, moves.id).next_digest_at
    assert zones == ["Europe/Berlin", "Asia/Tehran"]
    assert moved is not None
    assert (moved.hour, moved.minute) == (4, 30)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--zone", "Tehran", "is no time zone"),
        ("--sender", "nobody", "is no e-mail address"),
        ("--postal-address", "12 Street\nBcc: x@y", "has to be one line"),
        ("--weekend", "thu,fry", "names no days"),
        ("--name", "", "may not be empty"),
        ("--floor", "nan", "has to be from -100 to 100"),
        ("--allowance", "-1", "may not be below 0"),
    ],
)
def test_what_cannot_be_used_is_refused(
    run: Run, sessions: Sessions, option: str, value: str, said: str
) -> None:
    refused = run("branch", "main", option, value)

    assert refused.exit_code == 1
    assert said in refused.stderr
    with reading(sessions) as session:
        assert session.scalars(select(AuditEntry.id)).all() == []


def test_there_has_to_be_such_a_branch(run: Run) -> None:
    assert "there is no branch north" in run("branch", "north", "--name", "N").stderr
    assert "Name the branch" in run("branch", "--name", "N").stderr


def test_a_branch_that_an_import_makes_is_in_the_zone_of_the_first(
    sessions: Sessions,
) -> None:
    with sessions.begin() as session:
        make_branch(session).zone = "Asia/Tehran"

    branch_of_code(sessions, "north")

    with reading(sessions) as session:
        north = session.scalars(select(Branch).where(Branch.code == "north")).one()
    assert north.zone == "Asia/Tehran"
