"""JSON Feed documents to harvested records."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

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
from library.text import doi, isbn13

_VERSION = "https://jsonfeed.org/version/"


def is_json_feed(body: bytes) -> bool:
    """Tell whether a body might be a JSON Feed rather than XML."""
    return body[:512].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


def parse_json_feed(body: bytes) -> Iterator[Harvested]:
    """Yield one record per item of a JSON Feed.

    Raises:
        MalformedRecord: `body` is no JSON Feed.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedRecord(f"not JSON: {error}") from error
    if not isinstance(document, dict) or not _is_version(document.get("version")):
        raise MalformedRecord("JSON, and no JSON Feed")
    items = document.get("items")
    if not isinstance(items, list):
        raise MalformedRecord("a JSON Feed without items")
    language = _text(document.get("language"))
    for number, item in enumerate(items, 1):
        yield _record(item, number, language)


def _is_version(version: object) -> bool:
    return isinstance(version, str) and version.startswith(_VERSION)


def _record(item: object, number: int, language: str) -> Harvested:
    if not isinstance(item, dict):
        return Rejected(f"item {number}", "not an object")
    title = title_text(_text(item.get("title")))
    link = web_link(_text(item.get("url")) or _text(item.get("external_url")))
    ref = _text(item.get("id")) or link
    if not title:
        return Rejected(f"item {number}", "no title", link)
    if not ref:
        return Rejected(f"item {number}", "no id and no link", title)
    content = _text(item.get("summary")) or _text(item.get("content_text"))
    published = _text(item.get("date_published"))[:10]
    return HarvestedRecord(
        ref=short_ref(ref),
        title=title,
        creators=tuple(_creators(item)),
        language=plain(_text(item.get("language")) or language, 10) or None,
        year=published[:4] or None,
        isbn=isbn13(ref),
        doi=doi(f"{ref} {link}"),
        subjects=tuple(
            Heading("local", label[:300])
            for label in (title_text(_text(tag)) for tag in _list(item.get("tags")))
            if label
        ),
        url=link,
        summary=summary_text(content or _text(item.get("content_html"))),
        published=published or None,
        raw={"title": plain(_text(item.get("title")))},
    )


def _creators(item: Mapping[str, Any]) -> Iterator[str]:
    for author in [*_list(item.get("authors")), item.get("author")]:
        name = title_text(_text(author.get("name"))) if isinstance(author, dict) else ""
        if name:
            yield name


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
