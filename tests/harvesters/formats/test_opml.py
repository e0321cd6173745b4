import pytest

from harvesters.formats.opml import Outline, parse_opml, write_opml
from library.errors import MalformedRecord

OPML = """<?xml version="1.0"?><opml version="1.0"><head><title>x</title></head><body>
<outline text="Science"><outline type="rss" text="کیهان" xmlUrl="http://a.test/1"/>
<outline title="Two &amp; two" text="no" xmlUrl="https://b.test/2"/></outline>
<outline text="again" xmlUrl="http://a.test/1"/><outline text="a folder"/>
<outline text="bad" xmlUrl="javascript:alert(1)"/></body></opml>"""


def test_folders_are_unfolded_and_each_feed_comes_once() -> None:
    assert parse_opml(OPML.encode()) == [
        Outline("کیهان", "http://a.test/1"),
        Outline("Two & two", "https://b.test/2"),
    ]


def test_what_is_written_is_read_again() -> None:
    outlines = [Outline("کیهان & <b>", "http://a.test/?a=1&b=2")]

    assert parse_opml(write_opml("کتابخانه", outlines)) == [
        Outline("کیهان &", "http://a.test/?a=1&b=2")
    ]


@pytest.mark.parametrize(
    "body",
    [b"", b"<rss/>", b"<opml>", b"<!DOCTYPE o [<!ENTITY a 'b'>]><opml>&a;</opml>"],
)
def test_what_is_no_opml_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRecord):
        parse_opml(body)
