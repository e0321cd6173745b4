"""OAI-PMH repositories, whole, in spans, by tokens that die and servers that fail."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from harvesters.harvesting import HarvestReport, harvest
from harvesters.sources import add_source
from library.db import Sessions, reading
from library.settings import Settings
from library.tables import Acquisition, BibRecord, Source
from library.vocabulary import SourceKind
from tests.factories import NOON
from tests.harvesters.repository import DIED, Item, Repository, years_of_items
from tests.loopback import Answer, Site


@dataclass
class Library:
    """A library that harvests one repository."""

    sessions: Sessions
    site: Site
    repository: Repository
    at: datetime = NOON

    def harvest(self) -> HarvestReport:
        report = harvest(
            self.sessions, Settings(), "oai", at=self.at, fetcher=self.site.fetcher()
        )
        self.at += timedelta(days=1)
        return report

    def held(self) -> set[str]:
        """Refs of the records that are here and not withdrawn."""
        with reading(self.sessions) as session:
            return set(
                session.scalars(
                    select(BibRecord.source_ref).where(BibRecord.withdrawn_at.is_(None))
                )
            )

    def source(self) -> Source:
        with reading(self.sessions) as session:
            return session.scalars(select(Source)).one()

    def lists(self) -> list[dict[str, str]]:
        return [one for one in self.repository.asked if one["verb"] == "ListRecords"]


@pytest.fixture
def library(sessions: Sessions, site: Site) -> Library:
    repository = Repository(years_of_items(4, 10), on_a_page=4)
    url = site.serve("/oai", repository)
    with sessions.begin() as session:
        add_source(session, "oai", SourceKind.OAI_PMH, url, at=NOON)
    return Library(sessions, site, repository)


def refs(items: list[Item]) -> set[str]:
    return {f"oai:x:{item.number}" for item in items if item.title}


def test_the_range_is_read_year_by_year(library: Library) -> None:
    report = library.harvest()

    assert (report.error, report.added) == (None, 40)
    spans = [
        (asked.get("from"), asked.get("until"))
        for asked in library.lists()
        if "resumptionToken" not in asked
    ]
    assert spans == [
        (None, "2022-12-31"),
        ("2023-01-01", "2023-12-31"),
        ("2024-01-01", "2024-12-31"),
        ("2025-01-01", "2025-12-31"),
        ("2026-01-01", None),
    ]


def test_a_repository_that_does_not_tell_of_itself_is_read_at_once(
    library: Library,
) -> None:
    library.repository.fault = lambda _, asked: (
        Answer(status=404) if asked["verb"] == "Identify" else None
    )

    assert library.harvest().added == 40
    assert [a for a in library.lists() if "from" in a or "until" in a] == []


def test_a_dead_token_begins_its_own_year_again_and_no_other(library: Library) -> None:
    dead = {"2024-01-01/2024-12-31/8"}

    def fault(_number: int, asked: dict[str, str]) -> str | None:
        token = asked.get("resumptionToken", "")
        if token not in dead:
            return None
        dead.remove(token)
        return DIED

    library.repository.fault = fault

    report = library.harvest()

    assert (report.error, report.added) == (None, 40)
    # Three pages a year, and the two of 2024 before the dead token once more.
    assert len(library.lists()) == 4 * 3 + 1 + 3
    assert library.held() == refs(list(library.repository.items))


def test_a_token_that_always_dies_ends_each_run_and_the_next_begins_there(
    library: Library,
) -> None:
    library.repository.fault = lambda _, asked: (
        DIED if asked.get("resumptionToken") == "2024-01-01/2024-12-31/8" else None
    )
    first, second = library.harvest(), library.harvest()
    assert first.error == second.error == "badResumptionToken: no such token"
    assert (first.added, second.added) == (28, 0)
    assert {a.get("until") for a in library.lists()[-3:]} <= {"2024-12-31", None}

    library.repository.fault = lambda _n, _asked: None
    assert library.harvest().added == 12
    assert library.held() == refs(list(library.repository.items))


def test_one_token_for_ever_ends_the_run(library: Library) -> None:
    library.repository.fault = lambda _, asked: (
        "<ListRecords><resumptionToken>again</resumptionToken></ListRecords>"
        if asked["verb"] == "ListRecords"
        else None
    )

    assert library.harvest().error == "the same resumption token a second time"
    assert len(library.lists()) == 2


@pytest.mark.parametrize("minutes", [-10, 0, 10])
def test_nothing_is_missed_whatever_the_servers_clock_says(
    library: Library, minutes: int
) -> None:
    repository = library.repository
    repository.clock = NOON + timedelta(minutes=minutes)
    library.harvest()
    late = Item(7_000, repository.clock.date(), "Came in while the harvest ran")
    repository.items = [*repository.items, late]
    repository.clock += timedelta(days=1)

    report = library.harvest()

    assert (report.added, report.changed) == (1, 0)
    assert library.lists()[-1]["from"] == "2026-02-28"


def test_records_seen_again_change_nothing(library: Library) -> None:
    library.harvest()
    library.repository.items = [
        replace(item, stamp=date(2026, 3, 1)) for item in library.repository.items
    ]

    report = library.harvest()

    assert (report.added, report.changed, report.withdrawn) == (0, 0, 0)
    assert report.unchanged == 40


def test_deletions_withdraw_and_a_return_takes_back(library: Library) -> None:
    library.harvest()
    items = list(library.repository.items)
    today = date(2026, 3, 1)
    library.repository.items = [
        replace(item, title="", stamp=today) if item.number % 2 else item
        for item in items
    ]
    assert library.harvest().withdrawn == 20
    assert library.held() == refs(list(library.repository.items))

    library.repository.items = [replace(item, stamp=today) for item in items]
    report = library.harvest()

    assert (report.changed, report.acquisitions) == (20, 0)
    assert library.held() == refs(items)


def every_list(answer: Answer) -> Callable[[int, dict[str, str]], Answer | None]:
    return lambda _, asked: answer if asked["verb"] == "ListRecords" else None


def test_a_server_that_stays_busy_is_left_after_five_tries(library: Library) -> None:
    library.repository.fault = every_list(Answer(status=503))

    report = library.harvest()

    assert report.cause == "status"
    assert len(library.lists()) == 5
    assert library.site.waits == [2, 4, 8, 16]


def test_a_short_retry_after_is_waited_for(library: Library) -> None:
    answer = Answer(status=503, headers={"Retry-After": "7"})
    library.repository.fault = lambda number, _: answer if number == 3 else None

    assert library.harvest().added == 40
    assert library.site.waits == [7]


def test_a_long_retry_after_ends_the_run_and_is_obeyed(library: Library) -> None:
    answer = Answer(status=503, headers={"Retry-After": "3600"})
    library.repository.fault = every_list(answer)

    library.harvest()

    assert library.site.waits == []
    due = library.source().next_check_at
    assert due is not None
    assert due >= NOON + timedelta(hours=1)


def test_what_will_not_pass_is_not_tried_again(library: Library) -> None:
    library.repository.fault = every_list(Answer(status=404))

    assert library.harvest().cause == "status"
    assert len(library.lists()) == 1


def test_a_run_that_got_somewhere_fails_for_the_first_time(library: Library) -> None:
    library.repository.fault = every_list(Answer(status=404))
    for _ in range(3):
        library.harvest()
    assert library.source().failures == 3

    library.repository.fault = lambda _, asked: (
        Answer(status=404) if "/8" in asked.get("resumptionToken", "") else None
    )
    library.harvest()

    assert library.source().failures == 1


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_fifty_thousand_records_come_whole_from_a_server_that_fails(
    library: Library,
) -> None:
    items = years_of_items(10, 5_000)
    items = [replace(i, title="") if i.number % 11 == 3 else i for i in items]
    library.repository.items = items
    library.repository.on_a_page = 100
    library.repository.fault = lambda number, _: (
        Answer(status=503) if number % 7 == 0 else None
    )

    report = library.harvest()

    assert report.error is None
    assert library.held() == refs(items)
    with reading(library.sessions) as session:
        assert session.scalar(select(func.count()).select_from(Acquisition)) == 0
    assert len(library.lists()) > 500
    assert library.harvest().added == 0
