"""One source's bodies, page by page: fetched, parsed, in batches fit to be stored.

Nothing here touches the database: what has to be kept comes along with each batch.
"""

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from harvesters.fetching.logins import Login, basic
from harvesters.fetching.patience import fetch_patiently
from harvesters.formats import kbart, oai_pmh
from harvesters.formats.feed import parse_feed
from harvesters.formats.iso2709 import parse_iso2709
from harvesters.formats.json_feed import is_json_feed, parse_json_feed
from harvesters.formats.kbart import parse_kbart
from harvesters.formats.marc_text import parse_marc_json, parse_mrk
from harvesters.formats.marcxml import parse_marcxml
from harvesters.formats.onix import parse_onix
from harvesters.formats.streams import Capped, Joined, whole
from harvesters.formats.tabular import (
    WORKS,
    open_bytes,
    parse_works,
    read_table,
    unzipped,
)
from harvesters.koha import PER_PAGE, Koha, parse_biblios
from harvesters.records import Harvested
from harvesters.rows import batches
from library.errors import FetchFailed, InvalidInput, MalformedRecord
from library.fetching import fetch as fetching
from library.fetching.fetch import Fetched, Fetcher, Validators, fetch
from library.vocabulary import SourceKind

BATCH = 500
# Every repository takes whole days, and what is seen again changes nothing.
_OVERLAP = timedelta(days=1)
_MOST_YEARS = 30


@dataclass(frozen=True)
class Task:
    """What reading has to know of a source: plain values, no row."""

    id: int
    code: str
    kind: SourceKind
    url: str
    settings: Mapping[str, Any]
    validators: Validators
    body_hash: str | None
    cursor: Mapping[str, Any]
    login: Login | None = None


@dataclass(frozen=True)
class Batch:
    """Records to be stored together, with where to go on after them.

    Attributes:
        size: Bytes read for them.
        cursor: Stored in the same transaction; None leaves it as it is.
        fetched: The answer they came in, with the last batch of it.
        present: All refs of their document.
        body_hash: Of the whole document, with the last batch of it.
    """

    records: tuple[Harvested, ...]
    size: int = 0
    cursor: Mapping[str, Any] | None = None
    fetched: Fetched | None = None
    present: frozenset[str] = field(default=frozenset())
    body_hash: str | None = None


def read(task: Task, fetcher: Fetcher, *, at: datetime) -> Iterator[Batch]:
    """Yield what a source has, in batches; an unchanged one yields none with records.

    Raises:
        FetchFailed: It could not be read.
        MalformedRecord: What came is not what its kind says.
    """
    if task.kind == SourceKind.OAI_PMH:
        return _read_oai(task, fetcher, at=at)
    if task.kind == SourceKind.KOHA:
        return _read_koha(task, fetcher, at=at)
    if task.url.startswith("file:"):
        return _read_file(task)
    return _read_document(task, fetcher, at=at)


def parser_of(kind: SourceKind, settings: Mapping[str, Any]) -> "Parse":
    """Return what reads a stream of this kind.

    Raises:
        InvalidInput: This kind is not read as one document.
    """
    encoding = settings.get("encoding")
    match kind:
        case SourceKind.FEED:
            return lambda stream: parse_any_feed(whole(stream), "", {})
        case SourceKind.ONIX:
            return lambda stream: parse_onix(whole(stream))
        case SourceKind.KBART:
            return lambda stream: parse_kbart(read_table(stream, kbart.COLUMNS))
        case SourceKind.MARC:
            return lambda stream: _parse_marc(stream, encoding)
        case SourceKind.CSV:
            return lambda stream: parse_works(read_table(stream, WORKS))
    raise InvalidInput(f"a source of kind {kind.value} cannot be harvested")


Parse = Callable[[BinaryIO], Iterator[Harvested]]


def _read_document(task: Task, fetcher: Fetcher, *, at: datetime) -> Iterator[Batch]:
    limits = fetching.FEED if task.kind == SourceKind.FEED else fetching.FILE
    fetched = fetch(
        fetcher,
        task.url,
        at=at,
        validators=task.validators,
        headers=basic(task.login) if task.login else {},
        limits=limits,
    )
    if fetched.body is None:
        yield Batch((), fetched=fetched)
        return
    digest = hashlib.sha256(fetched.body).hexdigest()
    if digest == task.body_hash:
        yield Batch((), len(fetched.body), fetched=fetched, body_hash=digest)
        return
    yield from _batches(_parsed(task, fetched), fetched, digest)


def _parsed(task: Task, fetched: Fetched) -> Iterator[Harvested]:
    with unzipped(io.BytesIO(fetched.body or b"")) as unfolding:
        stream = io.BufferedReader(Capped(unfolding))
        if task.kind == SourceKind.FEED:
            yield from parse_any_feed(whole(stream), fetched.url, fetched.headers)
        else:
            yield from parser_of(task.kind, task.settings)(stream)


def parse_any_feed(
    body: bytes, url: str, headers: Mapping[str, str]
) -> Iterator[Harvested]:
    """Yield the records of an RSS, Atom or JSON feed; see `parse_feed`."""
    if is_json_feed(body):
        return parse_json_feed(body)
    return parse_feed(body, url=url, headers=headers)


def _batches(
    records: Iterator[Harvested], fetched: Fetched, digest: str
) -> Iterator[Batch]:
    found = list(records)
    present = frozenset(getattr(record, "ref", "") for record in found)
    for some in batches(found, BATCH):
        yield Batch(tuple(some), present=present)
    yield Batch(
        (), len(fetched.body or b""), fetched=fetched, present=present, body_hash=digest
    )


def _read_file(task: Task) -> Iterator[Batch]:
    path = Path(unquote(urlsplit(task.url).path))
    try:
        with open_bytes(path) as stream:
            for some in batches(parser_of(task.kind, task.settings)(stream), BATCH):
                yield Batch(tuple(some))
        yield Batch((), path.stat().st_size)
    except OSError as error:
        raise FetchFailed(f"{path}: {error.strerror}", cause="refused") from error


def _parse_marc(stream: BinaryIO, encoding: str | None) -> Iterator[Harvested]:
    beginning = stream.read(512)
    again = io.BufferedReader(Joined(beginning, stream))
    head = beginning.lstrip(b"\xef\xbb\xbf\xff\xfe \r\n\t\x00")
    if head[:1] == b"<":
        return parse_marcxml(again)
    if head[:1] in {b"{", b"["}:
        return parse_marc_json(again)
    if head.startswith(b"=LDR"):
        return parse_mrk(again)
    return parse_iso2709(again, encoding=encoding)


def _read_oai(task: Task, fetcher: Fetcher, *, at: datetime) -> Iterator[Batch]:
    """Yield page by page, going on where an earlier harvest was cut off.

    The whole range is read in spans of a year, so that a token that dies costs no more
    than its span.
    """
    cursor = dict(task.cursor)
    if "spans" not in cursor:
        cursor["spans"] = _spans(task, fetcher, cursor, at=at)
    while cursor["spans"]:
        for batch in _read_span(task, fetcher, cursor, at=at):
            cursor = dict(batch.cursor or {})
            yield batch
        if "spans" not in cursor:
            return


def _spans(
    task: Task, fetcher: Fetcher, cursor: Mapping[str, Any], *, at: datetime
) -> list[list[str | None]]:
    """Cut what is to be read into spans of days; the outer ends stay open."""
    if cursor.get("from") or cursor.get("token"):
        return [[cursor.get("from"), None]]
    try:
        about = _page(task, fetcher, oai_pmh.identify(task.url), at=at)
        earliest = oai_pmh.parse_earliest(about.body or b"")
    except (FetchFailed, MalformedRecord):
        earliest = None  # it lists its records all the same, or says itself why not
    first = max(earliest.year, at.year - _MOST_YEARS) if earliest else at.year
    years = [*range(first, at.year + 1)]
    starts = [None, *(f"{year}-01-01" for year in years[1:])]
    ends = [*(f"{year}-12-31" for year in years[:-1]), None]
    return [[start, end] for start, end in zip(starts, ends, strict=True)]


def _read_span(
    task: Task, fetcher: Fetcher, cursor: Mapping[str, Any], *, at: datetime
) -> Iterator[Batch]:
    """Yield the pages of the first span; a token that died begins it once more.

    Raises:
        TokenExpired: Its tokens die twice.
        MalformedRecord: A token came twice, which would have no end; or see `read`.
    """
    start, end = cursor["spans"][0]
    token = cursor.get("token")
    seen: set[str] = set()
    restarted = False
    only_set = task.settings.get("set")
    while True:
        url = oai_pmh.list_records(
            task.url,
            prefix=str(task.settings.get("prefix") or "oai_dc"),
            token=token,
            span=(start, end),
            only_set=str(only_set) if only_set else None,
        )
        fetched = _page(task, fetcher, url, at=at)
        try:
            page = oai_pmh.parse_page(fetched.body or b"")
        except oai_pmh.TokenExpired:
            if token is None or restarted:
                raise
            # What of it is there already changes nothing.
            token, restarted = None, True
            seen.clear()
            continue
        if page.token is not None and page.token in seen:
            raise MalformedRecord("the same resumption token a second time")
        seen.add(page.token or "")
        token = page.token
        cursor = _moved_on(cursor, page, at)
        yield Batch(page.records, len(fetched.body or b""), cursor=cursor)
        if token is None:
            return


def _page(task: Task, fetcher: Fetcher, url: str, *, at: datetime) -> Fetched:
    headers = basic(task.login) if task.login else {}
    return fetch_patiently(fetcher, url, at=at, headers=headers)


def _read_koha(task: Task, fetcher: Fetcher, *, at: datetime) -> Iterator[Batch]:
    """Yield the records changed since the last harvest, page by page."""
    koha = Koha.of(fetcher, task.url, task.login, task.settings, at=at)
    cursor = {"page": 1, "began": at.isoformat(), **task.cursor}
    while True:
        page = int(cursor["page"])
        body = koha.biblios(since=cursor.get("since"), page=page)
        records = tuple(parse_biblios(body))
        cursor["page"] = page + 1
        if len(records) < PER_PAGE:
            began = datetime.fromisoformat(cursor["began"])
            cursor = {"since": (began - _OVERLAP).isoformat()}
        yield Batch(records, len(body), cursor=dict(cursor))
        if "page" not in cursor:
            return


def _moved_on(
    cursor: Mapping[str, Any], page: oai_pmh.Page, at: datetime
) -> dict[str, Any]:
    """Return the cursor after a page; after the last one, where the next run begins."""
    moved = dict(cursor)
    # The server's clock at the first page, as ours may differ from it.
    first = moved.setdefault("began", (page.responded_at or at).isoformat())
    moved["token"] = page.token
    if page.token is not None:
        return moved
    moved["spans"] = moved["spans"][1:]
    if moved["spans"]:
        return moved
    began = datetime.fromisoformat(first).astimezone(UTC)
    return {"from": (began - _OVERLAP).date().isoformat()}
