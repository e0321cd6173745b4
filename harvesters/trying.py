"""What a source would bring: read once, its kind guessed, nothing stored."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from harvesters.fetching.fetch import FILE, Fetcher, fetch
from harvesters.formats.feed import parse_feed
from harvesters.formats.json_feed import is_json_feed
from harvesters.formats.oai_pmh import list_records, parse_page
from harvesters.formats.tabular import open_bytes
from harvesters.reading import parser_of
from harvesters.records import Harvested, HarvestedRecord
from library.errors import FetchFailed, ServiceError
from library.vocabulary import SourceKind

_MOST_REJECTED = 100
_ROOT = re.compile(rb"<(?:[\w.-]{1,40}:)?([A-Za-z][\w.-]{0,40})[\s>/]")
_ROOTS = {
    b"oai-pmh": SourceKind.OAI_PMH,
    b"collection": SourceKind.MARC,
    b"record": SourceKind.MARC,
    b"onixmessage": SourceKind.ONIX,
}


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


def try_source(
    place: str,
    fetcher: Fetcher,
    *,
    at: datetime,
    kind: SourceKind | None = None,
    show: int = 0,
) -> Trial:
    """Read a file or address and tell what it holds; never raise for what it is.

    Args:
        place: A path, or an http or https address.
        fetcher: Who fetches.
        at: Now.
        kind: How to read it; guessed from its beginning unless given.
        show: So many records come along.
    """
    try:
        body = _body(place, fetcher, kind, at=at)
    except ServiceError as error:
        return Trial(place, kind.value if kind else None, error=str(error))
    kind = kind or kind_of(body)
    good, problem = 0, None
    bad: list[Refused] = []
    shown: list[HarvestedRecord] = []
    try:
        for found in _parse(body, kind, place):
            if isinstance(found, HarvestedRecord):
                good += 1
                shown += [found] if len(shown) < show else []
            elif len(bad) < _MOST_REJECTED:
                bad.append(Refused(found.place, found.why))
    except ServiceError as error:
        problem = str(error)
    return Trial(place, kind.value, good, tuple(bad), problem, tuple(shown))


def kind_of(body: bytes) -> SourceKind:
    """Guess what a body is from its beginning."""
    head = body[:2000].lstrip(b"\xef\xbb\xbf \t\r\n")
    if is_json_feed(head):
        return SourceKind.FEED
    if head.startswith(b"<") or head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        root = _ROOT.search(re.sub(rb"<!--.*?(?:-->|$)|\x00", b"", head))
        return _ROOTS.get(root[1].lower() if root else b"", SourceKind.FEED)
    if head[:5].isdigit() and head[12:17].isdigit():
        return SourceKind.MARC
    first = head.partition(b"\n")[0].lower()
    return SourceKind.KBART if b"publication_title" in first else SourceKind.CSV


def _body(
    place: str, fetcher: Fetcher, kind: SourceKind | None, *, at: datetime
) -> bytes:
    if "://" in place:
        url = list_records(place) if kind == SourceKind.OAI_PMH else place
        return fetch(fetcher, url, at=at, limits=FILE).body or b""
    try:
        with open_bytes(Path(place)) as stream:
            body = stream.read(FILE.size + 1)
    except OSError as error:
        raise FetchFailed(error.strerror or str(error), cause="refused") from error
    if len(body) > FILE.size:
        raise FetchFailed(f"more than {FILE.size} bytes", cause="too_large")
    return body


def _parse(body: bytes, kind: SourceKind, place: str) -> Iterator[Harvested]:
    if kind == SourceKind.OAI_PMH:
        return iter(parse_page(body).records)
    if kind == SourceKind.FEED and not is_json_feed(body):
        return parse_feed(body, url=place if "://" in place else "")
    settings: dict[str, Any] = {}
    return parser_of(kind, settings)(io.BytesIO(body))
