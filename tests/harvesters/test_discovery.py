import pytest

from harvesters.discovery import FoundFeed, feeds_of_page, find_feeds
from library.errors import FetchFailed
from library.fetching.fetch import Fetcher
from tests.factories import NOON
from tests.loopback import Answer, Site

PAGE = """<html><head><title>Kitabkhana</title>
<link rel="alternate" type="application/rss+xml" href="/new.xml" title="تازه‌ها">
<link rel="ALTERNATE home" type="application/atom+xml; charset=utf-8" href="more">
<link rel="alternate" type="application/feed+json" href="http://other.test/f.json">
<link rel="alternate" type="text/html" hreflang="fa" href="/fa">
<link rel="stylesheet" type="application/rss+xml" href="/no.xml">
<link rel="alternate" type="application/rss+xml" href="javascript:alert(1)">
<link rel="alternate" type="application/rss+xml" href="http://[">
<link rel="alternate" type="application/rss+xml"></head><body>hello""".encode()
RSS = b"<rss version='2.0'><channel><title>t</title></channel></rss>"


def found(site: Site, path: str = "/") -> list[FoundFeed]:
    return find_feeds(site.fetcher(), site.url + path, at=NOON)


def test_a_page_tells_of_its_feeds(site: Site) -> None:
    site.serve("/", PAGE)

    assert found(site)[:3] == [
        FoundFeed(f"{site.url}/new.xml", "تازه‌ها"),
        FoundFeed(f"{site.url}/more", ""),
        FoundFeed("http://other.test/f.json", ""),
    ]


def test_a_feed_is_its_own_feed(site: Site) -> None:
    site.serve("/feed", RSS)

    assert found(site, "/feed") == [FoundFeed(f"{site.url}/feed", "")]


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"<html>", b"<a>" * 10_000])
def test_a_page_without_feeds_has_none(body: bytes) -> None:
    assert list(feeds_of_page(body, "http://x.test/")) == []


ALL_BUT_US = b"User-agent: *\nDisallow: /\n\nUser-agent: Hamkhan\nDisallow:\n"


@pytest.mark.parametrize(
    ("robots", "may"),
    [
        (Answer(b"User-agent: *\nDisallow: /private\n"), True),
        (Answer(b"User-agent: Hamkhan\nDisallow: /\n"), False),
        (
            Answer(b"User-agent: *\nDisallow: /\n\nUser-agent: Hamkhan\nDisallow:\n"),
            True,
        ),
        (Answer(b"User-agent: *\nDisallow: /\n"), False),
        (Answer(b"\xff\xfe\x00"), True),
        (Answer(status=404), True),
        (Answer(status=503), False),
    ],
    ids=["elsewhere", "us", "all but us", "all", "junk", "none", "down"],
)
def test_robots_are_asked_before_a_page(site: Site, robots: Answer, may: bool) -> None:
    site.serve("/", PAGE)
    site.serve("/robots.txt", robots)

    if may:
        assert found(site)
    else:
        with pytest.raises(FetchFailed, match=r"robots\.txt"):
            found(site)
        assert [asked.path for asked in site.asked] == ["/robots.txt"]


@pytest.mark.parametrize("place", ["http://10.0.0.1/", "ftp://x.test/", "http://["])
def test_no_page_is_read_where_no_source_may_be(place: str) -> None:
    with pytest.raises(FetchFailed):
        find_feeds(Fetcher("Hamkhan/test", "library@localhost"), place, at=NOON)
