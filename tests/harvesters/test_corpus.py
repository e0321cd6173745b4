"""Real files, good and bad: each gives records or a refusal that says where."""

import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import feedparser
import pytest

from harvesters.formats.feed import parse_feed
from harvesters.formats.json_feed import is_json_feed, parse_json_feed
from harvesters.records import Harvested, HarvestedRecord, Rejected
from harvesters.trying import try_sources
from library.errors import MalformedRecord
from library.fetching.fetch import Fetcher
from tests.factories import NOON

pytestmark = pytest.mark.slow

_HEADER = re.compile(rb"(?m)^Header:\s*([^:\n]+):(.*)$")
EXPECTED = {
    "feeds/feedjira": (308, 0),
    "feeds/feedparser": (216, 1001),  # most of its entries are about something else
    "marc/marc4j": (961, 9),
    "marc/pymarc": (75, 3),
    "marc/traject": (166, 2),
    "oai-pmh/pyoai": (100, 0),
    "oai-pmh/sickle": (9, 1),
    "onix/yob-onix": (1381, 1),
}
"""Records at least and rejections at most; a common permissive reader of MARC cannot
read 103 of those records."""
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


def test_every_file_gives_records_or_says_why_not(shared: Path) -> None:
    corpus = shared / "corpus"
    fetcher = Fetcher("Hamkhan/test", "library@localhost")
    table: dict[str, Counter[str]] = {}
    for place in [str(corpus / name) for name in ("feeds", "marc", "oai-pmh", "onix")]:
        for trial in try_sources([place], fetcher, at=NOON, show=10_000):
            folder = "/".join(Path(trial.source).relative_to(corpus).parts[:2])
            counts = table.setdefault(folder, Counter())
            counts.update({"files": 1, "records": trial.records, trial.kind or "-": 1})
            counts["rejected"] += len(trial.rejected)
            counts["refused files"] += trial.error is not None
            assert all(bad.where and bad.why for bad in trial.rejected)
            assert trial.kind or trial.error
            assert "\ufffd" not in repr(trial.shown)

    for folder, counts in table.items():
        print(f"{folder:18}", dict(counts))  # noqa: T201 -- the table of the test
    for folder, (records, rejected) in EXPECTED.items():
        assert table[folder]["records"] >= records, folder
        assert table[folder]["rejected"] <= rejected, folder


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
