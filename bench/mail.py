"""Rendering a digest of ten works, and the sending loop against a bare smtplib loop.

Both loops hand the same bytes to the same server in the same run; ours also claims,
asks the gate, renders, and settles each message in the database. Three servers: one
that only answers, aiosmtpd, and one that has a message on its disk before it says yes,
as RFC 5321 (6.1) wants of a server that takes the responsibility.
"""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from statistics import median

from sqlalchemy import select

from bench.measuring import FULL, Result
from library.db import Sessions, make_engine, make_sessions
from library.migrate import upgrade
from library.settings import Settings
from library.tables import Delivery
from library.vocabulary import Channel, ConsentPurpose
from notifier.alerting import make_alerts
from notifier.channels.email import EmailChannel, parse_server
from notifier.composing import Composed, compose, drafts, facts_of
from notifier.delivery import deliver_due
from notifier.message import Message, to_bytes
from tests.factories import NOON, make_patron, make_work
from tests.faults.rounds import environment
from tests.notifier.cast import make_match

PATRONS = 50_000 if FULL else 400
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
        each = PATRONS // (len(SERVERS) + 1)
        for name, code in SERVERS.items():
            with _server(code) as port:
                results.append(_loops(sessions, settings, name, port, each))
        with _server(SERVERS["keeps on disk"]) as port:
            results.append(_workers(settings, port, each))
        return results


def _digests(settings: Settings) -> Sessions:
    engine = make_engine(settings.database)
    upgrade(engine)
    sessions = make_sessions(engine)
    with sessions.begin() as session:
        works = [
            make_work(session, f"A work of some length, number {n}", creator=f"By {n}")
            for n in range(WORKS)
        ]
    # A few patrons a session: it looks at all it has whenever it writes.
    for first in range(0, PATRONS, 10):
        with sessions.begin() as session:
            for number in range(first, min(first + 10, PATRONS)):
                patron = make_patron(
                    session, f"Patron{number}", consents=(ConsentPurpose.ALERTS,)
                )
                for work in works:
                    make_match(session, patron, work)
    make_alerts(sessions, settings, at=NOON)
    return sessions


def _rendering(sessions: Sessions, settings: Settings) -> Result:
    with sessions.begin() as session:
        deliveries = session.scalars(select(Delivery).limit(50)).all()
        began = time.process_time()
        facts = facts_of(session, deliveries, at=NOON)
        read = drafts(session, settings, deliveries, facts)
        reading = (time.process_time() - began) / len(deliveries)
        rendered, written = [], []
        for draft, fact in [*zip(read, facts, strict=True)] * 4:
            began = time.process_time()
            made = compose(settings, draft, fact, at=NOON)
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
) -> Result:
    channel = _Kept(f"smtp://127.0.0.1:{port}")
    began, worked = time.perf_counter(), time.process_time()
    report = deliver_due(
        sessions,
        settings,
        at=NOON,
        worker="bench",
        limit=count,
        channels={Channel.EMAIL: channel},
    )
    ours, busy = time.perf_counter() - began, time.process_time() - worked
    contents = [to_bytes(message) for message in channel.messages]
    bare, bare_busy = _bare(contents, port, report.sent)
    return Result(
        f"{server}: sending {report.sent:,} digests",
        {
            "ours a second": round(report.sent / ours),
            "bare a second": round(report.sent / bare),
            "of the bare loop": round(bare / ours, 2),
            "ours at work, ms": round(busy / report.sent * 1e3, 2),
            "bare at work, ms": round(bare_busy / report.sent * 1e3, 2),
        },
    )


def _workers(settings: Settings, port: int, count: int) -> Result:
    """Measure processes beside each other, as an installation may run them."""
    own = replace(settings, smtp_url=f"smtp://127.0.0.1:{port}")
    began = time.perf_counter()
    running = [
        subprocess.Popen(  # noqa: S603 -- our own module
            [
                *(sys.executable, "-m", "tests.faults.courier"),
                *("deliver", NOON.isoformat(), f"bench{number}"),
            ],
            env={**os.environ, **environment(own)},  # noqa: TID251 -- for a child
        )
        for number in range(WORKERS)
    ]
    for one in running:
        one.wait()
    ours = time.perf_counter() - began
    content = b"Subject: new\r\n\r\n" + (b"x" * 74 + b"\r\n") * 480
    bare, _ = _bare([content], port, count)
    return Result(
        f"keeps on disk: {WORKERS} workers sending {count:,} digests",
        {
            "ours a second, with their start": round(count / ours),
            "one bare loop a second": round(count / bare),
            "of the bare loop": round(bare / ours, 2),
        },
    )


def _bare(contents: list[bytes], port: int, count: int) -> tuple[float, float]:
    """Return how long a bare loop takes, and how much of it it works."""
    began, worked = time.perf_counter(), time.process_time()
    smtp = smtplib.SMTP("127.0.0.1", port)
    for number in range(count):
        content = contents[number % len(contents)]
        smtp.sendmail("library@books.test", "ada@patrons.test", content)
    smtp.close()
    return time.perf_counter() - began, time.process_time() - worked


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
