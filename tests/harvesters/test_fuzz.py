"""Each parser under bytes that hypothesis makes up: records, refusals, nothing else.

HAMKHAN_FUZZ=60 fuzzes each for so many seconds; by default it is a short look.
"""

import io
import os
import random
import resource
import time
from collections.abc import Callable, Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harvesters.formats.feed import parse_feed
from harvesters.formats.iso2709 import parse_iso2709
from harvesters.formats.json_feed import parse_json_feed
from harvesters.formats.kbart import COLUMNS as HOLDINGS
from harvesters.formats.kbart import parse_kbart
from harvesters.formats.marc_text import parse_marc_json, parse_mrk
from harvesters.formats.marcxml import parse_marcxml
from harvesters.formats.oai_pmh import parse_page
from harvesters.formats.onix import parse_onix
from harvesters.formats.sniffing import kind_of
from harvesters.formats.tabular import WORKS, parse_works, read_table
from harvesters.records import Harvested, HarvestedRecord, content_hash
from library.errors import ServiceError
from tests.harvesters.formats.test_marc import iso

SECONDS = int(os.environ.get("HAMKHAN_FUZZ", "0"))  # noqa: TID251 -- a test's own size
MIB_200 = 200 * 1024
RSS = (
    b'<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>t'
    b"</title><item><title>Cosmos &amp; co</title><link>http://x.test/1</link><guid>1"
    b"</guid><pubDate>Sun, 01 Mar 2026 12:00:00 GMT</pubDate><description>&lt;p&gt;a"
    b"</description></item></channel></rss>"
)
OAI = (
    b'<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><responseDate>'
    b"2026-03-01T12:00:00Z</responseDate><ListRecords><record><header><identifier>1"
    b"</identifier></header><metadata><dc><title>Cosmos</title><date>1980</date></dc>"
    b"</metadata></record><resumptionToken>2</resumptionToken></ListRecords></OAI-PMH>"
)
ONIX = (
    b"<ONIXMessage><Product><RecordReference>1</RecordReference><ProductIdentifier>"
    b"<ProductIDType>15</ProductIDType><IDValue>9780306406157</IDValue>"
    b"</ProductIdentifier><DescriptiveDetail><TitleDetail><TitleElement>"
    b"<TitleElementLevel>01</TitleElementLevel><TitleText>Cosmos</TitleText>"
    b"</TitleElement></TitleDetail></DescriptiveDetail></Product></ONIXMessage>"
)
MARCXML = (
    b"<collection><record><leader>00000nam a2200000 a 4500</leader><controlfield "
    b"tag='001'>1</controlfield><datafield tag='245' ind1=' ' ind2=' '><subfield "
    b"code='a'>Cosmos</subfield></datafield></record></collection>"
)
JSON = (
    b'{"version": "https://jsonfeed.org/version/1.1", "items": [{"id": "1", "title": '
    b'"Cosmos", "authors": [{"name": "Carl"}], "tags": ["stars"], "date_published": '
    b'"2026-03-01"}]}'
)
MARC = iso(
    [
        ("001", "1"),
        ("020", [("a", "0306406152")]),
        ("100", [("a", "Sagan, Carl")]),
        ("245", [("a", "Cosmos :"), ("b", "a voyage")]),
        ("260", [("c", "c1980")]),
    ]
)
CSV = "work_id,title,year,isbn\n1,Cosmos,1359,9780306406157\n2,کیهان,1404,\n".encode()
TSV = (
    b"publication_title\tprint_identifier\ttitle_id\ttitle_url\n"
    b"Cosmos\t0306-4061\t7\thttp://x.test\n"
)

MARC_JSON = (
    b'{"leader": "00000nam a2200000 a 4500", "fields": [{"001": "1"}, {"245": {"ind1": '
    b'"1", "subfields": [{"a": "Cosmos"}]}}]}'
)
MRK = b"=LDR  01201nam  2200253 a 4500\n=001  1\n=245  10$aCaf{acute}e$bx\n\n"

Parse = Callable[[bytes], Iterable[Harvested]]
PARSERS: dict[str, tuple[Parse, bytes]] = {
    "feed": (parse_feed, RSS),
    "json-feed": (parse_json_feed, JSON),
    "oai-pmh": (lambda body: parse_page(body).records, OAI),
    "onix": (parse_onix, ONIX),
    "marcxml": (lambda body: parse_marcxml(io.BytesIO(body)), MARCXML),
    "marc-in-json": (lambda body: parse_marc_json(io.BytesIO(body)), MARC_JSON),
    "marcedit": (lambda body: parse_mrk(io.BytesIO(body)), MRK),
    "marc": (lambda body: parse_iso2709(io.BytesIO(body)), MARC * 3),
    "csv": (lambda body: parse_works(read_table(io.BytesIO(body), WORKS)), CSV),
    "kbart": (lambda body: parse_kbart(read_table(io.BytesIO(body), HOLDINGS)), TSV),
}
ODD = [
    *(b"\x00", b"\x1b", b"\x1d", b"\x1e", b"\x1f", b"\xff\xfe", b"\xef\xbb\xbf", b"\n"),
    *(b"<", b">", b"&", b"&#0;", b"&#xD800;", b"&x;", b"<![CDATA[", b"]]>", b"<!--"),
    *(b"<!DOCTYPE r [<!ENTITY x 'y'>]>", b"99999", b"-1", b'"', b"\t", b"\x1b$1", b"{"),
    *("ي‌ك".encode(), "ي".encode("cp1256"), b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"["),
]


def spoilt(seed: bytes) -> st.SearchStrategy[bytes]:
    """The seed with pieces cut, doubled, moved, or replaced by odd ones."""

    def spoil(changes: list[tuple[int, int, bytes]]) -> bytes:
        body = seed
        for at, length, piece in changes:
            start = at % (len(body) + 1)
            body = body[:start] + piece + body[start + length :]
        return body

    pieces = st.sampled_from(ODD) | st.binary(max_size=8) | st.just(seed[:200])
    change = st.tuples(st.integers(0, 5000), st.integers(0, 40), pieces)
    return st.lists(change, min_size=1, max_size=8).map(spoil)


def check(parse: Parse, body: bytes) -> None:
    """Parse; what comes out can be stored, and only a named refusal gets out."""
    kind_of(body)
    try:
        found = list(parse(body))
    except ServiceError:
        return
    for one in found:
        if isinstance(one, HarvestedRecord):
            assert one.ref
            assert one.title or one.withdrawn
            assert len(one.ref) <= 400
            assert len(one.title) <= 1000
            assert "\x00" not in repr(one.raw)
            assert content_hash(one)
            f"{one.title}{one.creators}{one.summary}".encode()  # no half surrogates
        else:
            assert one.place
            assert one.why


@pytest.mark.parametrize("name", PARSERS)
def test_nothing_but_records_and_refusals_comes_out(name: str) -> None:
    parse, seed = PARSERS[name]
    check(parse, seed)

    @settings(
        max_examples=60,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(spoilt(seed) | st.binary(max_size=300))
    def fuzz(body: bytes) -> None:
        check(parse, body)

    fuzz()


@pytest.mark.slow
@pytest.mark.skipif(not SECONDS, reason="HAMKHAN_FUZZ says for how many seconds")
@pytest.mark.parametrize("name", PARSERS)
def test_fuzzed_for_long_it_neither_hangs_nor_grows(name: str) -> None:
    parse, seed = PARSERS[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ends, done, slowest, n = time.monotonic() + SECONDS, 0, 0.0, 0

    while time.monotonic() < ends:
        n += 1

        @settings(
            max_examples=300,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        @given(spoilt(seed) | st.binary(max_size=2000))
        def fuzz(body: bytes) -> None:
            nonlocal done, slowest
            begun = time.thread_time()
            check(parse, body)
            slowest = max(slowest, time.thread_time() - begun)
            done += 1

        random.seed(n)
        fuzz()

    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{name}: {done} bodies, slowest {slowest:.3f} s, grew {grown} KiB")  # noqa: T201 -- the report of the run
    assert slowest < 2
    assert grown < MIB_200
