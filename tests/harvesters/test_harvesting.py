import gzip
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from harvesters.harvesting import HarvestReport, harvest, harvest_due
from harvesters.sources import add_source, list_sources, remove_source
from library.db import Sessions, reading
from library.errors import Conflict, InvalidInput, NotFound
from library.settings import Settings
from library.tables import (
    Acquisition,
    Alert,
    BibRecord,
    Branch,
    Harvest,
    Rejection,
    Source,
    Work,
)
from library.vocabulary import NewMeans, SourceKind
from tests.factories import NOON, ada, make_alert
from tests.harvesters.contents import catalogue
from tests.loopback import Answer, Asked, Site
from tests.races import meanwhile


def entry(number: int, title: str = "", extra: str = "") -> str:
    title = title or f"A study of number {number} in music"
    return (
        f"<item><title>{title}</title><guid>id-{number}</guid>{extra}"
        f"<link>http://journal.test/{number}</link></item>"
    )


def rss(*entries: str) -> bytes:
    inside = "".join(entries)
    return (
        '<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel>'
        f"<title>New</title>{inside}</channel></rss>"
    ).encode()


class Reader:
    """One source and its harvests, on a clock that the test moves."""

    def __init__(self, sessions: Sessions, site: Site) -> None:
        self.sessions = sessions
        self.site = site
        self.at = NOON

    def add(
        self,
        kind: SourceKind = SourceKind.FEED,
        *,
        path: str = "/feed",
        new_means: NewMeans = NewMeans.FIRST_SEEN,
        silent: bool = False,
        code: str = "acq",
    ) -> "Reader":
        with self.sessions.begin() as session:
            add_source(
                session,
                code,
                kind,
                self.site.url + path,
                new_means=new_means,
                silent=silent,
                at=self.at,
            )
        return self

    def harvest(self, *, dry_run: bool = False, code: str = "acq") -> HarvestReport:
        self.at += timedelta(hours=1)
        return harvest(
            self.sessions,
            Settings(),
            code,
            at=self.at,
            dry_run=dry_run,
            fetcher=self.site.fetcher(),
        )

    def source(self) -> Source:
        with reading(self.sessions) as session:
            return session.scalars(select(Source).where(Source.code == "acq")).one()

    def titles(self) -> set[str]:
        with reading(self.sessions) as session:
            return set(session.scalars(select(Work.title)))

    def new(self) -> set[str]:
        with reading(self.sessions) as session:
            works = select(Work.title).join(Acquisition, Acquisition.work_id == Work.id)
            return set(session.scalars(works))


@pytest.fixture
def reader(sessions: Sessions, site: Site) -> Reader:
    return Reader(sessions, site)


def counts(report: HarvestReport) -> tuple[int, int, int, int, int]:
    assert report.error is None
    return (
        report.added,
        report.changed,
        report.withdrawn,
        report.unchanged,
        report.acquisitions,
    )


def test_a_feed_becomes_works_that_are_new_here(reader: Reader, site: Site) -> None:
    site.serve("/feed", rss(entry(1, "Cosmos"), entry(2, "کتابداري")))

    assert counts(reader.add().harvest()) == (2, 0, 0, 0, 2)
    assert reader.titles() == reader.new() == {"Cosmos", "کتابداری"}


def test_the_same_feed_again_changes_nothing(reader: Reader, site: Site) -> None:
    site.serve("/feed", rss(entry(1), entry(2)))
    reader.add().harvest()
    site.serve("/feed", rss(entry(1), entry(2)) + b"<!-- built again -->")

    assert counts(reader.harvest()) == (0, 0, 0, 2, 0)


def etag(asked: Asked) -> Answer:
    if asked.headers.get("if-none-match") == '"1"':
        return Answer(status=304)
    return Answer(rss(entry(1)), headers={"ETag": '"1"'})


def last_modified(asked: Asked) -> Answer:
    day = "Sun, 01 Mar 2026 12:00:00 GMT"
    if asked.headers.get("if-modified-since") == day:
        return Answer(status=304)
    return Answer(rss(entry(1)), headers={"Last-Modified": day})


@pytest.mark.parametrize(
    ("page", "bodies"),
    [(etag, 1), (last_modified, 1), (lambda _: Answer(rss(entry(1))), 2)],
    ids=["etag", "last-modified", "neither, and the same body"],
)
def test_an_unchanged_source_costs_one_request_and_no_rows(
    reader: Reader, site: Site, page: object, bodies: int
) -> None:
    site.serve("/feed", page)  # type: ignore[arg-type]
    reader.add().harvest()
    with reading(reader.sessions) as session:
        before = catalogue(session)

    report = reader.harvest()

    assert counts(report) == (0, 0, 0, 0, 0)
    assert site.bodies == bodies
    assert len(site.asked) == 2
    with reading(reader.sessions) as session:
        assert catalogue(session) == before
        assert len(session.scalars(select(Harvest)).all()) == 1
    assert reader.source().next_check_at > reader.at  # type: ignore[operator]


def test_a_first_load_is_silent_unless_the_library_says_otherwise(
    reader: Reader, site: Site
) -> None:
    site.serve("/feed", rss(entry(1), entry(2)))
    assert counts(reader.add(silent=True).harvest()) == (2, 0, 0, 0, 0)

    site.serve("/feed", rss(entry(1), entry(2), entry(3, "A third one")))
    assert counts(reader.harvest()) == (1, 0, 0, 2, 1)
    assert reader.new() == {"A third one"}


def test_a_source_that_returns_with_new_ids_brings_nothing_new(
    reader: Reader, site: Site
) -> None:
    old = [entry(n) for n in range(20)]
    site.serve("/feed", rss(*old))
    reader.add(silent=True).harvest()
    site.serve("/feed", rss(*(text.replace("id-", "other-") for text in old)))

    assert counts(reader.harvest()) == (0, 20, 0, 0, 0)
    assert reader.new() == set()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param(entry(1), entry(1).replace("id-1", "id-9"), id="guid changed"),
        pytest.param(
            entry(1),
            entry(1).replace("journal.test/1", "journal.test/moved"),
            id="link changed",
        ),
        pytest.param(
            entry(1).replace("<guid>id-1</guid>", ""),
            entry(1).replace("<guid>id-1</guid>", "").replace("/1<", "/1?token=x<"),
            id="no guid, a token in the link",
        ),
        pytest.param(
            entry(1).replace("id-1", "http://j.test/1?sid=a"),
            entry(1).replace("id-1", "http://j.test/1?sid=b"),
            id="a session in the guid",
        ),
        pytest.param(entry(1), entry(1, "Corrected"), id="title corrected"),
    ],
)
def test_one_thing_is_one_record_whatever_its_guid_does(
    reader: Reader, site: Site, first: str, then: str
) -> None:
    site.serve("/feed", rss(first, entry(2)))
    reader.add().harvest()
    site.serve("/feed", rss(then, entry(2), entry(3)))

    report = reader.harvest()

    assert (report.added, report.acquisitions) == (1, 1)
    with reading(reader.sessions) as session:
        assert len(session.scalars(select(BibRecord)).all()) == 3
        assert len(session.scalars(select(Work)).all()) == 3


def test_entries_that_share_a_guid_are_told_apart(reader: Reader, site: Site) -> None:
    site.serve("/feed", rss(*(entry(n).replace(f"id-{n}", "same") for n in range(3))))

    assert counts(reader.add().harvest())[0] == 3


def test_two_sources_with_one_work_make_one_work_and_one_acquisition(
    reader: Reader, site: Site
) -> None:
    by = "<author>Thomas Malory</author>"
    site.serve("/a", rss(entry(1, "كتاب: A Novel", by)))
    site.serve("/b", rss(entry(9, "کتاب", "<author>Malory, Thomas</author>")))
    reader.add(path="/a").add(path="/b", code="second")

    assert counts(reader.harvest()) == (1, 0, 0, 0, 1)
    assert counts(reader.harvest(code="second")) == (1, 0, 0, 0, 0)
    with reading(reader.sessions) as session:
        assert len(session.scalars(select(Work)).all()) == 1


def test_dropping_a_source_leaves_its_works(reader: Reader, site: Site) -> None:
    site.serve("/feed", rss(entry(1, "Cosmos")))
    reader.add().harvest()

    with reader.sessions.begin() as session:
        remove_source(session, "acq")

    assert reader.titles() == {"Cosmos"}


def test_a_dry_run_counts_and_leaves_no_trace(reader: Reader, site: Site) -> None:
    site.serve("/feed", rss(entry(1)))
    before = reader.add().source().next_check_at

    assert counts(reader.harvest(dry_run=True)) == (1, 0, 0, 0, 1)
    assert reader.titles() == set()
    assert reader.source().next_check_at == before


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (Answer(status=500), "status"),
        (Answer(b"<html><body>Login</body></html>"), "malformed"),
        (Answer(b""), "malformed"),
        (Answer(b"x", headers={"Content-Encoding": "gzip"}), "encoding"),
        (Answer(status=302, headers={"Location": "http://10.0.0.1/"}), "not_allowed"),
    ],
    ids=["status", "a page", "nothing", "encoding", "refused address"],
)
def test_every_failure_is_stored_and_the_source_asked_again(
    reader: Reader, site: Site, answer: Answer, cause: str
) -> None:
    site.serve("/feed", answer)

    report = reader.add().harvest()

    assert (report.cause, report.error is not None) == (cause, True)
    source = reader.source()
    assert source.failures == 1
    assert source.next_check_at is not None
    assert source.next_check_at > reader.at
    with reading(reader.sessions) as session:
        run = session.scalars(select(Harvest)).one()
    assert (run.cause, run.error) == (cause, report.error)

    site.serve("/feed", rss(entry(1)))
    assert counts(reader.harvest())[0] == 1
    assert reader.source().failures == 0


def test_retry_after_is_obeyed(reader: Reader, site: Site) -> None:
    site.serve("/feed", Answer(status=429, headers={"Retry-After": "7200"}))
    reader.add().harvest()

    assert reader.source().next_check_at >= reader.at + timedelta(hours=2)  # type: ignore[operator]


def test_a_permanent_move_is_followed_after_ten_like_answers(
    reader: Reader, site: Site
) -> None:
    site.serve("/new", rss(entry(1)))
    site.serve("/feed", Answer(status=301, headers={"Location": "/new"}))
    reader.add()

    for _ in range(9):
        reader.harvest()
        reader.at += timedelta(hours=8)
    assert reader.source().url.endswith("/feed")

    reader.harvest()
    assert reader.source().url.endswith("/new")


def test_a_source_that_was_down_for_long_comes_back_alone(
    reader: Reader, site: Site, settings: Settings
) -> None:
    reader.add()
    for _ in range(12):
        reader.at = reader.source().next_check_at  # type: ignore[assignment]
        harvest(reader.sessions, settings, "acq", at=reader.at, fetcher=site.fetcher())
    source = reader.source()
    assert source.failures == 12
    assert source.next_check_at <= reader.at + timedelta(days=3)  # type: ignore[operator]

    site.serve("/feed", rss(entry(1)))
    reader.harvest()
    assert reader.source().failures == 0


def test_a_bad_entry_is_kept_to_be_read_and_the_rest_goes_in(
    reader: Reader, site: Site
) -> None:
    untitled = "<item><guid>x</guid><link>http://journal.test/x</link></item>"
    site.serve("/feed", rss(entry(1), untitled, entry(2)))

    report = reader.add().harvest()

    assert (report.added, report.rejected) == (2, 1)
    with reading(reader.sessions) as session:
        kept = session.scalars(select(Rejection)).one()
    assert (kept.place, kept.why) == ("entry 2", "no title")


def test_only_sources_whose_time_has_come_are_read(
    reader: Reader, site: Site, settings: Settings
) -> None:
    reader.add()

    early = harvest_due(reader.sessions, settings, at=NOON - timedelta(minutes=1))
    due = harvest_due(reader.sessions, settings, at=NOON)

    assert early == []
    # Without an allowance in the settings loopback is refused, and that is told.
    assert [(report.source, report.cause) for report in due] == [("acq", "not_allowed")]


def marc(*works: tuple[str, str]) -> bytes:
    """MARCXML records with a number and Koha's mark of an order (-1) or a copy (0)."""
    records = "".join(
        f'<record><controlfield tag="001">{number}</controlfield>'
        '<datafield tag="245" ind1=" " ind2=" "><subfield code="a">Book'
        f' {number} /</subfield></datafield><datafield tag="952" ind1=" " ind2=" ">'
        f'<subfield code="7">{status}</subfield></datafield></record>'
        for number, status in works
    )
    return f"<collection>{records}</collection>".encode()


def test_under_available_an_order_is_no_acquisition_until_a_copy_is_there(
    reader: Reader, site: Site
) -> None:
    reader.add(SourceKind.MARC, path="/marc", new_means=NewMeans.AVAILABLE)
    site.serve("/marc", marc(("1", "-1"), ("2", "0")))
    assert counts(reader.harvest()) == (2, 0, 0, 0, 1)
    assert reader.new() == {"Book 2"}

    site.serve("/marc", marc(("1", "0"), ("2", "0")))
    assert counts(reader.harvest()) == (0, 1, 0, 1, 1)
    assert reader.new() == {"Book 1", "Book 2"}
    with reading(reader.sessions) as session:
        assert set(session.scalars(select(Acquisition.cause))) == {NewMeans.AVAILABLE}


def test_a_correction_is_not_announced_again(reader: Reader, site: Site) -> None:
    reader.add(SourceKind.MARC, path="/marc")
    site.serve("/marc", marc(("1", "0")))
    reader.harvest()
    site.serve("/marc", marc(("1", "0")).replace(b"Book 1", b"Look 1"))

    assert counts(reader.harvest()) == (0, 1, 0, 0, 0)
    assert reader.titles() == {"Look 1"}


def test_a_fault_of_ours_keeps_no_other_source_from_its_turn(
    sessions: Sessions, settings: Settings
) -> None:
    with sessions.begin() as session:
        broken = add_source(
            session, "broken", SourceKind.OAI_PMH, "http://10.0.0.1/", at=NOON
        )
        broken.cursor = {"oai": {"spans": 5}}  # as no code of ours writes it
        add_source(session, "other", SourceKind.FEED, "http://10.0.0.1/", at=NOON)

    reports = harvest_due(sessions, settings, at=NOON)

    assert [(one.source, one.cause) for one in reports] == [
        ("broken", "bug"),
        ("other", "not_allowed"),
    ]
    assert harvest_due(sessions, settings, at=NOON) == []


def test_a_zipped_file_is_harvested(reader: Reader, site: Site) -> None:
    site.serve("/works.csv.gz", gzip.compress(b"work_id,title\n1,Cosmos at last\n"))

    report = reader.add(SourceKind.CSV, path="/works.csv.gz").harvest()

    assert (report.added, report.error) == (1, None)


def test_a_zipped_bomb_is_left_where_it_gets_too_large(
    reader: Reader, site: Site
) -> None:
    bomb = gzip.compress(b"work_id,title\n" + b"1,Cosmos\n" * 10, 9)
    bomb += gzip.compress(bytes(70 * 1024 * 1024), 9)
    site.serve("/works.csv.gz", bomb)

    report = reader.add(SourceKind.CSV, path="/works.csv.gz").harvest()

    assert report.error == "more than 67108864 bytes"


def test_a_rule_takes_part_of_a_source_and_shows_the_rest(
    reader: Reader, site: Site
) -> None:
    entries = [
        f"<item><title>{'Physics' if n < 12 else 'Poems'} of the year {n}</title>"
        f"<guid>{n}</guid><language>{'fa' if n % 2 else 'en'}</language></item>"
        for n in range(90)
    ]
    body = "<rss version='2.0'><channel><title>t</title>{}</channel></rss>"
    site.serve("/feed", body.format("".join(entries)).encode())
    reader.add(SourceKind.FEED)
    with reader.sessions.begin() as session:
        source = session.scalars(select(Source)).one()
        source.settings = {"words": "physics", "languages": "fa,en"}

    report = reader.harvest()

    assert (report.added, report.rejected) == (12, 78)
    assert {one.why for one in report.rejections} == {"left out by the source's rule"}


OAI = """<?xml version="1.0"?><OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">
<responseDate>{at}</responseDate><ListRecords>{records}{token}</ListRecords></OAI-PMH>"""


def oai_record(number: int, *, deleted: bool = False, title: str = "") -> str:
    header = f"<identifier>oai:x:{number}</identifier>"
    if deleted:
        return f'<record><header status="deleted">{header}</header></record>'
    return (
        f"<record><header>{header}</header><metadata><dc><title>"
        f"{title or f'Report {number} of the survey'}</title></dc></metadata></record>"
    )


def oai(*records: str, token: str = "", at: str = "2026-03-01T12:00:00Z") -> bytes:
    mark = f"<resumptionToken>{token}</resumptionToken>" if token else ""
    return OAI.format(at=at, records="".join(records), token=mark).encode()


def test_new_changed_and_withdrawn_are_told_apart(reader: Reader, site: Site) -> None:
    reader.add(SourceKind.OAI_PMH, path="/oai", silent=True)
    site.serve("/oai", oai(oai_record(1), oai_record(2)))
    reader.harvest()
    changes = [
        *(oai_record(n) for n in (3, 4, 5)),
        oai_record(1, title="Corrected"),
        oai_record(2, deleted=True),
    ]
    site.serve("/oai", oai(*changes))

    assert counts(reader.harvest()) == (3, 1, 1, 0, 3)
    assert counts(reader.harvest()) == (0, 0, 0, 5, 0)


def test_a_withdrawn_work_is_not_told_any_more(reader: Reader, site: Site) -> None:
    reader.add(SourceKind.OAI_PMH, path="/oai")
    site.serve("/oai", oai(oai_record(1)))
    reader.harvest()
    with reader.sessions.begin() as session:
        make_alert(session, ada(session), session.scalars(select(Work)).one())
    site.serve("/oai", oai(oai_record(1, deleted=True)))

    assert counts(reader.harvest()) == (0, 0, 1, 0, 0)
    assert reader.new() == set()
    with reading(reader.sessions) as session:
        assert session.scalars(select(Alert)).one().withdrawn_at == reader.at


def paged(pages: int, *, dead: frozenset[str] = frozenset()) -> object:
    """A repository of `pages` pages of one record; tokens in `dead` fail once."""
    left = set(dead)

    def answer(asked: Asked) -> Answer:
        query = dict(part.split("=", 1) for part in asked.query.split("&"))
        token = query.get("resumptionToken", "0")
        if token in left:
            left.discard(token)
            return Answer(
                b"<OAI-PMH><error code='badResumptionToken'>gone</error></OAI-PMH>"
            )
        number = int(token)
        following = str(number + 1) if number + 1 < pages else ""
        return Answer(oai(oai_record(number), token=following))

    return answer


def test_a_repository_is_read_to_its_last_page(reader: Reader, site: Site) -> None:
    site.serve("/oai", paged(5))  # type: ignore[arg-type]

    assert counts(reader.add(SourceKind.OAI_PMH, path="/oai").harvest())[0] == 5


def test_the_next_harvest_asks_from_the_servers_clock(
    reader: Reader, site: Site
) -> None:
    site.serve("/oai", paged(2))  # type: ignore[arg-type]
    reader.add(SourceKind.OAI_PMH, path="/oai").harvest()
    reader.harvest()

    assert "from=2026-02-28" in site.asked[-2].query


def test_a_dead_token_begins_the_range_again(reader: Reader, site: Site) -> None:
    site.serve("/oai", paged(4, dead=frozenset({"2"})))  # type: ignore[arg-type]

    report = reader.add(SourceKind.OAI_PMH, path="/oai").harvest()

    assert counts(report) == (4, 0, 0, 2, 4)


def test_one_token_for_ever_ends_the_run(reader: Reader, site: Site) -> None:
    site.serve("/oai", oai(oai_record(1), token="again"))

    report = reader.add(SourceKind.OAI_PMH, path="/oai").harvest()

    assert report.error == "the same resumption token a second time"


def test_a_harvest_that_was_cut_off_goes_on(reader: Reader, site: Site) -> None:
    failing = {"on": True}
    whole = paged(4)

    def page(asked: Asked) -> Answer:
        if failing["on"] and "resumptionToken=2" in asked.query:
            return Answer(status=500)
        return whole(asked)  # type: ignore[operator, no-any-return]

    site.serve("/oai", page)
    reader.add(SourceKind.OAI_PMH, path="/oai").harvest()
    failing["on"] = False
    asked = len(site.asked)

    assert counts(reader.harvest())[0] == 2
    assert "resumptionToken=2" in site.asked[asked].query


def test_a_source_is_listed_with_how_it_stands(reader: Reader, site: Site) -> None:
    site.serve("/good", rss(entry(1)))
    reader.add(path="/bad").add(path="/good", code="a-good")
    reader.harvest()
    reader.harvest(code="a-good")

    with reading(reader.sessions) as session:
        bad, good = list_sources(session)

    assert (bad.code, bad.failures, bad.error) == ("acq", 1, "the server answered 404")
    assert (good.records, good.error, good.last_success_at) == (1, None, reader.at)


def test_a_code_is_taken_once(reader: Reader) -> None:
    reader.add()

    with pytest.raises(Conflict):
        reader.add()


def test_a_code_taken_at_the_same_moment_is_told_like_one_taken_before(
    sessions: Sessions,
) -> None:
    with pytest.raises(Conflict, match="acq"):
        meanwhile(sessions, adding("acq"), adding("acq"))


def test_two_first_sources_get_one_branch(sessions: Sessions) -> None:
    meanwhile(sessions, adding("one"), adding("other"))

    with reading(sessions) as session:
        assert session.scalars(select(Branch.code)).all() == ["main"]


def adding(code: str) -> Callable[[Session], object]:
    url = f"http://lib.test/{code}"
    return lambda session: add_source(session, code, SourceKind.FEED, url, at=NOON)


@pytest.mark.parametrize("url", ["ftp://x/", "/etc/passwd", "file:///etc/passwd", "x"])
def test_a_page_or_api_adds_no_file_of_this_machine(
    sessions: Sessions, url: str
) -> None:
    with pytest.raises(InvalidInput), sessions.begin() as session:
        add_source(session, "x", SourceKind.MARC, url, at=NOON)


def test_what_is_not_there_is_said_so(reader: Reader) -> None:
    with pytest.raises(NotFound):
        reader.harvest()
    with pytest.raises(NotFound), reader.sessions.begin() as session:
        remove_source(session, "acq")
