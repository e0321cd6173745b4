import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvesters.formats.feed import MOST_ENTRIES, clean_link, parse_feed
from harvesters.formats.json_feed import is_json_feed, parse_json_feed
from harvesters.formats.safe_html import summary_text, title_text, web_link
from harvesters.records import HarvestedRecord, Rejected
from library.errors import MalformedRecord

ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="fa"><title>New</title>
<entry><id>urn:isbn:9780306406157</id><title type="html">Signals &amp;amp; noise</title>
<author><name>Ada Byron</name></author><category term="Mathematics"/>
<link href="/works/1"/><updated>2026-02-01T00:00:00Z</updated>
<summary type="html">&lt;p&gt;One&lt;/p&gt;&lt;p&gt;two&lt;/p&gt;</summary></entry>
</feed>"""


def records(body: bytes, **options: str) -> list[HarvestedRecord]:
    found = list(parse_feed(body, **options))  # type: ignore[arg-type]
    assert not [one for one in found if isinstance(one, Rejected)]
    return [one for one in found if isinstance(one, HarvestedRecord)]


def test_an_entry_says_what_it_is() -> None:
    (record,) = records(ATOM.encode(), url="http://books.test/feed")

    assert record.title == "Signals & noise"
    assert record.creators == ("Ada Byron",)
    assert record.isbn == "9780306406157"
    assert record.language == "fa"
    assert [heading.label for heading in record.subjects] == ["Mathematics"]
    assert record.url == "http://books.test/works/1"
    assert record.published == "2026-02-01"
    assert record.summary == "One two"


@pytest.mark.parametrize(
    ("encoding", "title"),
    [
        ("windows-1256", "كتابداري"),
        ("koi8-r", "Библиотека"),
        ("windows-1252", "Œuvres complètes"),
        ("utf-16", "کتاب"),
    ],
)
def test_the_prolog_tells_the_encoding(encoding: str, title: str) -> None:
    body = f'<?xml version="1.0" encoding="{encoding}"?><rss version="2.0"><channel>'
    body += f"<item><title>{title}</title><guid>1</guid></item></channel></rss>"

    assert [r.title for r in records(body.encode(encoding))] == [title]


@pytest.mark.parametrize("said", ['encoding="utf-8"', ""])
@pytest.mark.parametrize(
    ("encoding", "title", "read"),
    [
        ("windows-1256", "كتابداري در ايران", "كتابداري در ايران"),
        ("windows-1251", "Библиотека будущего", "Библиотека будущего"),
        ("windows-1252", "Œuvres complètes", "Œuvres complètes"),
    ],
)
def test_a_windows_feed_that_says_utf_8_is_read_as_what_it_is(
    said: str, encoding: str, title: str, read: str
) -> None:
    body = f'<?xml version="1.0" {said}?><rss version="2.0"><channel>'
    body += f"<item><title>{title}</title><guid>1</guid></item></channel></rss>"
    told = {"content-type": "text/xml; charset=utf-8"}

    for headers in ({}, told):
        (record,) = parse_feed(body.encode(encoding), headers=headers)
        assert isinstance(record, HarvestedRecord)
        assert record.title == read


def test_a_prolog_that_lies_is_seen_through() -> None:
    body = '<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel>'
    body += "<item><title>Café</title><guid>1</guid></item></channel></rss>"

    assert [r.title for r in records(body.encode("cp1252"))] == ["Café"]


@pytest.mark.parametrize(
    "body",
    [b"", b"hello", b"<html><body>x</body></html>", b"/etc/passwd", b"\x00" * 99],
)
def test_what_is_no_feed_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRecord):
        list(parse_feed(body))


def test_a_feed_without_end_is_refused_before_it_is_read() -> None:
    body = b"<rss version='2.0'><channel>" + b"<item/>" * (MOST_ENTRIES + 1)

    with pytest.raises(MalformedRecord, match="more than"):
        list(parse_feed(body))


@pytest.mark.parametrize(
    ("link", "clean"),
    [
        ("http://x.test/a?id=1&utm_source=rss", "http://x.test/a?id=1"),
        ("http://x.test/a;jsessionid=AB12?b=2", "http://x.test/a?b=2"),
        ("http://x.test/a?token=q&PHPSESSID=z", "http://x.test/a"),
        ("http://x.test/a?page=2#top", "http://x.test/a?page=2"),
        ("http://[x", "http://[x"),
    ],
)
def test_what_is_written_anew_for_each_reader_is_cut(link: str, clean: str) -> None:
    assert clean_link(link) == clean


XSS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<iframe src='http://evil.test'></iframe>",
    "<form action='http://evil.test'><input></form>",
    "<style>*{display:none}</style>",
    "<<script>script>alert(1)<</script>/script>",
    "<img src='http://tracker.test/pixel.gif' width=1>",
    "<p style='background:url(javascript:1)'>x</p>",
]


@pytest.mark.parametrize("markup", XSS)
def test_no_markup_of_theirs_is_left(markup: str) -> None:
    for text in (title_text(f"Good {markup}"), summary_text(f"Good {markup}") or ""):
        assert text.startswith("Good")
        assert "<" not in text.replace("<<", "")
        assert "onerror" not in text


@pytest.mark.slow
def test_deep_nesting_costs_little() -> None:
    import time  # noqa: PLC0415 -- this test alone measures

    begun = time.thread_time()
    summary_text("<div>" * 50_000)
    assert time.thread_time() - begun < 0.5


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//x.test",
        'http://x.test/"onload=1',
        "",
    ],
)
def test_only_web_addresses_are_links(link: str) -> None:
    assert web_link(link) is None


@given(st.text(max_size=300))
def test_text_of_anything_is_one_line(markup: str) -> None:
    assert "\n" not in title_text(markup)
    assert "\x00" not in (summary_text(markup) or "")


@given(st.binary(max_size=400))
def test_any_bytes_give_records_or_a_refusal(body: bytes) -> None:
    for whole in (body, b"<rss version='2.0'><channel><item><title>" + body):
        try:
            list(parse_feed(whole))
        except MalformedRecord:
            continue


def test_a_json_feed_is_read() -> None:
    body = json.dumps(
        {
            "version": "https://jsonfeed.org/version/1.1",
            "language": "en",
            "items": [
                {
                    "id": "1",
                    "title": "Cosmos",
                    "url": "http://x.test/1",
                    "authors": [{"name": "Sagan"}],
                    "tags": ["stars"],
                    "date_published": "2026-01-02T00:00:00Z",
                },
                {"id": "2"},
                "junk",
            ],
        }
    ).encode()

    assert is_json_feed(body)
    record, untitled, junk = parse_json_feed(body)
    assert isinstance(record, HarvestedRecord)
    assert (record.ref, record.title, record.year) == ("1", "Cosmos", "2026")
    assert untitled == Rejected("item 2", "no title")
    assert junk == Rejected("item 3", "not an object")


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"version": 1}', b"[" * 99999])
def test_json_of_something_else_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRecord):
        list(parse_json_feed(body))
