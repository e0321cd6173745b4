from pathlib import Path

import pytest

from harvesters.trying import Refused, kind_of, try_source
from library.vocabulary import SourceKind
from tests.factories import NOON
from tests.harvesters.loopback import Site

RSS = b"""<?xml version="1.0"?><!-- a comment with <collection> in it -->
<rss version="2.0"><channel><title>t</title><item><title>Cosmos</title>
<guid>1</guid></item><item><guid>2</guid></item></channel></rss>"""


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (RSS, SourceKind.FEED),
        (b'{"version": "https://jsonfeed.org/version/1"}', SourceKind.FEED),
        (b'<?xml version="1.0"?>\n<OAI-PMH xmlns="x">', SourceKind.OAI_PMH),
        (b'<marc:collection xmlns:marc="x">', SourceKind.MARC),
        (b"00123nam a2200049 a 4500", SourceKind.MARC),
        (b"<ONIXMessage release='3.0'>", SourceKind.ONIX),
        (b"publication_title\tprint_identifier\n", SourceKind.KBART),
        (b"work_id,title\n", SourceKind.CSV),
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


def test_an_address_is_tried(site: Site) -> None:
    trial = try_source(site.serve("/feed", RSS), site.fetcher(), at=NOON)

    assert (trial.records, trial.shown) == (1, ())


@pytest.mark.parametrize("place", ["/nowhere/at/all", "http://10.0.0.1/", "ftp://x/"])
def test_what_cannot_be_read_is_told(place: str, site: Site) -> None:
    trial = try_source(place, site.fetcher(), at=NOON)

    assert trial.error
    assert trial.records == 0


def test_what_is_no_source_is_told(tmp_path: Path, site: Site) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b"<html><body>hello</body></html>")

    assert try_source(str(path), site.fetcher(), at=NOON).error
