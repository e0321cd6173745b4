import gzip
import json
import os
from pathlib import Path
from typing import cast

import pytest

from harvesters.formats.sniffing import kind_of
from harvesters.trying import MOST_REJECTED, Refused, try_source, try_sources
from library.fetching.fetch import Fetcher
from library.vocabulary import SourceKind
from tests.factories import NOON
from tests.loopback import Answer, Asked, Site

RSS = b"""<?xml version="1.0"?><!-- a comment
with <collection> in it --><rss version="2.0"><channel><title>t</title>
<item><title>Cosmos</title><guid>1</guid></item><item><guid>2</guid></item>
</channel></rss>"""
LISTED = b"""<ListRecords><record><header><identifier>oai:1</identifier></header>
<metadata><dc><title>Cosmos</title></dc></metadata></record></ListRecords>"""
BAD_VERB = b"<error code='badVerb'/>"
UNKNOWN = [
    (b"", "empty"),
    (b" \n\0 ", "empty"),
    (b"\x93\x00\xff\xfe\x81 junk \x00\x01", "no column"),
    (b"Dear reader,\nthis is a letter.\n", "no column"),
    (b"<html><body>hello</body></html>", "a web page"),
    (b"<Contributor><b036>Carl Sagan</b036></Contributor>", "<Contributor>"),
    (b'{"records": []}', "no JSON Feed"),
    (b"\x1f\x8b\x08\x00abc", "gzip"),
]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (RSS, SourceKind.FEED),
        (RSS.decode().encode("utf-16-be"), SourceKind.FEED),
        (RSS.decode().encode("utf-32"), SourceKind.FEED),
        (b'{"version": "https://jsonfeed.org/version/1"}', SourceKind.FEED),
        (b'{"version": "https:\\/\\/jsonfeed.org\\/version\\/1"}', SourceKind.FEED),
        (b'<?xml version="1.0"?>\n<OAI-PMH xmlns="x">', SourceKind.OAI_PMH),
        (b'<marc:collection xmlns:marc="x">', SourceKind.MARC),
        (b"00063nam a2200037 a 4500001001300000\x1e", SourceKind.MARC),
        (b"junk 00063nam a2200037 a 4500001001300000\x1e", SourceKind.MARC),
        (b'[{"leader": "00000nam", "fields": []}]', SourceKind.MARC),
        (b"=LDR  01201nam  2200253 a 4500\n", SourceKind.MARC),
        (b"<ONIXMessage release='3.0'>", SourceKind.ONIX),
        (b"<Product><RecordReference>1</RecordReference>", SourceKind.ONIX),
        (b"publication_title\tprint_identifier\n", SourceKind.KBART),
        (b"work_id,title\n", SourceKind.CSV),
        ("شابک;عنوان\n".encode("cp1256"), SourceKind.CSV),
        ("work_id\ttitle\n".encode("utf-16"), SourceKind.CSV),
    ],
)
def test_the_kind_is_seen_from_the_beginning(body: bytes, kind: SourceKind) -> None:
    assert kind_of(body) == kind


def test_a_file_is_tried(tmp_path: Path, site: Site) -> None:
    path = tmp_path / "feed.xml"
    path.write_bytes(RSS)

    trial = try_source(str(path), site.fetcher(), at=NOON, show=5)

    assert (trial.kind, trial.records, trial.error) == ("feed", 1, None)
    assert trial.rejected == (Refused("entry 2", "no title"),)
    assert [record.title for record in trial.shown] == ["Cosmos"]


def test_a_feed_inside_a_page_is_a_feed(tmp_path: Path, site: Site) -> None:
    path = tmp_path / "feed.xml"
    path.write_bytes(b"<html><body>" + RSS.partition(b"-->")[2] + b"</body></html>")

    trial = try_source(str(path), site.fetcher(), at=NOON)

    assert (trial.kind, trial.records) == ("feed", 1)


def test_an_address_is_tried(site: Site) -> None:
    trial = try_source(site.serve("/feed", RSS), site.fetcher(), at=NOON)

    assert (trial.records, trial.shown) == (1, ())


def test_a_zipped_file_at_an_address_is_tried(site: Site) -> None:
    url = site.serve("/works.csv.gz", gzip.compress(b"work_id,title\n1,Cosmos\n"))

    trial = try_source(url, site.fetcher(), at=NOON)

    assert (trial.kind, trial.records, trial.error) == ("csv", 1, None)


def test_a_page_is_told_with_its_feeds(site: Site) -> None:
    link = b"<link rel=alternate type='application/rss+xml' href='/new.xml'>"
    url = site.serve("/", b"<!DOCTYPE html><html><head>" + link + b"</head></html>")

    trial = try_source(url, site.fetcher(), at=NOON)

    assert trial.error == f"a web page; its feeds: {site.url}/new.xml"


def test_a_repository_is_asked_for_its_records(site: Site) -> None:
    def answer(asked: Asked) -> Answer:
        asks = "verb=ListRecords" in asked.query
        return Answer(b"<OAI-PMH>" + (LISTED if asks else BAD_VERB) + b"</OAI-PMH>")

    trial = try_source(site.serve("/oai", answer), site.fetcher(), at=NOON)

    assert (trial.kind, trial.records, trial.error) == ("oai-pmh", 1, None)


@pytest.mark.parametrize(
    "place",
    ["/nowhere/at/all", "a" * 5000, "", "http://10.0.0.1/", "ftp://x/", "http://["],
)
def test_what_cannot_be_read_is_told(place: str, site: Site) -> None:
    trial = try_source(place, site.fetcher(), at=NOON)

    assert trial.error
    assert (trial.records, trial.kind) == (0, None)


@pytest.mark.parametrize(("body", "why"), UNKNOWN, ids=[why for _, why in UNKNOWN])
def test_what_is_no_source_is_told(
    tmp_path: Path, site: Site, body: bytes, why: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(body)

    trial = try_source(str(path), site.fetcher(), at=NOON)

    assert why in str(trial.error)
    assert (trial.records, trial.kind) == (0, None)


def test_a_pipe_is_not_waited_for(tmp_path: Path, site: Site) -> None:
    os.mkfifo(tmp_path / "pipe")

    trial = try_source(str(tmp_path / "pipe"), site.fetcher(), at=NOON)

    assert trial.error == "not a file"


def test_a_folder_is_every_file_in_it_and_none_stops_the_others(
    tmp_path: Path, site: Site
) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.xml").write_bytes(b"junk")
    (tmp_path / "b" / "c.xml").write_bytes(RSS)

    trials = list(try_sources([str(tmp_path), "/nowhere"], site.fetcher(), at=NOON))

    assert [Path(one.source).name for one in trials] == ["a.xml", "c.xml", "nowhere"]
    assert [one.records for one in trials] == [0, 1, 0]


def test_a_fault_of_ours_stops_no_other(tmp_path: Path) -> None:
    works = tmp_path / "works.csv"
    works.write_text("work_id,title\n1,Cosmos\n")
    nobody = cast(Fetcher, None)

    broken, fine = try_sources(["http://x.test/", str(works)], nobody, at=NOON)

    assert str(broken.error).startswith("a fault of ours: ")
    assert (fine.records, fine.error) == (1, None)


def test_a_name_that_is_no_text_can_be_told(tmp_path: Path, site: Site) -> None:
    path = os.fsencode(tmp_path) + b"/odd\xff"
    Path(os.fsdecode(path)).write_bytes(RSS)

    (trial,) = try_sources([str(tmp_path)], site.fetcher(), at=NOON)

    assert json.dumps(trial.source, ensure_ascii=False).encode("utf-8")


def test_countless_rejections_are_counted(tmp_path: Path, site: Site) -> None:
    path = tmp_path / "works.csv"
    path.write_text("work_id,title\n" + ",nameless\n" * (MOST_REJECTED + 7))

    trial = try_source(str(path), site.fetcher(), at=NOON)

    assert len(trial.rejected) == MOST_REJECTED + 1
    assert trial.rejected[-1].why == "7 more"
