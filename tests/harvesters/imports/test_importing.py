import csv
import gzip
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from harvesters.formats.tabular import Row
from harvesters.imports.frame import ImportReport
from harvesters.imports.lending import import_holds, import_loans, take_loans
from harvesters.imports.loans import (
    HarvestedLoan,
    covered,
    open_register,
    read_loan,
    store_loans,
)
from harvesters.imports.people import import_patrons
from harvesters.imports.refusals import Refusals
from harvesters.imports.works import import_works
from library.db import Sessions, reading
from library.errors import InvalidInput
from library.tables import (
    Base,
    BibRecord,
    Branch,
    Consent,
    ContactPoint,
    Guardian,
    Hold,
    Loan,
    Patron,
    Preference,
    Source,
    Work,
)
from library.vocabulary import ConsentPurpose
from profiles.consent import withdraw as withdraw_consent
from tests.factories import NOON, make_branch, make_patron
from tests.harvesters.contents import catalogue
from tests.races import meanwhile

HISTORY = (ConsentPurpose.HISTORY,)
WORKS = """work_id,title,creator,year,subjects,isbn,call_number
w1,Cosmos,"Sagan, Carl",1980,astronomy|science,9780345539434,QB44
w2,کتابخانهٔ من,صادق هدایت,1389,داستان,,
"""
PATRONS = """patron_id,cardnumber,name,email
ada,c1,Ada,ada@patrons.test
bo,c2,Bo,family@patrons.test
cy,c3,Cy,family@patrons.test
"""


class Desk:
    """Files into a database, as one library does it."""

    def __init__(self, sessions: Sessions, folder: Path) -> None:
        self.sessions = sessions
        self.folder = folder
        self.report = folder / "reports" / "refused.csv"

    def file(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def works(self, path: Path, *, dry_run: bool = False) -> ImportReport:
        return import_works(
            self.sessions,
            path,
            system="lib",
            branch_code="main",
            at=NOON,
            dry_run=dry_run,
            report_path=self.report,
            with_subjects=True,
        )

    def patrons(
        self, path: Path, consents: tuple[ConsentPurpose, ...] = HISTORY
    ) -> ImportReport:
        return import_patrons(
            self.sessions,
            path,
            system="lib",
            branch_code="main",
            at=NOON,
            report_path=self.report,
            consents=consents,
            covers_past=True,
        )

    def loans(self, path: Path, *, dry_run: bool = False) -> ImportReport:
        return import_loans(
            self.sessions,
            path,
            system="lib",
            branch_code="main",
            at=NOON,
            dry_run=dry_run,
            report_path=self.report,
        )

    def stocked(self) -> "Desk":
        self.works(self.file("works.csv", WORKS))
        self.patrons(self.file("patrons.csv", PATRONS))
        return self

    def count(self, table: type[Base]) -> int:
        with reading(self.sessions) as session:
            return session.scalar(select(func.count()).select_from(table)) or 0

    def refused(self) -> list[dict[str, str]]:
        with self.report.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def desk(sessions: Sessions, tmp_path: Path) -> Desk:
    return Desk(sessions, tmp_path)


def counts(report: ImportReport) -> tuple[int, int, int, int, int]:
    return (
        report.added,
        report.changed,
        report.unchanged,
        report.skipped,
        report.rejected,
    )


def test_works_go_in_with_all_they_say(desk: Desk) -> None:
    report = desk.works(desk.file("works.csv", WORKS))

    assert counts(report) == (2, 0, 0, 0, 0)
    with reading(desk.sessions) as session:
        rows = catalogue(session)
        persian = session.scalars(select(Work).where(Work.title_dir == "rtl")).one()
        isbns = set(session.scalars(select(BibRecord.isbn)))
    assert ("cosmos/sagan", "carlsagan", 0) in rows["creator"]
    assert ("cosmos/sagan", "local", "astronomy") in rows["subject"]
    assert rows["acquisition"] == []
    assert (persian.year_greg_from, persian.year_greg_to) == (2010, 2011)
    assert isbns == {"9780345539434", None}


def test_works_twice_change_nothing(desk: Desk) -> None:
    path = desk.file("works.csv", WORKS)
    desk.works(path)

    assert counts(desk.works(path)) == (0, 0, 2, 0, 0)


def test_a_corrected_work_stays_the_same_work(desk: Desk) -> None:
    desk.works(desk.file("works.csv", WORKS))
    corrected = desk.file("works.csv", WORKS.replace("Cosmos", "The Kosmos"))

    assert counts(desk.works(corrected)) == (0, 1, 1, 0, 0)
    with reading(desk.sessions) as session:
        assert {key for key, *_ in catalogue(session)["work"]} == {
            "kosmos/sagan",
            "کتابخانهمن/هدایت",
        }


def test_a_dry_run_counts_and_stores_nothing(desk: Desk) -> None:
    report = desk.works(desk.file("works.csv", WORKS), dry_run=True)

    assert counts(report) == (2, 0, 0, 0, 0)
    assert [desk.count(table) for table in (Work, BibRecord, Branch)] == [0, 0, 0]


def test_others_write_while_a_file_is_only_tried(desk: Desk) -> None:
    desk.works(desk.file("works.csv", WORKS.replace("Cosmos", "Contact")))
    written = []

    def write(done: int, total: int | None) -> None:
        with desk.sessions.begin() as session:
            written.append(make_patron(session, f"Ada{done}").id)

    report = import_works(
        desk.sessions,
        desk.file("works.csv", WORKS),
        system="lib",
        branch_code="main",
        at=NOON,
        dry_run=True,
        progress=write,
    )

    assert counts(report) == (0, 1, 1, 0, 0)
    assert desk.count(Patron) == len(written) > 0


def test_a_work_of_which_only_words_are_given(desk: Desk) -> None:
    words = gzip.compress(b"7 eye:6 scan:ning:4\n8\n9 broken\n")

    report = desk.works(desk.file("words.txt.gz", words))

    assert counts(report) == (2, 0, 0, 0, 1)
    with reading(desk.sessions) as session:
        work = session.scalars(select(Work).where(Work.title == "7")).one()
    assert work.words == {"eye": 6, "scan:ning": 4}
    assert work.language is None


def test_words_and_subjects_beside_a_table_are_read_with_it(desk: Desk) -> None:
    desk.file("words.txt.gz", gzip.compress(b"w1 star:2\n"))
    desk.file("subjects.csv.gz", gzip.compress(b"work_id,tag\nw1,null\nw1,space\n"))

    desk.works(desk.file("works.csv", WORKS))

    with reading(desk.sessions) as session:
        words = session.scalar(select(Work.words).where(Work.title == "Cosmos"))
        subjects = catalogue(session)["subject"]
    assert words == {"star": 2}
    assert ("cosmos/sagan", "local", "space") in subjects
    assert ("cosmos/sagan", "local", "null") in subjects  # a word, and not a blank


def test_subjects_beside_are_left_alone_unless_asked_for(desk: Desk) -> None:
    desk.file("subjects.csv.gz", gzip.compress(b"work_id,tag\nw1,space\n"))
    path = desk.file("works.csv", WORKS)

    import_works(desk.sessions, path, system="lib", branch_code="main", at=NOON)

    with reading(desk.sessions) as session:
        labels = {label for _, _, label in catalogue(session)["subject"]}
    assert "space" not in labels


def test_rows_can_be_kept_apart_as_works(desk: Desk) -> None:
    path = desk.file(
        "works.csv", "work_id,title,creator\n1,Emma,Austen\n2,Emma,Austen\n"
    )

    import_works(
        desk.sessions, path, system="lib", branch_code="main", at=NOON, grouped=False
    )

    assert desk.count(Work) == 2


def test_patrons_come_with_address_preference_and_consent(desk: Desk) -> None:
    report = desk.patrons(desk.file("patrons.csv", PATRONS))

    assert counts(report) == (3, 0, 0, 0, 0)
    assert desk.count(ContactPoint) == 3  # two of them share one address
    assert desk.count(Preference) == 3
    assert desk.count(Consent) == 3
    assert counts(desk.patrons(desk.folder / "patrons.csv")) == (0, 0, 3, 0, 0)


def test_nobodys_consent_is_assumed(desk: Desk) -> None:
    desk.patrons(desk.file("patrons.csv", PATRONS), consents=())

    assert desk.count(Consent) == 0


def test_a_refusal_outlives_the_next_import(desk: Desk) -> None:
    path = desk.file("patrons.csv", PATRONS)
    desk.patrons(path)
    with desk.sessions.begin() as session:
        for consent in session.scalars(select(Consent)):
            consent.withdrawn_at = NOON

    desk.patrons(path)

    with reading(desk.sessions) as session:
        live = session.scalars(select(Consent).where(Consent.withdrawn_at.is_(None)))
        assert live.all() == []


def test_card_and_address_may_change_and_the_patron_stays(desk: Desk) -> None:
    desk.stocked()
    desk.loans(
        desk.file("loans.csv", "patron_id,work_id,borrowed_on\nada,w1,2026-01-05\n")
    )
    changed = PATRONS.replace("ada,c1,Ada,ada@", "ada,c9,Ada,new@")

    report = desk.patrons(desk.file("patrons.csv", changed))

    assert counts(report) == (0, 1, 2, 0, 0)
    with reading(desk.sessions) as session:
        ada = session.scalars(select(Patron).where(Patron.external_id == "ada")).one()
        address = session.scalars(
            select(ContactPoint.address).where(ContactPoint.patron_id == ada.id)
        ).one()
        loan = session.scalars(select(Loan)).one()
    assert address == "new@patrons.test"
    assert loan.patron_id == ada.id


def test_a_guardian_reads_for_a_child(desk: Desk) -> None:
    text = "patron_id,name,guarantor_id\nmum,Mum,\nkid,Kid,mum\n"

    desk.patrons(desk.file("patrons.csv", text))

    assert desk.count(Guardian) == 1


def test_a_file_with_passwords_is_refused_whole(desk: Desk) -> None:
    path = desk.file("patrons.csv", "patron_id,name,password\nada,Ada,\nbo,Bo,x\n")

    with pytest.raises(InvalidInput, match="line 3 holds a password"):
        desk.patrons(path)

    assert desk.count(Patron) == 0


def test_the_koha_patron_file_is_understood(desk: Desk) -> None:
    text = (
        "cardnumber,surname,userid,email,branchcode,categorycode,dateenrolled,lang\n"
        "c1,Lovelace,ada,ada@patrons.test,EAST,ADULT,2025-09-01,fa-IR\n"
    )

    assert counts(desk.patrons(desk.file("patrons.csv", text)))[0] == 1
    with reading(desk.sessions) as session:
        row = session.scalars(select(Patron)).one()
        east = session.scalars(select(Branch.id).where(Branch.code == "EAST")).one()
    assert (row.external_id, row.language, row.category) == ("ada", "fa_IR", "ADULT")
    assert row.branch_id == east


LOANS = """patron_id,work_id,borrowed_on,returned_on
ada,w1,2026-01-05,2026-01-12
bo,w2,1404/10/20,
"""


def test_loans_go_in_once_however_often_they_are_read(desk: Desk) -> None:
    path = desk.stocked().file("loans.csv", LOANS)

    assert counts(desk.loans(path)) == (2, 0, 0, 0, 0)
    assert counts(desk.loans(path)) == (0, 0, 2, 0, 0)
    assert desk.count(Loan) == 2


def test_a_return_is_noted_later(desk: Desk) -> None:
    desk.stocked().loans(desk.file("loans.csv", LOANS))
    returned = LOANS.replace("1404/10/20,", "1404/10/20,1404/11/01")

    assert counts(desk.loans(desk.file("loans.csv", returned))) == (0, 1, 1, 0, 0)


def test_a_jalali_day_is_the_right_day(desk: Desk) -> None:
    text = "شماره عضویت,شماره رکورد,تاریخ امانت\nada,w1,۱۴۰۴/۰۶/۳۱\n"

    desk.stocked().loans(desk.file("loans.csv", text))

    with reading(desk.sessions) as session:
        borrowed = session.scalars(select(Loan.borrowed_at)).one()
    assert borrowed is not None
    assert borrowed.date().isoformat() == "2025-09-22"


def test_loans_of_patrons_who_did_not_agree_are_counted_and_not_stored(
    desk: Desk,
) -> None:
    desk.works(desk.file("works.csv", WORKS))
    desk.patrons(desk.file("patrons.csv", PATRONS), consents=())

    report = desk.loans(desk.file("loans.csv", LOANS))

    assert counts(report) == (0, 0, 0, 2, 0)
    assert desk.count(Loan) == 0


@pytest.mark.parametrize("when", ["after it was read", "as it is stored"])
def test_a_loan_of_a_consent_that_is_withdrawn_meanwhile_does_not_stay(
    desk: Desk, when: str
) -> None:
    desk.stocked()
    with reading(desk.sessions) as session:
        ada = session.scalars(select(Patron).where(Patron.external_id == "ada")).one()

    def withdraw(session: Session) -> None:
        withdraw_consent(session, ada.id, ConsentPurpose.HISTORY, at=NOON)

    def rows() -> Iterator[Row]:
        cells = {"patron": "ada", "work": "w1", "from": "2026-01-05"}
        yield Row(2, cells, tuple(cells.values()))
        with desk.sessions.begin() as session:
            withdraw(session)

    if when == "after it was read":
        with Refusals(None, ()) as bad:
            report = take_loans(
                desk.sessions, rows(), bad, system="lib", branch_code="main", at=NOON
            )
        assert counts(report) == (0, 0, 0, 1, 0)
    else:
        with reading(desk.sessions) as session:
            register = open_register(session, "lib", ada.branch_id)
        loan = read_loan(next(rows()), register, ada.branch_id, at=NOON)
        assert isinstance(loan, HarvestedLoan)
        meanwhile(
            desk.sessions,
            lambda session: store_loans(session, "lib", covered(session, [loan])),
            withdraw,
        )
    assert desk.count(Loan) == 0


def test_the_same_loans_from_two_imports_at_once_are_stored_once(desk: Desk) -> None:
    desk.stocked()
    with reading(desk.sessions) as session:
        branch = session.scalars(select(Branch.id)).one()
        register = open_register(session, "lib", branch)
    loans = []
    for ref in ("1", "2"):
        cells = {"ref": ref, "patron": "ada", "work": "w1", "from": "2026-01-05"}
        loan = read_loan(Row(2, cells, ()), register, branch, at=NOON)
        assert isinstance(loan, HarvestedLoan)
        loans.append(loan)

    meanwhile(
        desk.sessions,
        lambda session: store_loans(session, "lib", loans[:1]),
        lambda session: store_loans(session, "lib", loans[::-1]),
        then=lambda session: store_loans(session, "lib", loans),
    )

    assert desk.count(Loan) == 2


def test_two_imports_may_be_the_first_of_a_system(desk: Desk) -> None:
    path = desk.file("works.csv", WORKS)

    meanwhile(
        desk.sessions,
        lambda session: make_branch(session, "main"),
        lambda _: desk.works(path),
        lambda _: desk.works(path),
    )

    assert desk.count(Work) == 2
    assert desk.count(Source) == 1


@pytest.mark.parametrize(
    ("covers_past", "days", "stored"),
    [(False, -1, 0), (False, 1, 1), (True, -1, 1)],
    ids=["from before", "from after", "from before, and covered"],
)
def test_the_consent_says_whether_it_covers_the_past(
    desk: Desk, covers_past: bool, days: int, stored: int
) -> None:
    desk.stocked()
    with desk.sessions.begin() as session:
        for consent in session.scalars(select(Consent)):
            consent.covers_past = covers_past
            consent.given_at = NOON - timedelta(days=30)
    day = (NOON + timedelta(days=days - 30)).date()

    desk.loans(desk.file("loans.csv", f"patron_id,work_id,datetime\nada,w1,{day}\n"))

    assert desk.count(Loan) == stored


def test_a_dry_run_of_loans_stores_nothing(desk: Desk) -> None:
    path = desk.stocked().file("loans.csv", LOANS)

    assert counts(desk.loans(path, dry_run=True)) == (2, 0, 0, 0, 0)
    assert desk.count(Loan) == 0


def test_patrons_are_made_from_loans_only_when_asked(desk: Desk) -> None:
    desk.works(desk.file("works.csv", WORKS))
    path = desk.file("loans.csv", "patron_id,work_id\n1,w1\n1,w2\n2,w1\n2,w1\n")

    assert counts(desk.loans(path)) == (0, 0, 0, 0, 4)
    report = import_loans(
        desk.sessions,
        path,
        system="lib",
        branch_code="main",
        at=NOON,
        create_patrons=True,
    )

    assert counts(report) == (3, 0, 1, 0, 0)


BAD = [
    (b"nobody,w1,2026-01-05,", "patron_id", "no patron"),
    (b"ada,nothing,2026-01-05,", "work_id", "no work"),
    (b"ada,w1,2026-02-30,", "borrowed_on", "impossible date"),
    (b"ada,w1,1404/12/30,", "borrowed_on", "impossible date"),
    (b"ada,w1,2031-01-01,", "borrowed_on", "in the future"),
    (b"ada,w1,2026-01-05,2026-01-01", "returned_on", "before it was borrowed"),
    (b"ada,w1", "", "2 columns, and the header has 4"),
    (b"ada,Ren\xe9,2026-01-05,", "", "bytes that are not utf-8"),
    (b'"=HYPERLINK(""http://x"")",w1,2026-01-05,', "patron_id", "a formula"),
    (b"ada,@SUM(1),2026-01-05,", "work_id", "a formula"),
    (b",w1,2026-01-05,", "patron_id", "missing"),
]


def test_every_bad_row_is_named_and_every_good_one_goes_in(desk: Desk) -> None:
    good = [
        f"ada,w1,2025-{m:02}-{d:02},".encode() for m in (1, 2) for d in range(1, 29)
    ]
    lines = [b"patron_id,work_id,borrowed_on,returned_on"]
    for number, row in enumerate(good):
        lines += [row, BAD[number][0]] if number < len(BAD) else [row]
    path = desk.stocked().file("loans.csv", b"\n".join(lines) + b"\n")

    report = desk.loans(path)

    assert counts(report) == (len(good), 0, 0, 0, len(BAD))
    assert report.report_path == desk.report
    refused = desk.refused()
    assert [(int(row["line"]), row["field"]) for row in refused] == [
        (2 * number + 3, field) for number, (_, field, _) in enumerate(BAD)
    ]
    for line, (_, _, why) in zip(refused, BAD, strict=True):
        assert why in line["reason"]
    assert not any(line["patron_id"].startswith("=") for line in refused)
    assert counts(desk.loans(path)) == (0, 0, len(good), 0, len(BAD))


def test_a_corrected_report_can_be_read_again(desk: Desk) -> None:
    desk.stocked().loans(
        desk.file("loans.csv", "patron_id,work_id,borrowed_on\nadda,w1,2026-01-05\n")
    )
    fixed = desk.report.read_text(encoding="utf-8").replace("adda", "ada")

    assert counts(desk.loans(desk.file("fixed.csv", fixed)))[0] == 1


def test_holds_are_read_like_loans(desk: Desk) -> None:
    path = desk.stocked().file(
        "holds.csv", "borrowernumber,biblionumber,reservedate\nada,w1,2026-01-05\n"
    )

    def read() -> ImportReport:
        return import_holds(
            desk.sessions, path, system="lib", branch_code="main", at=NOON
        )

    assert counts(read()) == (1, 0, 0, 0, 0)
    assert counts(read()) == (0, 0, 1, 0, 0)
    assert desk.count(Hold) == 1


@pytest.mark.parametrize("text", ["", "colour,size\nred,2\n"])
def test_a_file_of_something_else_is_refused(desk: Desk, text: str) -> None:
    with pytest.raises(InvalidInput):
        desk.loans(desk.file("loans.csv", text))


def test_a_file_that_is_not_there_is_named(desk: Desk) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere\.csv"):
        desk.works(desk.folder / "nowhere.csv")


def test_a_table_in_windows_arabic_is_read_and_kept_raw(desk: Desk) -> None:
    text = "work_id,title\n1,كتابداري\n"

    desk.works(desk.file("works.csv", text.encode("cp1256")))

    with reading(desk.sessions) as session:
        assert session.scalars(select(Work.title)).one() == "کتابداری"
        assert session.scalars(select(BibRecord.raw)).one()["title"] == "كتابداري"


@pytest.mark.slow
def test_the_shakespeare_set_goes_in_whole(desk: Desk, shared: Path) -> None:
    folder = shared / "data" / "shakespeare"

    works = desk.works(folder / "works.csv")
    patrons = desk.patrons(folder / "patrons.csv")
    loans = desk.loans(folder / "loans.csv")

    assert (works.added, works.rejected) == (6030, 0)
    assert (patrons.added, patrons.rejected) == (587, 0)
    assert (loans.read, loans.rejected) == (20484, 0)
    assert counts(desk.loans(folder / "loans.csv"))[:2] == (0, 0)
