"""Harvesting: MARC files to rows, feeds to records, sources that did not change.

The bare sides are a pymarc read loop and `feedparser.parse` over the same bytes, in
turns in the same run. FULL also reads a MARC file of 1 GB and tells the memory.
"""

from __future__ import annotations

import io
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import feedparser
from pymarc import Field, Indicators, MARCReader, Record, Subfield
from sqlalchemy import func, select

from bench.libraries import NOON
from bench.measuring import FULL, Result, megabytes
from harvesters.formats.feed import parse_feed
from harvesters.formats.iso2709 import parse_iso2709
from harvesters.harvesting import harvest, harvest_due
from harvesters.sources import add_source
from library.db import Sessions, make_engine, make_sessions, reading
from library.migrate import upgrade
from library.settings import Settings
from library.tables import Source
from library.vocabulary import SourceKind

RECORDS = 20_000 if FULL else 4_000
ENTRIES = 200
SOURCES = 1_000 if FULL else 200
GIGABYTE = 10**9


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "works.mrc"
        write_marc(path, RECORDS)
        results = [_marc(path, Path(folder)), _feeds(), _unchanged(Path(folder))]
        if FULL:
            results.append(_large(Path(folder)))
    return results


def write_marc(path: Path, records: int) -> None:
    """Write so many records as a library of moderate care has them."""
    with path.open("wb") as file:
        for number in range(records):
            file.write(marc_record(number).as_marc())


def marc_record(number: int) -> Record:
    def field(tag: str, *parts: str) -> Field:
        subfields = [Subfield(part[0], part[1:]) for part in parts]
        return Field(tag, Indicators("1", "0"), subfields=subfields)

    record = Record(force_utf8=True)
    record.add_field(Field("001", data=f"bib{number}"))
    record.add_field(Field("008", data="800101s1980    nyu           000 0 eng d"))
    record.add_field(
        field("082", f"a{number % 1000 / 10:.1f}"),
        field("100", f"aAuthor, Number {number % 4000},", "d1934-1996."),
        field("245", f"aReport {number} of the survey :", "ba study /", "cby them."),
        field("260", "aNew York :", "bRandom House,", f"c{1950 + number % 70}."),
        field("300", "axvi, 365 p. :", "bill. ;", "c27 cm."),
        field("490", f"aSurveys ; {number % 50}"),
        field("500", "aIncludes index."),
        field("504", "aBibliography: p. 350-353."),
        field("520", "aWhat was found in the field, told by those who went. " * 4),
        field("650", f"aSubject {number % 900}", "xHistory."),
        field("650", f"aSubject {number % 77}", "zIran."),
        field("700", f"aHelper, Second {number % 2500}."),
    )
    return record


def feed(number: int) -> bytes:
    """Return an RSS document of a source."""
    items = "".join(
        f"<item><title>Report {number} {n} of the survey</title>"
        f"<link>http://x.test/{number}/{n}</link><guid>{number}-{n}</guid>"
        f"<author>Author {n}</author><category>Subject {n % 9}</category>"
        "<pubDate>Sun, 01 Mar 2026 12:00:00 GMT</pubDate>"
        f"<description>&lt;p&gt;What was found in field {n}.&lt;/p&gt;</description>"
        "</item>"
        for n in range(ENTRIES)
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel>'
        f"<title>New at {number}</title>{items}</channel></rss>"
    ).encode()


@contextmanager
def database(folder: Path, name: str) -> Iterator[Sessions]:
    engine = make_engine(f"sqlite:///{folder / name}.db")
    upgrade(engine)
    yield make_sessions(engine)
    engine.dispose()


def _marc(path: Path, folder: Path) -> Result:
    bare, stored = [], []
    for turn in range(3):
        began = time.perf_counter()
        with path.open("rb") as file:
            assert sum(1 for _ in MARCReader(file)) == RECORDS
        bare.append(time.perf_counter() - began)
        with database(folder, f"marc{turn}") as sessions:
            _add(sessions, "marc", SourceKind.MARC, str(path))
            began = time.perf_counter()
            report = harvest(sessions, Settings(), "marc", at=NOON)
            stored.append(time.perf_counter() - began)
            assert report.added == RECORDS, report
    return Result(
        "a MARC file into SQLite, beside a bare pymarc loop",
        {
            "records/s": round(RECORDS / min(stored)),
            "bare records/s": round(RECORDS / min(bare)),
            "ratio": round(min(bare) / min(stored), 3),
        },
    )


def _feeds() -> Result:
    bodies = [feed(number) for number in range(10)]
    bare, ours = [], []
    for _ in range(3):
        began = time.perf_counter()
        for body in bodies:
            assert len(feedparser.parse(io.BytesIO(body)).entries) == ENTRIES
        bare.append(time.perf_counter() - began)
        began = time.perf_counter()
        for body in bodies:
            assert sum(1 for _ in parse_feed(body)) == ENTRIES
        ours.append(time.perf_counter() - began)
    entries = ENTRIES * len(bodies)
    return Result(
        "feeds into records, beside a bare feedparser.parse",
        {
            "entries/s": round(entries / min(ours)),
            "bare entries/s": round(entries / min(bare)),
            "ratio": round(min(bare) / min(ours), 2),
        },
    )


def _unchanged(folder: Path) -> Result:
    """Poll sources that answer 304, all on one loopback host that is allowed."""
    with database(folder, "unchanged") as sessions, _not_modified() as place:
        settings = Settings(fetch_allow=(place,))
        with sessions.begin() as session:
            for number in range(SOURCES):
                source = add_source(
                    session,
                    f"s{number}",
                    SourceKind.FEED,
                    f"http://{place}/{number}",
                    at=NOON,
                )
                source.etag = '"same"'
        began = time.perf_counter()
        reports = harvest_due(sessions, settings, at=NOON)
        seconds = time.perf_counter() - began
        assert [report for report in reports if report.error] == []
        later = NOON + timedelta(minutes=1)
        with reading(sessions) as session:
            due = select(func.count()).where(Source.next_check_at <= later)
            assert session.scalar(due) == 0
    return Result(
        "sources that answer 304",
        {"sources": SOURCES, "seconds": round(seconds, 1)},
    )


@contextmanager
def _not_modified() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(304)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=partial(server.serve_forever, 0.02), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def _large(folder: Path) -> Result:
    """Read a file of 1 GB: memory after the first tenth, and at its end."""
    path = folder / "large.mrc"
    some = b"".join(marc_record(number).as_marc() for number in range(1000))
    with path.open("wb") as file:
        for _ in range(GIGABYTE // len(some) + 1):
            file.write(some)
    total = path.stat().st_size // len(some) * 1000
    began, early, read = time.perf_counter(), 0, 0
    with path.open("rb") as stream:
        for read, _ in enumerate(parse_iso2709(stream), 1):
            if read == total // 10:
                early = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    late = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Result(
        "a MARC file of 1 GB, read",
        {
            "records": read,
            "seconds": round(time.perf_counter() - began),
            "MB after a tenth": megabytes(early),
            "MB at the end": megabytes(late),
        },
    )


def _add(sessions: Sessions, code: str, kind: SourceKind, url: str) -> None:
    with sessions.begin() as session:
        add_source(session, code, kind, url, allow_files=True, at=NOON)
