"""Rendering a digest of ten works, and the sending loop against a bare smtplib loop.

Both loops hand the same bytes to the same server in the same run, in turns. Ours also
claims, asks the gate twice and settles each message in the database; once with its
messages made before, which is the loop alone, and once making them as it goes, which is
the whole work. Three servers: one that only answers, aiosmtpd, and one that has a
message on its disk before it says yes, as RFC 5321 (6.1) wants of a server that takes
the responsibility, and says PIPELINING as the common ones do.
"""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from bench.measuring import FULL, Result
from library.db import Sessions, make_engine, make_sessions, reading
from library.migrate import upgrade
from library.settings import Settings
from library.tables import (
    Alert,
    Base,
    Consent,
    ContactPoint,
    Delivery,
    Patron,
    Preference,
)
from library.vocabulary import Channel, ConsentPurpose, DeliveryState, Purpose
from notifier import composing
from notifier.channels.email import EmailChannel, parse_server
from notifier.composing import Composed, Draft, Facts, facts_of
from notifier.delivery import deliver_due
from notifier.gate import Ruling
from notifier.links import message_id
from notifier.making import Author
from notifier.message import Message, to_bytes
from tests.factories import NOON, make_branch, make_work
from tests.faults.rounds import environment
from tests.notifier.cast import reason

PATRONS = 50_000 if FULL else 7_000
TURNS = 5 if FULL else 2
WORKS = 10
SAMPLE = 500
"""Messages kept, whose bytes the bare loop sends again and again."""
WORKERS = 2

_PLAIN = """
import asyncio, os, tempfile
queue = tempfile.TemporaryFile() if {on_disk} else None
async def talk(reader, writer):
    writer.write(b"220 ready\\r\\n")
    while line := await reader.readline():
        verb = line[:4].upper()
        if verb == b"DATA":
            writer.write(b"354 go on\\r\\n")
            content = await reader.readuntil(b"\\r\\n.\\r\\n")
            if queue:
                os.pwrite(queue.fileno(), content, 0)
                os.fsync(queue.fileno())
        elif verb == b"EHLO":
            writer.write(b"250-bench\\r\\n")
            if queue:
                writer.write(b"250-PIPELINING\\r\\n")
        writer.write(b"250 fine\\r\\n")
async def main():
    server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=2**22)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
_AIOSMTPD = """
import asyncio
from aiosmtpd.smtp import SMTP
class Taking:
    async def handle_DATA(self, server, session, envelope):
        return "250 fine"
async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Taking()), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
SERVERS = {
    "only answers": _PLAIN.format(on_disk=False),
    "aiosmtpd": _AIOSMTPD,
    "keeps on disk": _PLAIN.format(on_disk=True),
}


class _Kept:
    """The e-mail channel, keeping what it hands over."""

    def __init__(self, url: str) -> None:
        self._inner = EmailChannel(parse_server(url))
        self.messages: list[Message] = []
        self.open, self.close = self._inner.open, self._inner.close

        self.answer = self._inner.answer

    def hand_over(self, message: Message, *, before: datetime) -> None:
        if len(self.messages) < SAMPLE:
            self.messages.append(message)
        self._inner.hand_over(message, before=before)


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(Settings(), home=Path(folder), secret=folder)
        sessions = _digests(settings)
        results = [_rendering(sessions, settings)]
        each = PATRONS // (2 * len(SERVERS) + 1)
        for name, code in SERVERS.items():
            with _server(code) as port:
                results += _loops(sessions, settings, name, port, each)
        with _server(SERVERS["keeps on disk"]) as port:
            results.append(_workers(sessions, settings, port))
        return results


def _digests(settings: Settings) -> Sessions:
    """Make a digest of ten works for each patron, past the ORM and past `alert`."""
    engine = make_engine(settings.database)
    upgrade(engine)
    sessions = make_sessions(engine)
    with sessions.begin() as session:
        branch = make_branch(session).id
        works = [
            make_work(
                session, f"A work of some length, number {n}", creator=f"By {n}"
            ).id
            for n in range(WORKS)
        ]
    everybody = range(1, PATRONS + 1)
    for some in (everybody[first:][:5_000] for first in range(0, PATRONS, 5_000)):
        with sessions.begin() as session:
            for table, rows in _rows(settings, some, branch, works):
                session.execute(insert(table), rows)
    return sessions


def _rows(
    settings: Settings, patrons: range, branch: int, works: list[int]
) -> Iterator[tuple[type[Base], list[dict[str, Any]]]]:
    yield (
        Patron,
        [
            {
                "id": n,
                "system": "bench",
                "external_id": str(n),
                "name": f"Patron{n}",
                "branch_id": branch,
                "language": "en",
                "created_at": NOON,
            }
            for n in patrons
        ],
    )
    yield (
        Consent,
        [
            {
                "patron_id": n,
                "purpose": ConsentPurpose.ALERTS,
                "wording": "bench",
                "source": "bench",
                "given_at": NOON,
            }
            for n in patrons
        ],
    )
    yield (
        ContactPoint,
        [
            {
                "patron_id": n,
                "channel": Channel.EMAIL,
                "address": f"patron{n}@patrons.test",
                "verified_at": NOON,
                "created_at": NOON,
            }
            for n in patrons
        ],
    )
    yield Preference, [{"patron_id": n, "zone": "UTC"} for n in patrons]
    yield (
        Delivery,
        [
            {
                "id": n,
                "patron_id": n,
                "purpose": Purpose.DIGEST,
                "channel": Channel.EMAIL,
                "due_at": NOON,
                "not_after": NOON + timedelta(days=6),
                "message_id": message_id(
                    settings, n, Purpose.DIGEST, "bench", Channel.EMAIL
                ),
                "created_at": NOON,
            }
            for n in patrons
        ],
    )
    yield (
        Alert,
        [
            {
                "patron_id": n,
                "work_id": work,
                "score": 2.0 - place * 0.01,
                "reasons": [reason("Cosmos")],
                "delivery_id": n,
                "created_at": NOON,
            }
            for n in patrons
            for place, work in enumerate(works)
        ],
    )


def _rendering(sessions: Sessions, settings: Settings) -> Result:
    with sessions.begin() as session:
        deliveries = session.scalars(select(Delivery).limit(50)).all()
        began = time.process_time()
        facts = facts_of(session, deliveries, at=NOON)
        read = composing.drafts(session, settings, deliveries, facts)
        reading = (time.process_time() - began) / len(deliveries)
        rendered, written = [], []
        for draft, fact in [*zip(read, facts, strict=True)] * 4:
            began = time.process_time()
            made = composing.compose(settings, draft, fact, at=NOON)
            rendered.append(time.process_time() - began)
            if not isinstance(made, Composed) or made.message is None:
                raise RuntimeError(f"nothing to render: {made}")
            began = time.process_time()
            to_bytes(made.message)
            written.append(time.process_time() - began)
    return Result(
        f"a digest of {WORKS} works",
        {
            "read, ms": round(reading * 1e3, 2),
            "rendered, ms": round(median(rendered) * 1e3, 2),
            "as bytes, ms": round(median(written) * 1e3, 2),
        },
    )


def _loops(
    sessions: Sessions, settings: Settings, server: str, port: int, count: int
) -> list[Result]:
    """Measure the loop alone and the whole, each beside a bare loop, in turns."""
    results = []
    for what, ahead in (("the loop alone", True), ("with making", False)):
        ours, bare = Spent(), Spent()
        for _ in range(TURNS):
            channel = _Kept(f"smtp://127.0.0.1:{port}")
            some = count // TURNS
            author: Author = _Ahead(sessions, settings, some) if ahead else composing
            with ours.counted():
                report = deliver_due(
                    sessions,
                    settings,
                    at=NOON,
                    worker="bench",
                    limit=some,
                    channels={Channel.EMAIL: channel},
                    author=author,
                )
            ours.messages += report.sent
            contents = [to_bytes(message) for message in channel.messages]
            with bare.counted():
                _bare(contents, port, report.sent)
            bare.messages += report.sent
        figures = {
            "ours a second": round(1e3 / ours.milliseconds),
            "bare a second": round(1e3 / bare.milliseconds),
            "of the bare loop": round(bare.milliseconds / ours.milliseconds, 2),
            "ours at work, ms": round(ours.at_work, 2),
            "bare at work, ms": round(bare.at_work, 2),
        }
        title = f"{server}: {what}, {ours.messages:,} digests"
        results.append(Result(title, figures))
    return results


@dataclass
class Spent:
    """What messages took."""

    messages: int = 0
    wall: float = 0
    busy: float = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        began, worked = time.perf_counter(), time.process_time()
        yield
        self.wall += time.perf_counter() - began
        self.busy += time.process_time() - worked

    @property
    def milliseconds(self) -> float:
        """By the clock, for one message."""
        return self.wall / self.messages * 1e3

    @property
    def at_work(self) -> float:
        """Milliseconds of processor time for one message."""
        return self.busy / self.messages * 1e3


class _Ahead:
    """Has the messages that are due next made before they are asked for."""

    def __init__(self, sessions: Sessions, settings: Settings, count: int) -> None:
        self._drafts: dict[int, Draft] = {}
        self._made: dict[int, Composed | Ruling] = {}
        with reading(sessions) as session:
            due = session.scalars(
                select(Delivery)
                .where(Delivery.state == DeliveryState.PENDING)
                .order_by(Delivery.due_at, Delivery.id)
                .limit(count)
            ).all()
            for first in range(0, len(due), 100):
                self._make(session, settings, due[first : first + 100])

    def _make(
        self, session: Session, settings: Settings, some: Sequence[Delivery]
    ) -> None:
        facts = facts_of(session, some, at=NOON)
        read = composing.drafts(session, settings, some, facts)
        for draft, fact in zip(read, facts, strict=True):
            made = composing.compose(settings, draft, fact, at=NOON)
            if isinstance(made, Composed) and made.message:
                made.message.content  # noqa: B018 -- its bytes too
            self._drafts[draft.delivery.id] = draft
            self._made[draft.delivery.id] = made

    def drafts(
        self,
        session: Session,  # noqa: ARG002 -- as `composing` is asked
        settings: Settings,  # noqa: ARG002
        deliveries: Sequence[Delivery],
        facts: Sequence[Facts],  # noqa: ARG002
    ) -> list[Draft]:
        return [self._drafts[one.id] for one in deliveries]

    def compose(
        self,
        settings: Settings,  # noqa: ARG002
        draft: Draft,
        facts: Facts,  # noqa: ARG002
        *,
        at: datetime,  # noqa: ARG002
    ) -> Composed | Ruling:
        return self._made[draft.delivery.id]


def _workers(sessions: Sessions, settings: Settings, port: int) -> Result:
    """Measure processes beside each other, as an installation may run them."""
    own = replace(settings, smtp_url=f"smtp://127.0.0.1:{port}")
    before, at = _sent(sessions), NOON.isoformat()
    began = time.perf_counter()
    running = [
        subprocess.Popen(  # noqa: S603 -- our own command
            [Path(sys.executable).with_name("hamkhan"), "deliver", "--at", at],
            env={**os.environ, **environment(own)},  # noqa: TID251 -- for a child
            stdout=subprocess.DEVNULL,
        )
        for _ in range(WORKERS)
    ]
    if any(one.wait() for one in running):
        raise RuntimeError("a worker failed")
    ours = time.perf_counter() - began
    count = _sent(sessions) - before
    content = b"Subject: new\r\n\r\n" + (b"x" * 74 + b"\r\n") * 480
    spent = Spent(count)
    with spent.counted():
        _bare([content], port, count)
    bare = spent.wall
    return Result(
        f"keeps on disk: {WORKERS} workers sending {count:,} digests",
        {
            "ours a second, with their start": round(count / ours),
            "one bare loop a second": round(count / bare),
            "of the bare loop": round(bare / ours, 2),
        },
    )


def _sent(sessions: Sessions) -> int:
    with reading(sessions) as session:
        return session.scalars(
            select(func.count()).where(Delivery.state == DeliveryState.SENT)
        ).one()


def _bare(contents: list[bytes], port: int, count: int) -> None:
    smtp = smtplib.SMTP("127.0.0.1", port)
    for number in range(count):
        content = contents[number % len(contents)]
        smtp.sendmail("library@books.test", "ada@patrons.test", content)
    smtp.close()


@contextmanager
def _server(code: str) -> Iterator[int]:
    child = subprocess.Popen(  # noqa: S603 -- our own words
        [sys.executable, "-c", code], stdout=subprocess.PIPE
    )
    try:
        yield int(child.stdout.readline() if child.stdout else 0)
    finally:
        child.kill()
        child.wait()
