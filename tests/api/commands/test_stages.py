import json
from collections.abc import Callable

import pytest
from click.testing import Result
from sqlalchemy import select

from library.db import Sessions, reading
from library.settings import Settings
from library.tables import Alert, AuditEntry, Match, ModelVersion, Patron
from library.vocabulary import ConsentPurpose, ModelState
from tests.factories import (
    NOON,
    ada,
    bo,
    make_acquisition,
    make_interest,
    make_loan,
    make_patron,
    make_work,
)

Run = Callable[..., Result]


@pytest.fixture
def suited(sessions: Sessions) -> None:
    """Two patrons who like astronomy and one who agreed to nothing; one new work."""
    with sessions.begin() as session:
        for name in ("Ada", "Dee"):
            patron = make_patron(session, name, consents=(ConsentPurpose.ALERTS,))
            make_interest(session, patron, "Astronomy")
        make_interest(session, bo(session), "Astronomy")
        work = make_work(
            session, "Comets", creator="Carla Sagan", subjects=["Astronomy"]
        )
        make_acquisition(session, work)


@pytest.mark.usefixtures("suited")
def test_stages_by_hand_tell_what_they_did(run: Run, settings: Settings) -> None:
    matched = run("match").stdout
    alerted = run("alert").stdout
    delivered = run("deliver").stdout

    assert matched.startswith("1 new works for ")
    assert "matches" in matched
    assert alerted == "2 alerts in 2 digests\n"
    assert delivered == ("2 sent, 0 withheld, 0 to be tried again, 0 abandoned\n")
    assert len(list(settings.mail.glob("*.eml"))) == 2


@pytest.mark.usefixtures("suited")
def test_a_second_time_there_is_nothing_to_do(run: Run, settings: Settings) -> None:
    for _ in range(2):
        for stage in ("match", "alert", "deliver"):
            assert run(stage).exit_code == 0

    assert run("alert").stdout == "0 alerts in 0 digests\n"
    assert len(list(settings.mail.glob("*.eml"))) == 2


@pytest.mark.usefixtures("suited")
def test_one_patron_can_be_rehearsed_alone(run: Run, sessions: Sessions) -> None:
    seen = run("match", "--patron", "test:ada", "--dry-run", "--at", "2026-03-02")

    assert ": Comets (" in seen.stdout
    assert "Astronomy" in seen.stdout
    with reading(sessions) as session:
        assert session.scalars(select(Match)).all() == []


@pytest.mark.usefixtures("suited")
def test_one_patron_can_be_alerted_alone(run: Run, sessions: Sessions) -> None:
    run("match")

    run("alert", "--patron", "dee")

    with reading(sessions) as session:
        told = select(Patron.external_id).join(Alert, Alert.patron_id == Patron.id)
        assert session.scalars(told).all() == ["dee"]


@pytest.mark.usefixtures("suited")
def test_the_ledger_lists_what_was_sent_and_to_whom(run: Run) -> None:
    for stage in ("match", "alert", "deliver"):
        run(stage)

    rows = json.loads(run("ledger", "--json").stdout)
    table = run("ledger", "--patron", "ada").stdout

    assert {row["address"] for row in rows} == {"ada@patrons.test", "dee@patrons.test"}
    assert {row["state"] for row in rows} == {"sent"}
    assert "ada@patrons.test" in table
    assert "dee@patrons.test" not in table


@pytest.mark.usefixtures("suited")
def test_fewer_messages_can_be_sent_at_a_time(run: Run) -> None:
    run("match")
    run("alert")

    first = json.loads(run("deliver", "--limit", "1", "--json").stdout)
    rest = json.loads(run("deliver", "--json").stdout)

    assert (first["sent"], rest["sent"]) == (1, 1)


def test_models_are_listed_and_taken_back(run: Run, sessions: Sessions) -> None:
    with sessions.begin() as session:
        session.add_all(
            [
                ModelVersion(
                    state=state, seed=0, loans=loans, created_at=NOON, promoted_at=NOON
                )
                for state, loans in (
                    (ModelState.RETIRED, 10),
                    (ModelState.CURRENT, 20),
                )
            ]
        )

    listed = json.loads(run("model", "list", "--json").stdout)
    table = run("model", "list").stdout
    back = run("model", "rollback", "--json")

    assert [(row["state"], row["loans"]) for row in listed] == [
        ("current", 20),
        ("retired", 10),
    ]
    assert "current" in table
    assert json.loads(back.stdout) == {"model_version_id": listed[1]["id"]}


def test_the_library_sets_what_signals_weigh(run: Run, sessions: Sessions) -> None:
    changed = run("signals", "--set", "hold=0.5", "--half-life", "180", "--json")
    shown = run("signals").stdout
    wrong = run("signals", "--set", "glance=1")

    assert json.loads(changed.stdout)["hold"] == 0.5
    assert json.loads(changed.stdout)["half_life_days"] == 180
    assert "not_for_me" in shown
    assert wrong.exit_code == 1
    assert "glance" in wrong.stderr
    with reading(sessions) as session:
        actions = session.scalars(select(AuditEntry.action)).all()
    assert actions == ["signals.set"]


def test_a_patrons_signals_are_shown_with_their_weight(
    run: Run, sessions: Sessions
) -> None:
    with sessions.begin() as session:
        patron = ada(session)
        make_loan(session, patron, make_work(session, "Comets"), at=NOON)

    heard = json.loads(run("signals", "--patron", str(patron.id), "--json").stdout)

    assert [(one["title"], one["weight"]) for one in heard] == [("Comets", 1.0)]


def test_an_experiment_is_begun_reported_and_ended(run: Run) -> None:
    arms = ("--arm", "now=90", "--arm", "plain=5:latest=1", "--arm", "out=5:untold")
    begun = run("experiment", "begin", "x", *arms, "--until", "2030-01-01", "--json")
    twice = run("experiment", "begin", "y", *arms, "--until", "2030-01-01")
    report = json.loads(run("experiment", "report", "x", "--json").stdout)
    listed = run("experiment", "list").stdout
    ended = run("experiment", "end", "x")

    assert json.loads(begun.stdout)["arms"]["plain"]["parts"] == {"latest": 1}
    assert twice.exit_code == 1
    assert "'x'" in twice.stderr
    assert [(line["how"], line["told"]) for line in report] == [
        ("now", 0),
        ("out", 0),
        ("plain", 0),
    ]
    assert "plain" in listed
    assert ended.exit_code == 0


@pytest.mark.parametrize("arm", ["now", "now=x", "now=50:latest", "now=50:latest=x"])
def test_an_arm_that_is_none_is_named(run: Run, arm: str) -> None:
    result = run("experiment", "begin", "x", "--arm", arm, "--until", "2030-01-01")

    assert result.exit_code == 1
    assert arm in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_outcomes_of_nothing_say_so(run: Run) -> None:
    assert "Nothing was shown" in run("outcomes").stdout
    assert json.loads(run("outcomes", "--json").stdout) == []


def test_without_an_earlier_model_there_is_no_going_back(run: Run) -> None:
    result = run("model", "rollback")

    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.usefixtures("suited")
def test_a_patron_is_found_by_any_name(run: Run, sessions: Sessions) -> None:
    with reading(sessions) as session:
        query = select(Patron.id).where(Patron.external_id == "ada")
        patron_id = session.scalar(query)

    shown = [
        json.loads(run("patron", "show", ref, "--json").stdout)["id"]
        for ref in (patron_id, "ada", "test:ada")
    ]

    assert shown == [patron_id] * 3
    told = run("patron", "show", "ada").stdout
    assert "name: Ada" in told
    assert "['" not in told


@pytest.mark.usefixtures("suited")
def test_a_patron_takes_out_everything(run: Run, settings: Settings) -> None:
    path = settings.home / "ada.zip"

    printed = json.loads(run("patron", "export", "ada").stdout)
    zipped = run("patron", "export", "ada", "--zip", path)

    assert printed["patron"][0]["name"] == "Ada"
    assert "Dee" not in json.dumps(printed)
    assert zipped.exit_code == 0
    assert path.read_bytes().startswith(b"PK")


@pytest.mark.usefixtures("suited")
def test_erasing_asks_first(run: Run, sessions: Sessions) -> None:
    kept = run("patron", "erase", "ada", typed="n\n")
    gone = run("patron", "erase", "ada", "--yes")

    assert (kept.exit_code, gone.exit_code) == (1, 0)
    assert "nothing was erased" in kept.stderr
    with reading(sessions) as session:
        left = session.scalars(select(Patron.external_id)).all()
    assert sorted(left) == ["bo", "dee"]


@pytest.mark.usefixtures("suited")
def test_a_patron_gets_a_link_to_sign_in_by(run: Run, settings: Settings) -> None:
    link = run("signin-link", "ada").stdout.strip()
    told = json.loads(run("signin-link", "ada", "--json").stdout)

    assert link.startswith(f"{settings.base_url}/sign-in/")
    assert told["link"] != link
    assert len(told["code"]) == 6


@pytest.mark.parametrize(
    "words",
    [("patron", "show", "zed"), ("signin-link", "zed"), ("match", "--patron", "zed")],
    ids=" ".join,
)
def test_a_patron_who_is_not_there_is_said_in_one_line(
    run: Run, words: tuple[str, ...]
) -> None:
    result = run(*words)

    assert result.exit_code == 1
    assert "zed" in result.stderr
    assert len(result.stderr.splitlines()) == 1
