"""TR12: a restored dump first repeats the erasures that came after it."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from library.db import Sessions, reading
from library.runtime import Runtime
from library.settings import Settings
from library.tables import AuditEntry, Base, Patron
from library.vocabulary import ConsentPurpose
from notifier.fence import Fence
from profiles.erasures import Erasures
from profiles.privacy import ERASED, erase, repeat_erasures
from tests.command_line import invoke
from tests.factories import NOON, ada, cy, make_patron
from tests.notifier.cast import Outbox, alert, deliver, matched
from tests.notifier.dumps import dump, restore

DAY = timedelta(days=1)
NAME = "canary-7f3b"


def of_canary(sessions: Sessions, settings: Settings) -> Patron:
    """Let a patron wait for a digest; another had one, so that there is a fence."""
    with sessions.begin() as session:
        matched(session, ada(session), ["Contact"])
    alert(sessions, settings)
    deliver(sessions, settings, Outbox())
    with sessions.begin() as session:
        patron = make_patron(session, NAME, consents=tuple(ConsentPurpose))
        matched(session, patron, ["Solaris"])
    alert(sessions, settings)
    return patron


def names(sessions: Sessions) -> list[str | None]:
    with reading(sessions) as session:
        return list(session.scalars(select(Patron.name).order_by(Patron.id)))


def is_anywhere(sessions: Sessions, settings: Settings) -> bool:
    """Look for the canary in all rows and all files."""
    with reading(sessions) as session:
        rows = repr(
            [session.execute(select(t)).all() for t in Base.metadata.sorted_tables]
        )
    files = [path.read_bytes() for path in settings.home.rglob("*") if path.is_file()]
    return NAME in rows or any(NAME.encode() in content for content in files)


def test_what_was_erased_after_the_dump_is_erased_before_anything_is_sent(
    sessions: Sessions, settings: Settings
) -> None:
    patron = of_canary(sessions, settings)
    kept = dump(sessions)
    erase(sessions, settings, patron.id, at=NOON)
    restore(sessions, kept)
    assert NAME in names(sessions)
    outbox = Outbox()

    deliver(sessions, settings, outbox)

    assert outbox.taken == []
    assert names(sessions) == ["Ada"]
    assert not is_anywhere(sessions, settings)
    with reading(sessions) as session:
        erased = select(AuditEntry.action).where(AuditEntry.action == ERASED)
        assert len(session.scalars(erased).all()) == 1


def test_agreeing_to_a_restored_database_repeats_them(
    sessions: Sessions, settings: Settings
) -> None:
    patron = of_canary(sessions, settings)
    kept = dump(sessions)
    deliver(sessions, settings, Outbox())
    erase(sessions, settings, patron.id, at=NOON)
    restore(sessions, kept)
    assert Fence(settings.home).looked_at(sessions) is not None

    said = invoke(Runtime(settings, sessions), "fence", "--agree")

    assert "1 erased patrons were there again" in said.output
    assert not is_anywhere(sessions, settings)
    outbox = Outbox()
    deliver(sessions, settings, outbox)
    assert outbox.taken == []


def test_the_list_names_nobody(sessions: Sessions, settings: Settings) -> None:
    with sessions.begin() as session:
        patron = make_patron(session, NAME)
    erase(sessions, settings, patron.id, at=NOON)

    listed = (settings.home / "fence" / "erased").read_text()

    assert [len(line) for line in listed.split()] == [64, 64]
    assert NAME not in listed


def test_whom_nobody_erased_stays(sessions: Sessions, settings: Settings) -> None:
    patron = of_canary(sessions, settings)
    kept = dump(sessions)
    with sessions.begin() as session:
        cy(session)
    erase(sessions, settings, patron.id, at=NOON)
    restore(sessions, kept)

    assert repeat_erasures(sessions, settings, at=NOON) == 1
    assert names(sessions) == ["Ada"]


def test_who_comes_back_as_a_new_patron_is_not_erased(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = make_patron(session, NAME)
    empty = dump(sessions)
    erase(sessions, settings, patron.id, at=NOON)
    for table in empty.values():
        for row in table:
            if row.get("external_id"):
                row["created_at"] = NOON + DAY  # the same number, given anew
    restore(sessions, empty)

    assert repeat_erasures(sessions, settings, at=NOON + DAY) == 0
    assert names(sessions) == [NAME]


def test_it_is_looked_for_once(sessions: Sessions, settings: Settings) -> None:
    with sessions.begin() as session:
        patron = make_patron(session, NAME)
    kept = dump(sessions)
    erase(sessions, settings, patron.id, at=NOON)
    restore(sessions, kept)
    with reading(sessions) as session:
        assert not Erasures(settings).is_known(session)

    assert repeat_erasures(sessions, settings, at=NOON) == 1

    with reading(sessions) as session:
        assert Erasures(settings).is_known(session)
    assert repeat_erasures(sessions, settings, at=NOON) == 0


def test_a_changed_secret_and_a_line_cut_off_lose_no_erasure(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        first, second = make_patron(session, NAME), make_patron(session, "Di")
    kept = dump(sessions)
    erase(sessions, settings, first.id, at=NOON)
    with (settings.home / "fence" / "erased").open("a") as file:
        file.write("cut o")
    changed = replace(settings, secret=f"a newer one {settings.secret}")
    erase(sessions, changed, second.id, at=NOON)
    restore(sessions, kept)

    assert repeat_erasures(sessions, changed, at=NOON) == 2
    assert names(sessions) == []


def test_an_erasure_that_was_cut_short_is_done_at_the_next_look(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        patron = make_patron(session, NAME)
    with sessions() as session:  # and never committed
        Erasures(settings).add(session, patron.id, patron.created_at)
    assert names(sessions) == [NAME]

    assert repeat_erasures(sessions, settings, at=NOON) == 1
    assert names(sessions) == []
