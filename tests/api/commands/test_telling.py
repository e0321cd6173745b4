"""What an operator asks of messages: which were given up, again, never; the fence."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result

from library.db import Sessions
from library.errors import DeliveryFailed
from library.runtime import Runtime
from library.settings import Settings
from library.vocabulary import DeliveryState
from profiles import contacts
from tests.command_line import invoke
from tests.factories import NOON, ada
from tests.notifier.cast import (
    Outbox,
    a_digest_for_ada,
    deliver,
    deliveries,
    only,
    point_of,
)
from tests.notifier.dumps import dump, restore
from tests.notifier.mail_server import MailServer
from tests.notifier.test_bounces import sample

Run = Callable[..., Result]
REFUSED = DeliveryFailed("550 5.7.1 not here", permanent=True)


@pytest.fixture
def given_up(sessions: Sessions, settings: Settings) -> int:
    delivery_id = a_digest_for_ada(sessions, settings)
    deliver(sessions, settings, Outbox(REFUSED))
    return delivery_id


def test_what_was_given_up_is_listed_with_its_cause(run: Run, given_up: int) -> None:
    listed = run("ledger", "--state", "abandoned").output

    assert "550 5.7.1 not here" in listed
    assert "ada@patrons.test" in listed
    assert "ada@patrons.test" not in run("ledger", "--state", "sent").output


def test_the_ledger_as_json_has_what_others_may_count_on(
    run: Run, sessions: Sessions, given_up: int
) -> None:
    (row,) = json.loads(run("ledger", "--json").output)

    assert list(row) == [
        "delivery_id",
        "patron_id",
        "channel",
        "address",
        "message_id",
        "state",
        "attempts",
        "alerts",
    ]
    assert (row["delivery_id"], row["state"]) == (given_up, "abandoned")
    assert row["message_id"] == only(sessions).message_id
    assert (row["attempts"], len(row["alerts"])) == (1, 1)


def test_one_can_be_sent_again_or_never(
    run: Run, sessions: Sessions, given_up: int
) -> None:
    again = run("ledger", "--again", str(given_up))
    made = deliveries(sessions)[-1]
    never = run("ledger", "--cancel", str(made.id))

    assert again.output == f"delivery {given_up} goes out again as {made.id}\n"
    assert never.output == f"delivery {made.id} is never sent\n"
    assert deliveries(sessions)[-1].state is DeliveryState.WITHHELD
    refused = run("ledger", "--cancel", str(given_up))
    assert refused.exit_code == 1
    assert refused.output == f"Error: delivery {given_up} is abandoned already\n"


def test_returned_mail_is_taken_in_from_a_folder(
    run: Run, sessions: Sessions, settings: Settings, tmp_path: Path
) -> None:
    a_digest_for_ada(sessions, settings)
    deliver(sessions, settings, Outbox())
    folder = tmp_path / "returned"
    folder.mkdir()
    report = sample("exim-unknown", message_id=only(sessions).message_id)
    (folder / "1.eml").write_bytes(report)

    # A report that is older than two weeks counts for nothing; today is long after.
    assert run("bounces", folder).output == "1 too old\n"
    assert run("bounces", folder).output == "nothing came back\n"


def test_stopped_addresses_are_listed_and_lifted(run: Run, sessions: Sessions) -> None:
    with sessions.begin() as session:
        point = point_of(session, ada(session))
        contacts.stop(session, point.id, at=NOON)

    listed = json.loads(run("bounces", "--stopped", "--json").output)
    lifted = run("bounces", "--lift", str(point.id))

    assert [(one["id"], one["address"]) for one in listed] == [
        (point.id, point.address)
    ]
    assert lifted.exit_code == 0
    assert point.address not in lifted.output
    assert json.loads(run("bounces", "--stopped", "--json").output) == []
    for other in (str(point.id), "999"):
        refused = run("bounces", "--lift", other)
        assert refused.exit_code == 1
        assert (
            refused.output == f"Error: {other} is no stopped address: see --stopped\n"
        )


def test_delivering_says_which_channel_rests_and_why(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)
    with MailServer(lambda verb, _: "535 5.7.8 no" if verb == "MAIL" else None) as mail:
        refusing = Runtime(replace(settings, smtp_url=mail.url), sessions)
        first = invoke(refusing, "deliver", "--at", NOON.isoformat()).output
        again = invoke(refusing, "deliver", "--at", NOON.isoformat())

    said = "email rests and its messages wait: 535 5.7.8 no. See `hamkhan doctor`\n"
    assert first.endswith(said)
    assert (
        again.output == f"0 sent, 0 withheld, 0 to be tried again, 0 abandoned\n{said}"
    )
    told = json.loads(invoke(refusing, "deliver", "--json").stdout)
    assert told["resting"] == {}  # the rest is over long since


def test_which_mailbox_must_be_said(run: Run) -> None:
    asked = run("bounces")

    assert asked.exit_code == 1
    assert asked.output.startswith("Error: which mailbox?")


def test_a_restored_database_sends_when_somebody_agreed(
    run: Run, sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)
    at = ("--at", NOON.isoformat())
    kept = dump(sessions)
    assert run("deliver", *at).output.startswith("1 sent")
    assert run("fence").output == "it fits the database\n"
    restore(sessions, kept)

    held = run("deliver", *at).output
    why = run("fence").output
    agreed = run("fence", "--agree").output

    assert held.startswith("nothing is sent. fence:")
    assert why.startswith("fence:")
    assert agreed == "agreed: 1 had gone out before and do not go again\n"
    assert run("deliver", *at).output.startswith("0 sent")
    assert len(list(settings.mail.glob("*.eml"))) == 1


def test_a_copy_says_what_it_is(
    sessions: Sessions, settings: Settings, tmp_path: Path
) -> None:
    a_digest_for_ada(sessions, settings)
    deliver(sessions, settings, Outbox())
    copy = Runtime(replace(settings, home=tmp_path / "copy"), sessions)

    assert "never sent for this database" in invoke(copy, "fence").output
