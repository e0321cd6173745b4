"""Real files, good and bad: each gives records or a refusal that says where."""

import gzip
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import feedparser
import pytest

from harvesters.formats.feed import parse_feed
from harvesters.formats.iso2709 import parse_iso2709
from harvesters.formats.json_feed import is_json_feed, parse_json_feed
from harvesters.formats.marcxml import parse_marcxml
from harvesters.formats.oai_pmh import parse_page
from harvesters.formats.onix import parse_onix
from harvesters.records import Harvested, HarvestedRecord, Rejected
from library.errors import MalformedRecord

pytestmark = pytest.mark.slow

_HEADER = re.compile(rb"(?m)^Header:\s*([^:\n]+):(.*)$")
_SKIPPED = {".txt", ".md", ".marc4j", ""}


def files(folder: Path) -> list[Path]:
    found = [p for p in folder.rglob("*") if p.is_file()]
    return sorted(p for p in found if p.suffix not in _SKIPPED)


def headers_of(body: bytes) -> dict[str, str]:
    """The headers that a feed's own comment says were sent with it."""
    return {
        name.decode().strip().lower(): value.decode("latin-1").strip()
        for name, value in _HEADER.findall(body)
    }


def read_feed(path: Path) -> Iterator[Harvested]:
    body = path.read_bytes()
    if is_json_feed(body):
        return parse_json_feed(body)
    return parse_feed(body, headers=headers_of(body))


def read_marc(path: Path) -> Iterator[Harvested]:
    body = path.read_bytes()
    if path.suffix == ".gz":
        body = gzip.decompress(body)
    parse = parse_marcxml if body.lstrip().startswith(b"<") else parse_iso2709
    return parse(io.BytesIO(body))


def tally(
    paths: list[Path], read: Callable[[Path], Iterator[Harvested]]
) -> tuple[Counter[str], list[HarvestedRecord]]:
    """Read every file; nothing but a named refusal may get out."""
    counts: Counter[str] = Counter(files=len(paths))
    records: list[HarvestedRecord] = []
    for path in paths:
        try:
            found = list(read(path))
        except MalformedRecord:
            counts["refused files"] += 1
            continue
        good = [one for one in found if isinstance(one, HarvestedRecord)]
        bad = [one for one in found if isinstance(one, Rejected)]
        assert all(one.place and one.why for one in bad)
        assert all(one.ref and (one.title or one.withdrawn) for one in good)
        counts["records"] += len(good)
        counts["rejected"] += len(bad)
        records += good
    print(dict(counts))  # noqa: T201 -- the table belongs into the test's output
    return counts, records


def replaced(records: list[HarvestedRecord]) -> list[str]:
    return [record.ref for record in records if "\ufffd" in repr(record)]


def test_feeds(shared: Path) -> None:
    folder = shared / "corpus" / "feeds"

    counts, records = tally(files(folder), read_feed)

    assert counts["records"] >= 460
    assert replaced(records) == []


def test_all_but_one_in_a_hundred_titled_entries_become_records(shared: Path) -> None:
    titled = kept = 0
    for path in files(shared / "corpus" / "feeds" / "feedparser" / "wellformed"):
        body = path.read_bytes()
        bare = feedparser.parse(io.BytesIO(body), response_headers=headers_of(body))
        titles = [one for one in bare.entries if str(one.get("title", "")).strip()]
        if titles:
            found = [*parse_feed(body, headers=headers_of(body))]
            good = [one for one in found if isinstance(one, HarvestedRecord)]
            titled, kept = titled + len(titles), kept + min(len(good), len(titles))

    assert titled > 200
    assert kept >= 0.99 * titled


def test_marc(shared: Path) -> None:
    counts, records = tally(files(shared / "corpus" / "marc"), read_marc)

    assert counts["records"] >= 1090
    # What a common permissive reader cannot read (103 records) bounds what we may lose.
    assert counts["rejected"] <= 103
    assert replaced(records) == []


def test_oai_pmh(shared: Path) -> None:
    def read(path: Path) -> Iterator[Harvested]:
        return iter(parse_page(path.read_bytes()).records)

    counts, records = tally(files(shared / "corpus" / "oai-pmh"), read)

    assert counts["records"] >= 104
    assert replaced(records) == []


def test_onix(shared: Path) -> None:
    def read(path: Path) -> Iterator[Harvested]:
        return parse_onix(path.read_bytes())

    counts, records = tally(files(shared / "corpus" / "onix"), read)

    assert counts["records"] >= 970
    assert replaced(records) == []
