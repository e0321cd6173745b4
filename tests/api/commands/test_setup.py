import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import select

from api.auth import principal
from api.commands.doctor import (
    _looked,
    examine_channels,
    examine_disk,
    examine_mail,
    examine_settings,
)
from api.working.tasks import record_heartbeat
from library.clock import utc_now
from library.db import Sessions, reading
from library.runtime import Runtime
from library.settings import Settings
from library.staff import account, check_password, find_key
from library.tables import ApiKey, AuditEntry, Branch, Delivery, ModelVersion, Staff
from library.vocabulary import Channel, ModelState, Purpose
from library.webhooks import Use, secret_of
from notifier.resting import hold
from tests.factories import NOON, ada, make_branch
from tests.notifier.mail_server import MailServer

Run = Callable[..., Result]


def test_init_makes_folders_and_a_branch_and_can_run_again(
    run: Run, sessions: Sessions, settings: Settings
) -> None:
    first = run("init", "--branch", "north", "--branch-name", "North")
    second = run("init", "--branch", "south")

    with reading(sessions) as session:
        branches = session.scalars(select(Branch.code)).all()
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert branches == ["north"]
    assert settings.models.is_dir()
    assert settings.mail.is_dir()


def test_init_tells_what_there_is(run: Run, settings: Settings) -> None:
    told = json.loads(run("init", "--json").stdout)

    assert told["home"] == str(settings.home)
    assert told["branch"] == "main"


def test_the_secret_of_the_app_is_printed(run: Run, settings: Settings) -> None:
    printed = run("app-secret").stdout.strip()

    assert printed == secret_of(settings, Use.APP)
    assert printed != run("source", "webhook-secret").stdout.strip()


def test_an_up_to_date_database_is_left_alone(run: Run) -> None:
    assert run("db", "upgrade").stdout == "Nothing was to do.\n"


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_new_installation_is_well(run: Run) -> None:
    run("init")

    result = run("doctor", "--json")

    findings = {each["part"]: each for each in json.loads(result.stdout)}
    assert result.exit_code == 0
    assert list(findings) == [
        "settings",
        "disk",
        "database",
        "migrations",
        "queue",
        "mail",
        "channels",
        "fence",
        "model",
        "deliveries",
    ]
    assert "no worker is running" in findings["queue"]["found"]


@pytest.mark.parametrize(
    ("free", "ok", "found"),
    [(0, False, "0.0 GB free"), (80_000_000_000, True, "80.0 GB free")],
)
def test_a_disk_that_is_full_is_named(free: int, ok: bool, found: str) -> None:
    finding = examine_disk(free)

    assert finding.ok is ok
    assert finding.found.startswith(found)
    assert ok or "make room" in finding.do


def test_a_variable_with_a_slip_in_its_name_is_named() -> None:
    finding = examine_settings({"HAMKHAN_SMPT_URL": "HAMKHAN_SMTP_URL"})

    assert not finding.ok
    assert "HAMKHAN_SMPT_URL" in finding.found
    assert "HAMKHAN_SMTP_URL" in finding.do
    assert examine_settings({}).ok


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_channel_that_was_refused_is_named(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        until = utc_now() + timedelta(minutes=5)
        hold(session, Channel.WEBHOOK, "the server answered 401", until=until)

    finding = examine_channels(Runtime(settings, sessions))

    assert not finding.ok
    assert finding.found == "webhook: the server answered 401"


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_is_wrong_is_named_with_what_to_do(run: Run, sessions: Sessions) -> None:
    record_heartbeat(sessions, "a", at=utc_now())
    with sessions.begin() as session:
        session.add_all(
            [
                ModelVersion(
                    state=ModelState.CURRENT, seed=0, file="gone.npz", created_at=NOON
                ),
                Delivery(
                    patron_id=ada(session).id,
                    purpose=Purpose.DIGEST,
                    channel=Channel.EMAIL,
                    due_at=utc_now() - timedelta(hours=2),
                    not_after=utc_now() + timedelta(hours=2),
                    message_id="<1@test>",
                    created_at=NOON,
                ),
            ]
        )

    result = run("doctor")

    assert result.exit_code == 1
    assert "its file gone.npz is gone" in result.stdout
    assert "1 are more than an hour late" in result.stdout
    assert "run `hamkhan train`" in result.stdout
    assert "a worker is running" in result.stdout


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_mail_server_that_is_away_is_not_ok(runtime: Runtime, tmp_path: Path) -> None:
    away = Runtime(
        Settings(home=tmp_path, smtp_url="smtp://127.0.0.1:1"), runtime.sessions
    )

    finding = _looked(examine_mail, away)

    assert not finding.ok
    assert finding.part == "mail"
    assert finding.do


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("sign_in", "found"),
    [
        ("lib:wrong@", "535 5.7.8 Authentication credentials invalid"),
        ("lib:right@", "127.0.0.1 takes mail from us"),
    ],
)
def test_the_mail_server_is_asked_with_name_and_password(
    runtime: Runtime, sign_in: str, found: str
) -> None:
    with MailServer(password="right") as server:
        settings = replace(
            runtime.settings,
            smtp_url=f"smtp://{sign_in}127.0.0.1:{server.port}",
            base_url="https://library.test",
            contact="us@library.test",
        )
        finding = examine_mail(Runtime(settings, runtime.sessions))

    assert finding.found == found
    assert finding.do == ("" if finding.ok else "mend HAMKHAN_SMTP_URL")
    assert server.taken == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"smtp_url": "mail.library.test:25"}, "smtp://host or smtps://host is wanted"),
        ({"dkim_key": "gone.pem", "dkim_selector": "mail"}, "gone.pem"),
    ],
    ids=["no address", "no key"],
)
def test_a_setting_by_which_no_mail_could_leave_is_named(
    runtime: Runtime, given: dict[str, Any], found: str
) -> None:
    settings = replace(runtime.settings, **{"smtp_url": "smtp://mail.test", **given})

    finding = _looked(examine_mail, Runtime(settings, runtime.sessions))

    assert not finding.ok
    assert found in finding.found


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("base_url", "contact", "ok", "said"),
    [
        ("http://127.0.0.1:8000", "us@library.test", False, "HAMKHAN_BASE_URL"),
        ("https://library.test", "library@localhost", False, "HAMKHAN_CONTACT"),
        ("http://library.test", "us@library.test", True, "one-click"),
        ("https://library.test", "us@library.test", True, ""),
    ],
)
def test_mail_that_no_patron_could_use_is_told_of(
    runtime: Runtime, base_url: str, contact: str, ok: bool, said: str
) -> None:
    with MailServer() as server:
        settings = replace(
            runtime.settings,
            smtp_url=server.url,
            base_url=base_url,
            contact=contact,
        )
        finding = examine_mail(Runtime(settings, runtime.sessions))

    assert finding.ok is ok
    assert said in finding.do
    assert bool(said) == bool(finding.do)


def test_a_librarian_gets_an_account(run: Run, sessions: Sessions) -> None:
    with sessions.begin() as session:
        make_branch(session, "north")

    result = run(
        "staff",
        "add",
        "Lila@library.test",
        "--branch",
        "north",
        "--language",
        "fa_IR",
        typed="a long password\na long password\n",
    )

    assert result.exit_code == 0
    with reading(sessions) as session:
        staff = check_password(session, "lila@library.test", "a long password")
        assert staff is not None
        assert (staff.language, staff.branch_id is not None) == ("fa_IR", True)


def test_a_forgotten_password_is_replaced_and_signs_out(
    run: Run, sessions: Sessions
) -> None:
    run("staff", "add", "lila@library.test", "--password", "a long password")
    with sessions.begin() as session:
        owner = account(session, "lila@library.test").id
        token = principal.start(session, at=utc_now(), staff_id=owner)

    changed = run(
        "staff", "password", "Lila@library.test", "--password", "another password"
    )

    assert changed.output == "lila@library.test has another password.\n"
    with sessions() as session:
        assert check_password(session, "lila@library.test", "another password")
        assert not check_password(session, "lila@library.test", "a long password")
        assert principal.staff_of(session, token, at=utc_now()) is None


def test_an_account_is_switched_off_and_on_again(run: Run, sessions: Sessions) -> None:
    run("staff", "add", "lila@library.test", "--password", "a long password")

    allowed = []
    for words in (("staff", "off"), ("staff", "off", "--back")):
        assert run(*words, "lila@library.test").exit_code == 0
        with reading(sessions) as session:
            found = check_password(session, "lila@library.test", "a long password")
        (listed,) = json.loads(run("staff", "list", "--json").output)
        allowed.append((found is not None, listed["active"]))

    assert allowed == [(False, False), (True, True)]
    with sessions() as session:
        entries = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))
        assert list(entries) == ["staff.off", "staff.on"]


def test_a_key_is_listed_and_ends_when_it_is_revoked(
    run: Run, sessions: Sessions
) -> None:
    run("staff", "add", "lila@library.test", "--password", "a long password")
    issued = ("key", "issue", "lila@library.test", "catalogue", "--scope", "read:works")
    shown = run(*issued).stdout.strip()

    (listed,) = json.loads(run("key", "list", "--json").output)
    ended = run("key", "revoke", str(listed["id"]))

    assert listed["name"] == "catalogue"
    assert "catalogue" in run("key", "list").output
    assert shown not in run("key", "list").output
    assert ended.output == f"key {listed['id']} opens nothing any more.\n"
    with reading(sessions) as session:
        assert find_key(session, shown, at=utc_now()) is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(
            ("staff", "off", "a@b.test"),
            "a@b.test: there is no such account",
            id="nobody to switch off",
        ),
        pytest.param(("key", "revoke", "7"), "no key 7", id="no such key"),
        pytest.param(
            ("staff", "add", "a@b.test", "--branch", "x", "--password", "p" * 12),
            "x: there is no such branch",
            id="an unknown branch",
        ),
        pytest.param(
            ("staff", "add", "a@b.test", "--password", "short"),
            "a password needs 12 characters or more",
            id="a short password",
        ),
        pytest.param(
            ("key", "issue", "a@b.test", "catalogue", "--scope", "read:works"),
            "a@b.test: there is no such account",
            id="a key for nobody",
        ),
    ],
)
def test_an_account_that_cannot_be_is_said_in_one_line(
    run: Run, sessions: Sessions, words: tuple[str, ...], expected: str
) -> None:
    result = run(*words)

    assert result.exit_code == 1
    assert result.stderr == f"Error: {expected}\n"
    with reading(sessions) as session:
        assert session.scalars(select(Staff)).all() == []


def test_a_key_is_shown_once_and_opens(run: Run, sessions: Sessions) -> None:
    run("staff", "add", "lila@library.test", "--password", "a long password")

    shown = run(
        "key", "issue", "Lila@library.test", "catalogue", "--scope", "read:works"
    ).stdout.strip()

    assert re.fullmatch(r"hamkhan_\w+?_[\w-]+", shown)
    with reading(sessions) as session:
        kept = session.scalars(select(ApiKey)).one()
        assert shown.split("_", 2)[2] not in str(vars(kept).values())
        assert find_key(session, shown, at=utc_now()) is not None
