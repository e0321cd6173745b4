"""Whether anybody else committed anything, asked beside our own writing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from secrets import token_hex

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import StatementError

from library.db import Sessions, reading
from library.tables import Branch, Patron
from library.watch import Watch, ended_between, watch
from tests.factories import ada, make_branch


def test_a_watch_sees_what_others_commit_and_not_what_they_read(
    sessions: Sessions,
) -> None:
    with closing(watch(sessions)) as seen:
        assert _at_last(lambda: _read_only(sessions, seen))

        before = seen.look()
        with sessions.begin() as session:
            ada(session)
        assert seen.has_changed(before)


def test_a_watch_knows_what_is_our_own(sessions: Sessions) -> None:
    with closing(watch(sessions)) as seen:
        assert _at_last(lambda: _write_twice(seen))

        before = seen.look()
        with seen.writing() as session:
            make_branch(session, "ours")
        with sessions.begin() as session:
            make_branch(session, "theirs")
        assert seen.has_changed(before)


@pytest.mark.parametrize(
    ("since", "now", "ended"),
    [
        ("10:10:", "10:10:", set()),
        ("10:10:", "12:12:", {10, 11}),
        ("10:10:", "10:12:10", {11}),
        ("10:12:10", "12:12:", {10}),
        ("10:13:10,12", "10:14:10", {12, 13}),
    ],
)
def test_what_ended_between_two_snapshots(
    since: str, now: str, ended: set[int]
) -> None:
    assert ended_between(since, now) == ended


def test_a_writing_that_fails_leaves_nothing_and_the_next_one_goes_on(
    sessions: Sessions,
) -> None:
    with closing(watch(sessions)) as seen:
        with pytest.raises(StatementError), seen.writing() as session:
            session.add(Branch(code="no name"))
        with seen.writing() as session:
            ada(session)
    with reading(sessions) as session:
        assert len(session.scalars(select(Patron)).all()) == 1


def test_while_one_thread_writes_another_may_look(sessions: Sessions) -> None:
    with closing(watch(sessions)) as seen, ThreadPoolExecutor(1) as beside:

        def looked_at_meanwhile() -> bool:
            before = seen.look()
            with seen.writing() as session:
                session.add(Branch(code=token_hex(), name="Ours"))
                session.flush()
                changed = beside.submit(seen.has_changed, before).result(timeout=30)
            return not changed

        assert _at_last(looked_at_meanwhile)


def test_two_that_write_and_look_do_not_get_in_each_others_way(
    sessions: Sessions,
) -> None:
    """As two workers do, each with a thread that writes and one that looks."""
    turns = 150

    def write(seen: Watch, name: str) -> None:
        for number in range(turns):
            with seen.writing() as session:
                session.add(Branch(code=f"{name}{number}", name=name))

    with (
        closing(watch(sessions)) as one,
        closing(watch(sessions)) as two,
        ThreadPoolExecutor(2) as beside,
    ):
        before = one.look(), two.look()
        writing = [beside.submit(write, one, "one"), beside.submit(write, two, "two")]
        while not all(each.done() for each in writing):
            one.look()
            two.look()
        for each in writing:
            each.result()
        assert one.has_changed(before[0])
        assert two.has_changed(before[1])
    with reading(sessions) as session:
        assert session.scalar(select(func.count(Branch.id))) == 2 * turns


def _at_last(act: Callable[[], bool]) -> bool:
    """Act until it holds: PostgreSQL tells of others that are at work on the server."""
    return any(act() for _ in range(200))


def _read_only(sessions: Sessions, seen: Watch) -> bool:
    before = seen.look()
    with reading(sessions) as session:
        session.scalars(select(Patron)).all()
    return not seen.has_changed(before)


def _write_twice(seen: Watch) -> bool:
    before = seen.look()
    for name in ("One", "Two"):
        with seen.writing() as session:
            session.add(Branch(code=f"{name} {before}", name=name))
    return not seen.has_changed(before)
