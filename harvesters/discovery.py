"""The feeds that a web site tells of, asked for politely."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urljoin, urlsplit, urlunsplit
from urllib.robotparser import RobotFileParser

from lxml import etree, html

from harvesters.formats.charsets import is_utf8
from harvesters.formats.safe_html import title_text, web_link
from harvesters.formats.sniffing import kind_of
from harvesters.records import plain
from library.errors import FetchFailed
from library.fetching.fetch import Fetcher, Limits, fetch
from library.vocabulary import SourceKind

_TYPES = frozenset(
    ["application/rss+xml", "application/atom+xml", "application/feed+json"]
)
_MOST = 50
_PAGE = Limits(size=5 * 1024 * 1024)
_ROBOTS = Limits(size=512 * 1024)


@dataclass(frozen=True)
class FoundFeed:
    """A feed, and what its site calls it."""

    url: str
    title: str


def find_feeds(fetcher: Fetcher, site: str, *, at: datetime) -> list[FoundFeed]:
    """Return the feeds that the page of a site names, or itself if it is one.

    A page is read only where the site's robots.txt (RFC 9309) does not ask us to stay
    away; a feed is there to be fetched.

    Raises:
        FetchFailed: The page cannot be read, or may not be.
    """
    if not _may_read(fetcher, site, at=at):
        raise FetchFailed(f"{site}: its robots.txt asks not to", cause="not_allowed")
    page = fetch(fetcher, site, at=at, limits=_PAGE)
    body = page.body or b""
    if kind_of(body) == SourceKind.FEED:
        return [FoundFeed(page.url, "")]
    return list(dict.fromkeys(feeds_of_page(body, page.url)))[:_MOST]


def feeds_of_page(body: bytes, url: str) -> Iterator[FoundFeed]:
    """Yield the feeds that an HTML page links to as its alternatives. Pure."""
    # Many pages in UTF-8 do not say so, and would be taken for Latin.
    parser = html.HTMLParser(encoding="utf-8" if is_utf8(body) else None)
    try:
        page = html.document_fromstring(body, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return
    for link in page.iter("link"):
        kinds = (link.get("rel") or "").lower().split()
        kind = (link.get("type") or "").partition(";")[0].strip().lower()
        if "alternate" not in kinds or kind not in _TYPES:
            continue
        try:
            address = web_link(urljoin(url, (link.get("href") or "").strip()))
        except ValueError:
            continue
        if address:
            yield FoundFeed(address, title_text(plain(link.get("title") or "")))


def _may_read(fetcher: Fetcher, url: str, *, at: datetime) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return True  # fetching says what is wrong with it
    robots = RobotFileParser()
    place = urlunsplit((parts.scheme, parts.netloc, "/robots.txt", "", ""))
    try:
        told = fetch(fetcher, place, at=at, limits=_ROBOTS).body or b""
    except FetchFailed as error:
        # No such file forbids nothing; a site that cannot say is left alone for now.
        return error.status is not None and 400 <= error.status < 500
    robots.parse(told.decode("utf-8", "replace").splitlines())
    return robots.can_fetch(fetcher.agent.partition("/")[0], url)
