"""RSS and Atom documents to harvested records."""

import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import feedparser

from harvesters.formats.charsets import hidden_code_page
from harvesters.formats.safe_html import summary_text, title_text, web_link
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

MOST_ENTRIES = 50_000
"""More is no feed, and would fill the memory."""

_ENTRY = re.compile(rb"<(?:\w{1,20}:)?(?:item|entry)[\s>/]")
_ENTITY = re.compile(rb"<!ENTITY\s+[^>\"']{1,80}(\"[^\"]*\"|'[^']*')\s*>")
_LONGEST_ENTITY = 100
_CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.-]+)""", re.IGNORECASE)
_CDF = re.compile(rb"<(?i:channel)[\s>]")
_FORWARDED = ("content-type", "content-language")
# Written anew at each request or for each reader, so no part of what a thing is.
_PASSING = re.compile(
    r"(?i)utm_.*|fbclid|gclid|mc_[ce]id|(?:php|j)?sess(?:ion)?_?(?:id)?|sid|s?token"
    r"|auth|sig(?:nature)?|ticket|nonce|ts|timestamp|expires|rnd|rand(?:om)?|cache.*|_"
)
_PATH_SESSION = re.compile(r"(?i);j?sessionid=[^/?]*")


def parse_feed(
    body: bytes, *, url: str = "", headers: Mapping[str, str] | None = None
) -> Iterator[Harvested]:
    """Yield one record per entry of an RSS or Atom document.

    Entries without a title are rejected and the others kept: one bad entry must not
    cost the library the rest of the feed.

    Args:
        body: The document.
        url: Where it came from; links in it may be relative to it.
        headers: Of the answer, by lower-case name; they may tell the encoding.

    Raises:
        MalformedRecord: `body` is no feed at all, or far too long for one.
    """
    if sum(1 for _ in _ENTRY.finditer(body)) > MOST_ENTRIES:
        raise MalformedRecord(f"more than {MOST_ENTRIES} entries")
    document = _parsed(body, url, headers or {})
    language = _text(document.feed.get("language")) or None
    ids = _Ids(document.entries)
    for number, entry in enumerate(document.entries, 1):
        title = title_text(_text(entry.get("title")))
        if not title:
            yield Rejected(
                f"entry {number}", "no title", _text(entry.get("link"))[:500]
            )
            continue
        yield _record(entry, ids.of(entry, title), title, language)


def clean_link(link: str) -> str:
    """Return an address without what is written anew for each reader or request."""
    try:
        parts = urlsplit(link.strip())
    except ValueError:
        return link.strip()
    query = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if not _PASSING.fullmatch(name)
    ]
    path = _PATH_SESSION.sub("", parts.path)
    return urlunsplit((parts.scheme, parts.netloc, path, urlencode(query), ""))


def _parsed(body: bytes, url: str, headers: Mapping[str, str]) -> Any:
    told = {name: headers[name] for name in _FORWARDED if name in headers}
    if url:
        told["content-location"] = url
    body = _in_utf8(body, told.get("content-type", ""))
    try:
        # A stream: feedparser takes plain bytes for the name of a file to open.
        document = feedparser.parse(
            io.BytesIO(_ENTITY.sub(_plain_entity, body)),
            response_headers=told,
            sanitize_html=False,
        )
    except Exception as error:  # feedparser promises none, and some get out
        raise MalformedRecord(f"not a readable feed: {error!r:.200}") from error
    # An empty body has no such attribute, and old CDF channels have no version.
    known = document.get("version") or document.entries or _CDF.search(body[:5000])
    if not known:
        raise MalformedRecord("not an RSS or Atom document")
    return document


def _in_utf8(body: bytes, content_type: str) -> bytes:
    """Return a Persian or Russian feed that only says it is UTF-8 as what it says."""
    charset = _CHARSET.search(content_type)
    if charset and charset[1].lower() not in {"utf-8", "utf8", "us-ascii"}:
        return body
    page = hidden_code_page(body)
    return body.decode(page, "replace").encode() if page else body


def _plain_entity(declared: re.Match[bytes]) -> bytes:
    """Drop what unfolds into other entities, or into much text: feeds need neither."""
    value = declared[1]
    nested = b"&" in value.replace(b"&#", b"")
    return b"" if nested or len(value) > _LONGEST_ENTITY else declared[0]


class _Ids:
    """Which id each entry of one document goes by, whatever its guid does."""

    def __init__(self, entries: list[Any]) -> None:
        self._guids = Counter(_guid(entry) for entry in entries)
        self._links = Counter(_link(entry) for entry in entries)

    def of(self, entry: Any, title: str) -> str:
        guid, link = _guid(entry), _link(entry)
        if guid and self._guids[guid] == 1:
            return short_ref(guid)
        if link and self._links[link] == 1:
            return short_ref(link)
        parts = (title, link, _published(entry) or "", _text(entry.get("summary")))
        digest = hashlib.sha256("\0".join(parts).encode(errors="replace"))
        return "content:" + digest.hexdigest()[:40]


def _guid(entry: Any) -> str:
    guid = _text(entry.get("id")).strip()
    return clean_link(guid) if "://" in guid else guid


def _link(entry: Any) -> str:
    link = web_link(_text(entry.get("link")))
    return clean_link(link) if link else ""


def _record(
    entry: Any,
    ref: str,
    title: str,
    language: str | None,
) -> HarvestedRecord:
    link = _link(entry)
    identifiers = " ".join(
        _text(entry.get(name)) for name in ("id", "dc_identifier", "link", "prism_doi")
    )
    return HarvestedRecord(
        ref=ref,
        title=title,
        creators=tuple(_creators(entry)),
        language=plain(_text(entry.get("language")) or language or "", 10) or None,
        year=(_published(entry) or "")[:4] or None,
        isbn=isbn13(_text(entry.get("id")) or _text(entry.get("dc_identifier"))),
        issn=issn(_text(entry.get("prism_issn"))),
        doi=doi(identifiers),
        subjects=tuple(_subjects(entry)),
        url=link or None,
        summary=summary_text(_text(entry.get("summary"))),
        published=_published(entry),
        raw={"title": plain(_text(entry.get("title"))), "id": _text(entry.get("id"))},
    )


def _creators(entry: Any) -> Iterator[str]:
    seen = set()
    for author in entry.get("authors") or []:
        name = title_text(_text(author.get("name")) or _text(author.get("email")))
        if name and name not in seen:
            seen.add(name)
            yield name


def _subjects(entry: Any) -> Iterator[Heading]:
    for label in dict.fromkeys(
        title_text(_text(tag.get("label")) or _text(tag.get("term")))
        for tag in entry.get("tags") or []
    ):
        if label:
            yield Heading("local", label[:300])


def _published(entry: Any) -> str | None:
    for name in ("published_parsed", "updated_parsed", "created_parsed"):
        if name not in entry:
            continue  # `get` would bring a stand-in, with a warning
        moment = entry[name]
        if moment and 1 <= moment[0] <= 9999:
            return f"{moment[0]:04}-{moment[1]:02}-{moment[2]:02}"
    return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
