"""Rendering a digest of ten works, and the sending loop against a bare smtplib loop.

Both loops hand the same bytes to the same server in the same run; ours also claims,
asks the gate, renders, and settles each message in the database.
"""

from __future__ import annotations

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
from tests.notifier.cast import make_match

PATRONS = 50_000 if FULL else 300
WORKS = 10
_SERVER = """
import asyncio
async def talk(reader, writer):
    writer.write(b"220 ready\\r\\n")
    while line := await reader.readline():
        verb = line[:4].upper()
        if verb == b"DATA":
            writer.write(b"354 go on\\r\\n")
            await reader.readuntil(b"\\r\\n.\\r\\n")
        elif verb == b"EHLO":
            writer.write(b"250-bench\\r\\n")
        writer.write(b"250 fine\\r\\n")
async def main():
    server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=2**22)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


class _Kept:
    """The e-mail channel, keeping what it hands over."""

    def __init__(self, url: str) -> None:
        self._inner = EmailChannel(parse_server(url))
        self.messages: list[Message] = []
        self.open, self.close = self._inner.open, self._inner.close

        self.answer = self._inner.answer

    def hand_over(self, message: Message, *, before: datetime) -> None:
        self.messages.append(message)
        self._inner.hand_over(message, before=before)


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder, _server() as port:
        url = f"smtp://127.0.0.1:{port}"
        settings = replace(Settings(), home=Path(folder), secret=folder, smtp_url=url)
        sessions = _digests(settings)
        return [_rendering(sessions, settings), _loops(sessions, settings, port)]


def _digests(settings: Settings) -> Sessions:
    engine = make_engine(settings.database)
    upgrade(engine)
    sessions = make_sessions(engine)
    with sessions.begin() as session:
        works = [
            make_work(session, f"A work of some length, number {n}", creator=f"By {n}")
            for n in range(WORKS)
        ]
        for number in range(PATRONS):
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


def _loops(sessions: Sessions, settings: Settings, port: int) -> Result:
    channel = _Kept(settings.smtp_url)
    began = time.perf_counter()
    deliver_due(
        sessions, settings, at=NOON, worker="bench", channels={Channel.EMAIL: channel}
    )
    ours = time.perf_counter() - began
    contents = [to_bytes(message) for message in channel.messages]
    began = time.perf_counter()
    smtp = smtplib.SMTP("127.0.0.1", port)
    for message, content in zip(channel.messages, contents, strict=True):
        smtp.sendmail(message.envelope_sender, message.to.address, content)
    smtp.close()
    bare = time.perf_counter() - began
    return Result(
        f"sending {len(contents):,} digests",
        {
            "ours a second": round(len(contents) / ours),
            "bare a second": round(len(contents) / bare),
            "of the bare loop": round(bare / ours, 2),
        },
    )


@contextmanager
def _server() -> Iterator[int]:
    child = subprocess.Popen(  # noqa: S603 -- our own words
        [sys.executable, "-c", _SERVER], stdout=subprocess.PIPE
    )
    try:
        yield int(child.stdout.readline() if child.stdout else 0)
    finally:
        child.kill()
        child.wait()
