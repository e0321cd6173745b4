import resource
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from library.db import Sessions, reading
from library.settings import Settings
from library.vocabulary import Channel, DeliveryState
from notifier import outbox
from notifier.delivery import deliver_due
from notifier.fence import KEPT_FOR, SENT_BEFORE, Fence, Trace
from notifier.ledger import ledger
from notifier.outbox import LEASE, claim_due
from notifier.resting import holds
from tests.factories import NOON, ada, cy
from tests.notifier.cast import (
    MINUTE,
    Outbox,
    a_digest_for_ada,
    alert,
    alerts,
    deliver,
    deliveries,
    matched,
    only,
    states,
)
from tests.notifier.dumps import dump, restore

DAY = timedelta(days=1)


def test_a_new_installation_sends_at_once(
    sessions: Sessions, settings: Settings
) -> None:
    fence = Fence(settings.home)
    assert fence.looked_at(sessions) is None

    a_digest_for_ada(sessions, settings)

    assert deliver(sessions, settings, Outbox()).sent == 1
    assert fence.looked_at(sessions) is None


def test_looking_changes_nothing(sessions: Sessions, settings: Settings) -> None:
    Fence(settings.home).looked_at(sessions)

    assert not (settings.home / "fence").exists()


def test_a_restored_database_sends_nothing_until_somebody_agreed(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        matched(session, ada(session), ["Contact"])
        matched(session, cy(session), ["Solaris"])
    alert(sessions, settings)
    outbox = Outbox()
    deliver(sessions, settings, outbox, limit=1)
    kept = dump(sessions)
    deliver(sessions, settings, outbox)
    restore(sessions, kept)
    assert states(sessions) == [DeliveryState.SENT, DeliveryState.PENDING]

    report = deliver(sessions, settings, outbox, at=NOON + DAY)

    assert report.sent == 0
    assert report.trouble
    assert "was it restored" in report.trouble
    with reading(sessions) as session:
        assert report.trouble in holds(session, at=NOON + DAY).values()
    assert Fence(settings.home).agree(sessions, at=NOON + DAY) == 1
    assert states(sessions) == [DeliveryState.SENT] * 2
    deliver(sessions, settings, outbox, at=NOON + DAY)
    assert len(outbox.taken) == 2
    with reading(sessions) as session:
        newest = ledger(session)[0]
    assert newest.answer == SENT_BEFORE


def test_a_digest_that_is_made_again_after_a_restore_does_not_go_again(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        matched(session, ada(session), ["Contact"])
    kept = dump(sessions)
    outbox = Outbox()
    alert(sessions, settings)
    deliver(sessions, settings, outbox)
    restore(sessions, kept)
    fence = Fence(settings.home)
    deliver(sessions, settings, outbox)
    fence.agree(sessions, at=NOON)

    alert(sessions, settings)
    report = deliver(sessions, settings, outbox)

    assert report.sent == 1
    assert only(sessions).state is DeliveryState.SENT
    assert len(outbox.taken) == 1


def test_a_copy_elsewhere_sends_nothing_until_somebody_agreed(
    sessions: Sessions, settings: Settings, tmp_path: Path
) -> None:
    with sessions.begin() as session:
        matched(session, ada(session), ["Contact"])
        matched(session, cy(session), ["Solaris"])
    alert(sessions, settings)
    deliver(sessions, settings, Outbox(), limit=1)
    elsewhere = replace(settings, home=tmp_path / "elsewhere")
    outbox = Outbox()

    before = deliver(sessions, elsewhere, outbox)
    Fence(elsewhere.home).agree(sessions, at=NOON)
    after = deliver(sessions, elsewhere, outbox)

    assert (before.sent, after.sent) == (0, 1)
    assert before.trouble == "fence: this machine never sent for this database"


def test_another_installations_database_is_not_taken_for_this_ones(
    sessions: Sessions, settings: Settings
) -> None:
    kept = dump(sessions)
    a_digest_for_ada(sessions, settings)
    deliver(sessions, settings, Outbox())
    restore(sessions, kept)

    report = deliver(sessions, settings, Outbox())

    assert report.trouble == "fence: the database is of another installation"


def test_killed_after_the_answer_it_does_not_go_again(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)
    with sessions.begin() as session:
        claim_due(
            session, "dead", at=NOON, limit=5, channels=frozenset({Channel.EMAIL})
        )
    # The server said yes, it was listed, and the worker was killed before its commit.
    fence = Fence(settings.home)
    fence.trouble(sessions, at=NOON)
    fence.sent(only(sessions).message_id, at=NOON)
    outbox = Outbox()

    report = deliver(sessions, settings, outbox, at=NOON + LEASE)

    assert (report.sent, outbox.taken) == (1, [])
    assert only(sessions).state is DeliveryState.SENT


@pytest.mark.parametrize(("left", "rides_again"), [(False, True), (True, False)])
def test_what_was_marked_and_never_left_rides_again(
    sessions: Sessions, settings: Settings, left: bool, rides_again: bool
) -> None:
    """Killed among its messages: those still to come are known not to be out."""
    delivery_id = a_digest_for_ada(sessions, settings)
    fence = Fence(settings.home)
    fence.trouble(sessions, at=NOON)
    with sessions.begin() as session:
        claims = claim_due(
            session, "dead", at=NOON, limit=5, channels=frozenset({Channel.EMAIL})
        )
        outbox.mark(session, claims, at=NOON)
    fence.marked([only(sessions).message_id], at=NOON)
    if left:
        fence.leaving(only(sessions).message_id, at=NOON)
    fence.close()

    too_late = NOON + 7 * DAY
    assert deliver(sessions, settings, Outbox(), at=too_late).withheld == 1

    carrier = None if rides_again else delivery_id
    assert [one.delivery_id for one in alerts(sessions)] == [carrier]


def test_nothing_leaves_that_the_fence_cannot_write_down(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)
    in_the_way = settings.home / "fence" / f"sent-{NOON.date().isoformat()}"
    in_the_way.mkdir(parents=True)
    server = Outbox()

    report = deliver(sessions, settings, server)

    assert (report.sent, report.retried, server.taken) == (0, 1, [])
    in_the_way.rmdir()
    assert deliver(sessions, settings, server, at=NOON + 6 * MINUTE).sent == 1


@pytest.mark.parametrize(
    "torn",
    [
        b"3 <torn@lib",
        b"3",
        b"3 <torn@library.test>\0\0\0",
        b"\0" * 512,
        b"3 <torn@\xff\xfe>",
        b"\xda",
        b"7 <torn@library.test>\nno such line\n\n",
    ],
    ids=[
        "half a line",
        "its first letter",
        "a block not written",
        "nothing but such blocks",
        "what is no text",
        "half a letter",
        "lines of something else",
    ],
)
def test_a_list_torn_by_a_power_cut_is_read_and_goes_on(
    settings: Settings, torn: bytes
) -> None:
    fence = Fence(settings.home)
    fence.sent("<before@library.test>", at=NOON)
    fence.close()
    path = settings.home / "fence" / f"sent-{NOON.date().isoformat()}"
    with path.open("ab") as file:
        file.write(torn)

    fence.leaving("<after@library.test>", at=NOON)
    fence.close()

    asked = {"<before@library.test>", "<after@library.test>"}
    assert fence.traces(asked) == {
        "<before@library.test>": Trace.TAKEN,
        "<after@library.test>": Trace.LEFT,
    }
    assert asked <= fence.traces().keys()
    assert fence.lists(asked) == {"<before@library.test>"}
    assert "<torn@library.test>" not in fence.traces()


def test_what_does_not_fit_on_a_full_disk_is_not_written_down(
    settings: Settings,
) -> None:
    fence = Fence(settings.home)
    fence.sent("<before@library.test>", at=NOON)
    size = (settings.home / "fence" / f"sent-{NOON.date().isoformat()}").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 9, limits[1]))
    try:
        with pytest.raises(OSError, match="no room"):
            fence.sent("<torn@library.test>", at=NOON)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    fence.sent("<after@library.test>", at=NOON)

    assert fence.lists({"<torn@library.test>", "<after@library.test>"}) == {
        "<after@library.test>"
    }


def test_what_went_out_long_ago_is_forgotten(
    sessions: Sessions, settings: Settings
) -> None:
    a_digest_for_ada(sessions, settings)
    message_id = only(sessions).message_id
    fence = Fence(settings.home)
    deliver(sessions, settings, Outbox())
    assert fence.lists({message_id, "<other@x>"}) == {message_id}

    later = NOON + KEPT_FOR + 2 * DAY
    deliver_due(sessions, settings, at=later, worker="w1")

    assert fence.lists({message_id}) == set()


@pytest.mark.parametrize("left", ["", "{", "[]", '{"installation": 1}'])
def test_a_mark_that_cannot_be_read_is_as_good_as_none(
    sessions: Sessions, settings: Settings, left: str
) -> None:
    a_digest_for_ada(sessions, settings)
    deliver(sessions, settings, Outbox())
    (settings.home / "fence" / "mark").write_text(left)

    report = deliver(sessions, settings, Outbox())

    assert report.trouble == "fence: this machine never sent for this database"
    assert deliveries(sessions)
