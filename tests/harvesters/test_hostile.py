"""Twenty hostile sources: each ends within its limits, is named, and harms no other."""

import resource
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from harvesters.harvesting import HarvestReport, harvest
from harvesters.sources import add_source, list_sources
from library.db import Sessions, reading
from library.fetching.fetch import Fetcher, Limits
from library.settings import Settings
from library.tables import BibRecord, Harvest, Source, Work
from library.vocabulary import SourceKind
from tests.factories import NOON
from tests.loopback import Answer, Guard, Site

pytestmark = pytest.mark.slow

LIMITS = Limits(size=2_000_000, seconds=2.0)
XML = {"Content-Type": "application/xml"}


def rss(inside: str, prolog: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?>{prolog}<rss version="2.0"><channel><title>t</title>'
        f"{inside}</channel></rss>"
    ).encode()


def entry(title: str, guid: str, more: str = "") -> str:
    return f"<item><title>{title}</title><guid>{guid}</guid>{more}</item>"


def drip(connection: Any) -> None:
    connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n<rss>")
    for _ in range(200):
        connection.write(b" ")
        connection.flush()
        time.sleep(0.05)


def endless(connection: Any) -> None:
    connection.write(b"HTTP/1.1 200 OK\r\n\r\n<rss>")
    for _ in range(2000):  # bounded by its own count, far beyond the cap
        connection.write(b"x" * 65536)


def bomb(connection: Any) -> None:
    """Send 10 GB of zeros as gzip: the same full block again and again."""
    squeeze = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    head = squeeze.compress(bytes(2**20)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    block = squeeze.compress(bytes(2**24)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    connection.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + head)
    for _ in range(640):
        connection.write(block)


def wrong_length(connection: Any) -> None:
    body = rss(entry("Cut off", "1"))
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body) + 500}\r\n\r\n"
    connection.write(head.encode() + body)


def changing() -> Callable[[object], Answer]:
    count = iter(range(1000))
    return lambda _: Answer(
        rss(
            "".join(
                entry(f"The changing study of field {n}", f"id-{next(count)}")
                for n in range(10)
            )
        )
    )


ENTITIES = (
    '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">'
        for a, b in zip("abcdefghi", "bcdefghij", strict=True)
    )
    + "]>"
)
MILLION = b"<rss version='2.0'><channel>" + b"<item/>" * 1_000_000
NULS = rss(entry("No\x00thing to see", "nul"))
WRONG_UTF8 = rss(entry("Caf@", "u")).replace(b"@", b"\xe9")
DATES = rss(
    "".join(
        entry(f"A study dated in the year {year}", year, f"<pubDate>{year}</pubDate>")
        for year in ("0000-00-00", "9999-12-31", "-5", "99999999")
    )
)
SCRIPT = "&lt;script&gt;alert(1)&lt;/script&gt;Safe &lt;img src=x onerror=alert(1)&gt;"
SCRIPTED = rss(entry(SCRIPT, "s", "<link>javascript:alert(1)</link>"))
DUPLICATES = rss("".join(entry(f"A study of the number {n}", "same") for n in range(9)))

# Each: what the site answers, the cause that health shows, and how many records.
SOURCES: dict[str, tuple[object, str | None, int]] = {
    "drip": (Answer(write=drip), "timeout", 0),
    "endless": (Answer(write=endless), "too_large", 0),
    "gzip-bomb": (Answer(write=bomb), "too_large", 0),
    "entity-bomb": (Answer(rss(entry("&j;", "1"), ENTITIES)), None, 1),
    "loop": (Answer(status=302, headers={"Location": "/loop"}), "redirect", 0),
    "to-metadata": (
        Answer(status=302, headers={"Location": "http://169.254.169.254/"}),
        "not_allowed",
        0,
    ),
    "to-loopback": (
        Answer(status=302, headers={"Location": "http://[::1]:9/"}),
        "not_allowed",
        0,
    ),
    "wrong-length": (Answer(write=wrong_length), "encoding", 0),
    "no-utf8": (Answer(WRONG_UTF8, headers=XML), None, 1),
    "million": (Answer(MILLION[:1_900_000]), "malformed", 0),
    "duplicates": (Answer(DUPLICATES), None, 9),
    "changing-ids": (changing(), None, 10),
    "odd-dates": (Answer(DATES), None, 4),
    "nul-bytes": (Answer(NULS), None, 1),
    "html": (Answer(b"<!DOCTYPE html><html><body>hello</body></html>"), "malformed", 0),
    "not-modified": (Answer(status=304, headers={"X": "y"}), "status", 0),
    "busy": (Answer(status=429, headers={"Retry-After": "600"}), "status", 0),
    "down": (Answer(status=503), "status", 0),
    "script": (Answer(SCRIPTED), None, 1),
}


@contextmanager
def half_handshake() -> Iterator[int]:
    """Accept connections and say nothing of a TLS handshake."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.sendall(b"\x16\x03\x03")
            taken.append(connection)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in taken:
            connection.close()


def rebinding(rounds: list[list[str]]) -> Callable[[str, int], Sequence[str]]:
    """A name server that answers something else each time."""

    def resolver(host: str, port: int) -> Sequence[str]:
        if host.endswith(".test"):
            return rounds.pop(0)
        return ["127.0.0.1"]

    return resolver


def test_each_ends_is_named_and_harms_no_other(
    sessions: Sessions, site: Site, guard: Guard
) -> None:
    for name, (page, _, _) in SOURCES.items():
        site.serve(f"/{name}", page)  # type: ignore[arg-type]
    site.serve("/good", rss(entry("A good book for all", "1")))
    rounds = [["127.0.0.1"], ["127.0.0.1"]]
    with half_handshake() as tls:
        fetcher = replace(
            site.fetcher(),
            limits=LIMITS,
            allow=(site.place, f"127.0.0.1:{tls}"),
            resolver=rebinding(rounds),
        )
        urls = {name: f"{site.url}/{name}" for name in ("good", *SOURCES)}
        urls["tls"] = f"https://127.0.0.1:{tls}/"
        urls["rebinding"] = f"http://books.test:{site.place.rpartition(':')[2]}/good"
        reports = {
            name: read(sessions, fetcher, name, url) for name, url in urls.items()
        }

    causes = {name: report.cause for name, report in reports.items()}
    assert causes == {
        **{name: cause for name, (_, cause, _) in SOURCES.items()},
        "good": None,
        "tls": "timeout",
        "rebinding": "not_allowed",
    }
    for name, (_, _, records) in SOURCES.items():
        assert reports[name].added == records, name
    assert guard.tripped == []
    check_health(sessions, causes)
    check_text(sessions)


def read(sessions: Sessions, fetcher: Fetcher, name: str, url: str) -> HarvestReport:
    with sessions.begin() as session:
        add_source(session, name, SourceKind.FEED, url, at=NOON)
    begun, worked = time.monotonic(), time.thread_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = harvest(sessions, Settings(), name, at=NOON, fetcher=fetcher)
    assert time.thread_time() - worked < 1, name
    if report.cause == "timeout":  # all else ends sooner, however slow the machine
        assert time.monotonic() - begun < LIMITS.seconds + 1, name
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100 * 1024, f"{name} took {grown} KiB"
    return report


def check_health(sessions: Sessions, causes: dict[str, str | None]) -> None:
    with reading(sessions) as session:
        rows = {row.code: row for row in list_sources(session)}
        runs = select(Source.code, Harvest.cause)
        rows_of_runs = session.execute(
            runs.join(Harvest, Harvest.source_id == Source.id)
        ).all()
    stored = dict(rows_of_runs)
    for name, cause in causes.items():
        assert stored[name] == cause
        assert rows[name].failures == (cause is not None)
        assert rows[name].next_check_at > NOON  # type: ignore[operator]


def check_text(sessions: Sessions) -> None:
    with reading(sessions) as session:
        titles = set(session.scalars(select(Work.title)))
        links = [url for url in session.scalars(select(BibRecord.url)) if url]
    assert {"Café", "Safe", "Nothing to see"} <= titles
    assert not any("<" in title or "\x00" in title for title in titles)
    assert max(map(len, titles)) < 50  # no entity was expanded
    assert all(link.startswith("http") for link in links)


def test_changing_ids_bring_the_same_records(sessions: Sessions, site: Site) -> None:
    site.serve("/feed", changing())
    fetcher = site.fetcher()
    read(sessions, fetcher, "feed", f"{site.url}/feed")

    again = harvest(sessions, Settings(), "feed", at=NOON, fetcher=fetcher)

    assert (again.added, again.acquisitions) == (0, 0)
    with reading(sessions) as session:
        assert len(session.scalars(select(BibRecord)).all()) == 10
