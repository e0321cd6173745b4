"""What a source would bring: read once, its kind guessed, nothing stored."""

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from harvesters.discovery import feeds_of_page
from harvesters.formats.oai_pmh import list_records, parse_page
from harvesters.formats.sniffing import BEGINNING, kind_of, root_of
from harvesters.formats.streams import Capped, Joined, whole
from harvesters.formats.tabular import header_of, open_bytes, unzipped
from harvesters.reading import parse_any_feed, parser_of
from harvesters.records import Harvested, HarvestedRecord
from library.errors import FetchFailed, MalformedRecord, ServiceError
from library.fetching.fetch import FILE, Fetched, Fetcher, fetch
from library.vocabulary import SourceKind

_FEEDS_NAMED = 5
MOST_REJECTED = 10_000
"""Told of one source; the last one says how many more there are."""


@dataclass(frozen=True)
class Refused:
    """A record that could not be taken."""

    where: str
    why: str


@dataclass(frozen=True)
class Trial:
    """What one source would bring, or why it brings nothing."""

    source: str
    kind: str | None = None
    records: int = 0
    rejected: tuple[Refused, ...] = ()
    error: str | None = None
    shown: tuple[HarvestedRecord, ...] = ()


def try_sources(
    places: Iterable[str], fetcher: Fetcher, *, at: datetime, show: int = 0
) -> Iterator[Trial]:
    """Try each file, each file of each folder, and each address, in order."""
    for place in places:
        for each in _files_of(place):
            try:
                yield try_source(each, fetcher, at=at, show=show)
            except Exception as bug:  # noqa: BLE001 -- told; no source stops the others
                yield Trial(_shown(each), error=f"a fault of ours: {bug!r:.200}")


def try_source(place: str, fetcher: Fetcher, *, at: datetime, show: int = 0) -> Trial:
    """Read a file or address and tell what it holds; never raise for what it is.

    Args:
        place: A path, or an http or https address.
        fetcher: Who fetches.
        at: Now.
        show: So many records come along.
    """
    told = _Told(show)
    kind: SourceKind | None = None
    problem: str | None = None
    try:
        with _opened(place, fetcher, at=at) as (stream, fetched):
            beginning = stream.read(BEGINNING)
            again = io.BufferedReader(Joined(beginning, stream))
            kind = kind_of(beginning)
            parse = _parse_strange if kind is None else _parse
            for found in parse(again, kind or SourceKind.FEED, fetched):
                told.add(found)
                kind = kind or SourceKind.FEED
    except (ServiceError, OSError) as error:
        problem = getattr(error, "strerror", None) or str(error)
    return Trial(
        _shown(place),
        kind.value if kind else None,
        told.records,
        told.rejected(),
        problem,
        tuple(told.shown),
    )


def _shown(place: str) -> str:
    """Return a path as text that can be printed, whatever bytes it is made of."""
    return os.fsencode(place).decode(errors="replace")


class _Told:
    """What has been found so far."""

    def __init__(self, show: int) -> None:
        self.records = 0
        self.shown: list[HarvestedRecord] = []
        self._show = show
        self._bad: list[Refused] = []
        self._more = 0

    def add(self, found: Harvested) -> None:
        if isinstance(found, HarvestedRecord):
            self.records += 1
            self.shown += [found] if len(self.shown) < self._show else []
        elif len(self._bad) < MOST_REJECTED:
            self._bad.append(Refused(found.place, found.why))
        else:
            self._more += 1

    def rejected(self) -> tuple[Refused, ...]:
        more = [Refused("after these", f"{self._more} more")] if self._more else []
        return (*self._bad, *more)


def _files_of(place: str) -> Iterator[str]:
    folder = Path(place)
    try:
        is_folder = place != "" and "://" not in place and folder.is_dir()
    except OSError:  # a name that no file can have
        is_folder = False
    if not is_folder:
        yield place
        return
    yield from sorted(str(path) for path in folder.rglob("*") if path.is_file())


@contextmanager
def _opened(
    place: str, fetcher: Fetcher, *, at: datetime
) -> Iterator[tuple[BinaryIO, Fetched | None]]:
    if "://" in place:
        fetched = _fetched(place, fetcher, at=at)
        with unzipped(io.BytesIO(fetched.body or b"")) as stream:
            yield io.BufferedReader(Capped(stream)), fetched
        return
    path = Path(place)
    # What is no plain file, such as a pipe, might never end.
    if path.exists() and not path.is_file():
        raise FetchFailed("not a file", cause="refused")
    with open_bytes(path) as stream:
        yield stream, None


def _fetched(url: str, fetcher: Fetcher, *, at: datetime) -> Fetched:
    fetched = fetch(fetcher, url, at=at, limits=FILE)
    is_oai = _ask_oai(url, fetched)
    return fetch(fetcher, list_records(url), at=at, limits=FILE) if is_oai else fetched


def _ask_oai(url: str, fetched: Fetched) -> bool:
    """Tell whether this is the bare address of a repository, which lists nothing."""
    beginning = (fetched.body or b"")[:BEGINNING]
    return "verb=" not in url and kind_of(beginning) == SourceKind.OAI_PMH


def _parse(
    stream: BinaryIO, kind: SourceKind, fetched: Fetched | None
) -> Iterator[Harvested]:
    if kind == SourceKind.OAI_PMH:
        return iter(parse_page(whole(stream)).records)
    if kind == SourceKind.FEED and fetched is not None:
        return parse_any_feed(whole(stream), fetched.url, fetched.headers)
    return parser_of(kind, {})(stream)


def _parse_strange(
    stream: BinaryIO, kind: SourceKind, fetched: Fetched | None
) -> Iterator[Harvested]:
    """Read what nothing tells the kind of: some feeds stand inside something else.

    Raises:
        MalformedRecord: It is no feed either; the words say what it looks like.
    """
    body = whole(stream)
    if not body.strip(b"\0 \t\r\n"):
        raise MalformedRecord("it is empty")
    if root := root_of(body[:BEGINNING]):
        try:
            yield from _parse(io.BytesIO(body), kind, fetched)
        except MalformedRecord as error:
            what = f"XML under <{root}>, and no source that is read"
            if root.lower() == "html":
                what = _words_of_page(body, fetched.url if fetched else "")
            raise MalformedRecord(what) from error
        return
    if body.lstrip()[:1] in {b"{", b"["}:
        raise MalformedRecord("JSON, and no JSON Feed")
    header = ", ".join(header_of(body[:BEGINNING]))
    raise MalformedRecord(f"line 1: no column that is known: {header[:100]}")


def _words_of_page(body: bytes, url: str) -> str:
    feeds = list(islice(feeds_of_page(body, url), _FEEDS_NAMED))
    if not feeds:
        return "a web page, and no source that is read"
    return f"a web page; its feeds: {', '.join(feed.url for feed in feeds)}"
