"""Records, patrons, checkouts and holds out of a Koha."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from harvesters.fetching.logins import Login, login_of, sealed_login
from harvesters.harvesting import HarvestReport, harvest
from harvesters.imports.frame import ImportReport
from harvesters.imports.koha import import_from_koha
from harvesters.sources import add_source
from library.db import Sessions, reading
from library.errors import FetchFailed, InvalidInput, MalformedRecord, NotAllowed
from library.settings import Settings
from library.tables import BibRecord, Branch, Consent, Hold, Loan, Patron, Source, Work
from library.vocabulary import ConsentPurpose, SourceKind
from tests.factories import NOON
from tests.harvesters.koha_server import CLIENT, KohaServer
from tests.loopback import Answer, Site

PATRONS = [
    {
        "patron_id": 51,
        "cardnumber": "23529001",
        "firstname": "Ada",
        "surname": "Byron",
        "email": "ada@patrons.test",
        "library_id": "CPL",
        "category_id": "ST",
        "lang": "fa-Arab",
        "privacy": 1,
        "date_enrolled": "2025-09-01",
        "expiry_date": "2027-09-01",
    },
    {"patron_id": 52, "surname": "Never", "library_id": "CPL", "privacy": 2},
    {"patron_id": 53, "surname": "Silent", "library_id": "CPL", "privacy": 0},
]


def checkout(number: int, patron: int, biblio: int, back: str | None) -> dict[str, Any]:
    return {
        "checkout_id": number,
        "patron_id": patron,
        "item_id": 900 + number,
        "item": {"item_id": 900 + number, "biblio_id": biblio},
        "checkout_date": "2026-02-10T09:30:00+03:30",
        "checkin_date": back,
        "library_id": "CPL",
    }


@dataclass
class Library:
    sessions: Sessions
    settings: Settings
    site: Site
    koha: KohaServer

    def harvest(self, **at: timedelta) -> HarvestReport:
        return harvest(
            self.sessions,
            self.settings,
            "koha",
            at=NOON + at.get("later", timedelta()),
            fetcher=self.site.fetcher(),
        )

    def take(self, what: str, *, dry_run: bool = False) -> ImportReport:
        return import_from_koha(
            self.sessions,
            self.settings,
            "koha",
            what,
            at=NOON,
            dry_run=dry_run,
            fetcher=self.site.fetcher(),
        )

    def agree(self, *refs: str) -> None:
        with self.sessions.begin() as session:
            patrons = select(Patron).where(Patron.external_id.in_(refs))
            for patron in session.scalars(patrons):
                session.add(
                    Consent(
                        patron_id=patron.id,
                        purpose=ConsentPurpose.HISTORY,
                        wording="v1",
                        source="page",
                        covers_past=True,
                        given_at=NOON,
                    )
                )


@pytest.fixture
def library(sessions: Sessions, settings: Settings, site: Site) -> Library:
    koha = KohaServer(
        {n: (f"Report {n} of the survey", "2026-01-01") for n in range(230)}
    )
    koha.patrons = PATRONS
    with sessions.begin() as session:
        session.add(Branch(code="CPL", name="Centerville", zone="Asia/Tehran"))
        session.flush()
        add_source(
            session,
            "koha",
            SourceKind.KOHA,
            koha.serve(site),
            branch_code="CPL",
            settings=dict(sealed_login(settings, CLIENT)),
            at=NOON,
        )
    return Library(sessions, settings, site, koha)


def test_all_records_come_page_by_page_by_their_biblio_number(library: Library) -> None:
    report = library.harvest()

    assert (report.error, report.added) == (None, 230)
    assert [path[:15] for path in library.koha.paths()] == [
        f"biblios?_page={n}" for n in (1, 2, 3)
    ]
    with reading(library.sessions) as session:
        refs = set(session.scalars(select(BibRecord.source_ref)))
    assert refs == set(map(str, range(230)))


def test_the_next_harvest_asks_for_what_changed_alone(library: Library) -> None:
    library.harvest()
    library.koha.biblios[7] = ("Corrected", "2026-03-01T13:00:00")
    library.koha.biblios[900] = ("Brand new", "2026-03-01T14:00:00")

    report = library.harvest(later=timedelta(days=1))

    assert (report.added, report.changed, report.unchanged) == (1, 1, 0)
    with reading(library.sessions) as session:
        assert session.scalar(select(Work.title).where(Work.title == "Corrected"))


def test_a_harvest_that_was_cut_off_goes_on(library: Library) -> None:
    whole = library.site.pages["/api/v1/biblios"]
    library.site.serve(
        "/api/v1/biblios",
        lambda asked: Answer(status=404) if "_page=2" in asked.query else whole(asked),
    )
    assert library.harvest().added == 100
    library.site.serve("/api/v1/biblios", whole)

    assert library.harvest().added == 130


def test_a_token_that_ends_is_renewed(library: Library) -> None:
    library.koha.good_for = 2

    assert library.harvest().added == 230
    assert library.koha.tokens == 2


def test_a_password_does_where_the_library_says_so(library: Library) -> None:
    with library.sessions.begin() as session:
        source = session.scalars(select(Source)).one()
        source.settings = {**source.settings, "auth": "basic"}

    assert library.harvest().added == 230
    assert library.koha.tokens == 0


def test_a_wrong_secret_is_named_in_health(library: Library) -> None:
    with library.sessions.begin() as session:
        source = session.scalars(select(Source)).one()
        wrong = sealed_login(library.settings, replace(CLIENT, password="wrong"))
        source.settings = dict(wrong)

    report = library.harvest()

    assert report.error == "the server answered 403"
    assert "wrong" not in repr(report)


def test_a_secret_is_kept_sealed(library: Library) -> None:
    with reading(library.sessions) as session:
        kept = session.scalars(select(Source.settings)).one()

    assert CLIENT.password not in repr(kept)
    assert login_of(library.settings, kept) == CLIENT
    with pytest.raises(NotAllowed):
        login_of(replace(library.settings, secret="another"), kept)
    for junk in ("x", "é", "AAAA"):
        with pytest.raises(NotAllowed):
            login_of(library.settings, {**kept, "sealed_login": junk})


def test_patrons_come_with_what_is_needed_of_them(library: Library) -> None:
    report = library.take("patrons")
    again = library.take("patrons")

    assert (report.added, report.rejected) == (3, 0)
    assert (again.added, again.changed) == (0, 0)
    with reading(library.sessions) as session:
        ada = session.scalars(select(Patron).where(Patron.external_id == "51")).one()
    assert (ada.name, ada.category, ada.language) == ("Ada Byron", "ST", "fa_IR")


def test_loans_are_asked_for_of_those_alone_who_agreed_here_and_there(
    library: Library,
) -> None:
    library.harvest()
    library.take("patrons")
    library.koha.checkouts = [
        checkout(1, 51, 7, None),
        checkout(2, 51, 8, "2026-02-20T10:00:00+03:30"),
        checkout(3, 52, 7, None),
        checkout(4, 53, 7, None),
        checkout(5, 51, 4000, None),
    ]
    library.agree("51", "52")

    report = library.take("loans")
    again = library.take("loans")

    assert (report.added, report.rejected) == (2, 1)
    assert (again.added, again.changed) == (0, 0)
    asked = [path for path in library.koha.paths() if path.startswith("checkouts")]
    assert all("patron_id=51" in path for path in asked)
    with reading(library.sessions) as session:
        loans = session.scalars(select(Loan).order_by(Loan.ref)).all()
    # Half past nine in Tehran.
    assert loans[0].borrowed_at == NOON.replace(month=2, day=10, hour=6, minute=0)
    assert [loan.returned_at is None for loan in loans] == [True, False]


def test_holds_come_likewise_and_a_dry_run_stores_none(library: Library) -> None:
    library.harvest()
    library.take("patrons")
    library.agree("51")
    library.koha.holds = [
        {"hold_id": 1, "patron_id": 51, "biblio_id": 9, "hold_date": "2026-02-01"}
    ]

    assert library.take("holds", dry_run=True).added == 1
    assert library.take("holds").added == 1
    with reading(library.sessions) as session:
        assert len(session.scalars(select(Hold)).all()) == 1


def test_nobody_agreed_and_nothing_is_asked(library: Library) -> None:
    library.take("patrons")
    before = len(library.koha.asked)

    assert library.take("loans").read == 0
    assert len(library.koha.asked) == before


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"<html>"])
def test_an_answer_that_is_no_list_is_told(library: Library, body: bytes) -> None:
    library.site.serve("/api/v1/patrons", body)

    with pytest.raises(MalformedRecord):
        library.take("patrons")


def test_what_is_no_koha_or_has_no_login_is_told(
    library: Library, tmp_path: Path
) -> None:
    with library.sessions.begin() as session:
        source = session.scalars(select(Source)).one()
        source.settings = {}
    with pytest.raises(InvalidInput, match="login"):
        library.take("patrons")
    assert "login" in str(library.harvest().error)

    with library.sessions.begin() as session:
        session.scalars(select(Source)).one().kind = SourceKind.FEED
    with pytest.raises(InvalidInput, match="no Koha"):
        library.take("patrons")


def test_a_secret_that_changed_is_the_sources_trouble_alone(library: Library) -> None:
    library.settings = replace(library.settings, secret="another")

    assert library.harvest().error == "the secret has changed since this was sealed"


@pytest.mark.parametrize("user", ["", "a:b"])
def test_a_name_that_cannot_be_sent_is_refused(settings: Settings, user: str) -> None:
    with pytest.raises(InvalidInput):
        sealed_login(settings, Login(user, "x"))


def test_a_login_goes_to_its_own_host_alone(
    sessions: Sessions, settings: Settings, site: Site
) -> None:
    site.serve("/feed", b"<rss version='2.0'><channel><title>t</title></channel></rss>")
    with sessions.begin() as session:
        add_source(
            session,
            "feed",
            SourceKind.FEED,
            f"{site.url}/feed",
            settings=dict(sealed_login(settings, CLIENT)),
            at=NOON,
        )

    report = harvest(sessions, settings, "feed", at=NOON, fetcher=site.fetcher())

    assert report.error is None
    assert site.asked[0].headers["authorization"].startswith("Basic ")


def test_a_system_that_is_down_is_told(library: Library) -> None:
    library.site.serve("/api/v1/patrons", Answer(status=503))

    with pytest.raises(FetchFailed, match="503"):
        library.take("patrons")
