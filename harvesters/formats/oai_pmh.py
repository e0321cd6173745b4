"""OAI-PMH answers to harvested records, and the requests that ask for them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode, urlsplit

from harvesters.formats.charsets import rescued_xml
from harvesters.formats.marc import record_of
from harvesters.formats.marcxml import fields_of
from harvesters.formats.safe_html import summary_text, title_text, web_link
from harvesters.formats.xml import Element, children, local_name, parse_xml, text_of
from harvesters.records import (
    Harvested,
    HarvestedRecord,
    Heading,
    Rejected,
    plain,
    short_ref,
)
from library.errors import MalformedRecord
from library.text import doi, isbn13, issn


class TokenExpired(MalformedRecord):
    """The repository does not know our resumption token any more."""


@dataclass(frozen=True)
class Page:
    """One answer to ListRecords.

    Attributes:
        token: Asks for the next page; None on the last one.
        responded_at: The repository's own clock.
    """

    records: tuple[Harvested, ...]
    token: str | None
    responded_at: datetime | None


def identify(base: str) -> str:
    """Return the address that asks a repository about itself."""
    return _asking(base, {"verb": "Identify"})


def parse_earliest(body: bytes) -> datetime | None:
    """Return the datestamp before which a repository has nothing; None untold.

    Raises:
        MalformedRecord: It is no OAI-PMH answer.
    """
    about = next(iter(children(_answer(body), "Identify")), None)
    if about is None:
        return None
    return parse_moment(text_of(next(iter(children(about, "earliestDatestamp")), None)))


def list_records(
    base: str,
    *,
    prefix: str = "oai_dc",
    token: str | None = None,
    span: tuple[str | None, str | None] = (None, None),
    only_set: str | None = None,
) -> str:
    """Return the address that asks for a page of records."""
    if token is not None:
        return _asking(base, {"verb": "ListRecords", "resumptionToken": token})
    arguments = {
        "verb": "ListRecords",
        "metadataPrefix": prefix,
        "from": span[0],
        "until": span[1],
        "set": only_set,
    }
    return _asking(base, {name: value for name, value in arguments.items() if value})


def parse_page(body: bytes) -> Page:
    """Read one answer to ListRecords.

    An answer without records because none match is an empty page.

    Raises:
        TokenExpired: The repository refuses the resumption token.
        MalformedRecord: It is no OAI-PMH answer, or another error.
    """
    root = _answer(body)
    error = next(iter(children(root, "error")), None)
    if error is not None and not _no_records(error):
        raise _failure(error)
    lists = [*children(root, "ListRecords"), *children(root, "GetRecord")]
    if not lists and error is None:
        raise MalformedRecord("an OAI-PMH answer without ListRecords")
    found = [record for each in lists for record in children(each, "record")]
    token = "".join(
        text_of(mark) for each in lists for mark in children(each, "resumptionToken")
    )
    return Page(
        tuple(_record(record, number) for number, record in enumerate(found, 1)),
        token or None,
        parse_moment(text_of(next(iter(children(root, "responseDate")), None))),
    )


def parse_moment(text: str) -> datetime | None:
    """Read a UTC datestamp of either granularity; None if it is none."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _asking(base: str, arguments: Mapping[str, str | None]) -> str:
    query = urlencode({name: value or "" for name, value in arguments.items()})
    return f"{base}{'&' if urlsplit(base).query else '?'}{query}"


def _answer(body: bytes) -> Element:
    root = parse_xml(rescued_xml(body))
    if local_name(root) != "OAI-PMH":
        raise MalformedRecord(f"not an OAI-PMH answer: <{local_name(root)[:40]}>")
    return root


def _no_records(error: Element) -> bool:
    return error.get("code") == "noRecordsMatch"


def _failure(error: Element) -> MalformedRecord:
    code = plain(str(error.get("code") or "error"), 60)
    message = f"{code}: {plain(text_of(error), 300)}"
    return (TokenExpired if code == "badResumptionToken" else MalformedRecord)(message)


def _record(record: Element, number: int) -> Harvested:
    header = next(iter(children(record, "header")), None)
    names = [] if header is None else children(header, "identifier")
    ref = text_of(next(iter(names), None))
    if header is None or not ref:
        return Rejected(f"record {number}", "no identifier in its header")
    if header.get("status") == "deleted":
        return HarvestedRecord(ref=short_ref(ref), title="", withdrawn=True)
    metadata = next(iter(children(record, "metadata")), None)
    content = None if metadata is None else next(_elements(metadata), None)
    if content is None:
        return Rejected(short_ref(ref), "no metadata")
    if local_name(content) == "record":
        return record_of(fields_of(content), place=short_ref(ref), ref=short_ref(ref))
    return _dublin_core(content, short_ref(ref))


def _elements(parent: Element) -> Iterator[Element]:
    return (child for child in parent if local_name(child))


def _dublin_core(content: Element, ref: str) -> Harvested:
    values: dict[str, list[str]] = {}
    for child in _elements(content):
        values.setdefault(local_name(child), []).append(text_of(child))
    title = title_text(next((t for t in values.get("title", []) if t), ""))
    if not title:
        return Rejected(ref, "no title")
    identifiers = values.get("identifier", []) + values.get("source", [])
    dates = [date for date in values.get("date", []) if re.search(r"\d", date)]
    return HarvestedRecord(
        ref=ref,
        title=title,
        creators=_plain_all(values.get("creator", []) or values.get("contributor", [])),
        language=next(iter(_plain_all(values.get("language", []))), "")[:10] or None,
        year=plain(dates[0], 100) if dates else None,
        isbn=next(filter(None, map(isbn13, identifiers)), None),
        issn=next(filter(None, map(issn, identifiers)), None),
        doi=next(filter(None, map(doi, identifiers)), None),
        subjects=tuple(
            Heading("local", label[:300])
            for label in _plain_all(values.get("subject", []))
        ),
        format=next(iter(_plain_all(values.get("type", []))), None),
        url=next(filter(None, map(web_link, identifiers)), None),
        summary=summary_text(" ".join(values.get("description", []))),
        raw={name: list(found) for name, found in _fit(values)},
    )


def _fit(values: Mapping[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
    for name, found in values.items():
        if name != "description":  # long, and kept as the summary
            yield plain(name, 60), [plain(text) for text in found[:30]]


def _plain_all(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (title_text(text) for text in texts))))
