import csv
import gzip
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import func, select

from api.working.bell import no_ring
from api.working.tasks import do_job
from library.clock import utc_now
from library.db import Base, Sessions, reading
from library.runtime import Runtime
from library.tables import Consent, Job, Loan, Patron, Work
from library.vocabulary import JobState
from tests.factories import make_branch

Run = Callable[..., Result]

WORKS, PATRONS, LOANS = 40, 25, 2000
TODAY = utc_now().date()
BAD = 60
"""Three of a hundred, of five kinds."""


@pytest.fixture
def library(run: Run, tmp_path: Path) -> Path:
    """A library of works and of patrons who agreed that their history is kept."""
    assert run("init").exit_code == 0
    works = _write(
        tmp_path / "works.csv",
        "work_id,title,creators",
        *(f"w{n},Work number {n},Author {n}" for n in range(WORKS)),
    )
    patrons = _write(
        tmp_path / "patrons.csv",
        "patron_id,name,email",
        *(f"p{n},Patron {n},p{n}@patrons.test" for n in range(PATRONS)),
    )
    assert run("import", "works", works).exit_code == 0
    assert (
        run(
            "import", "patrons", patrons, "--consent", "history", "--covers-past"
        ).exit_code
        == 0
    )
    return tmp_path


def test_bad_rows_are_named_and_every_good_one_goes_in(
    run: Run, library: Path, sessions: Sessions
) -> None:
    path, bad_lines = _loans_with_bad_rows(library / "loans.csv")

    result = run("import", "loans", path, "--json")

    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert report["added"] == LOANS - BAD == _count(sessions, Loan)
    assert report["rejected"] == BAD
    with Path(report["report_path"]).open(encoding="utf-8", newline="") as file:
        refused = list(csv.DictReader(file))
    assert {int(row["line"]) for row in refused} == bad_lines
    assert all(row["reason"] for row in refused)


def test_reading_a_file_twice_changes_nothing(
    run: Run, library: Path, sessions: Sessions
) -> None:
    path, _ = _loans_with_bad_rows(library / "loans.csv")
    run("import", "loans", path)

    again = json.loads(run("import", "loans", path, "--json").stdout)

    assert (again["added"], again["changed"]) == (0, 0)
    assert again["unchanged"] == LOANS - BAD == _count(sessions, Loan)


def test_a_dry_run_stores_nothing(run: Run, library: Path, sessions: Sessions) -> None:
    path, _ = _loans_with_bad_rows(library / "loans.csv")

    result = run("import", "loans", path, "--dry-run")

    assert f"{LOANS - BAD} added" in result.stdout
    assert "nothing was stored" in result.stdout
    assert _count(sessions, Loan) == 0


def test_a_compressed_table_is_read_too(
    run: Run, library: Path, sessions: Sessions
) -> None:
    path = library / "loans.csv.gz"
    path.write_bytes(
        gzip.compress(b"patron_id,work_id,borrowed_on\np1,w1,2099-01-01\n")
    )

    result = run("import", "loans", path)

    # A loan of the future is an impossible date, and the file was read to see it.
    assert "1 rows read" in result.stdout
    assert "1 refused" in result.stdout


def test_loans_from_before_the_consent_stay_out(
    run: Run, library: Path, sessions: Sessions
) -> None:
    others = _write(
        library / "others.csv", "patron_id,name", "late,Late", "never,Never"
    )
    agreed = _write(library / "agreed.csv", "patron_id,name", "late,Late")
    run("import", "patrons", others)
    run("import", "patrons", agreed, "--consent", "history")
    loans = _write(
        library / "loans.csv",
        "patron_id,work_id,borrowed_on",
        "late,w1,2024-01-01",
        "never,w1,2024-01-01",
    )

    result = run("import", "loans", loans)

    assert "2 passed over (the patron has not agreed" in result.stdout
    assert _count(sessions, Loan) == 0


def test_consent_is_only_what_the_library_says_it_has(
    run: Run, library: Path, sessions: Sessions
) -> None:
    run("import", "patrons", library / "patrons.csv")

    with reading(sessions) as session:
        purposes = set(session.scalars(select(Consent.purpose)))
    assert purposes == {"history"}
    assert _count(sessions, Patron) == PATRONS


def test_a_word_that_is_no_purpose_is_wrong_usage(run: Run, library: Path) -> None:
    result = run("import", "patrons", library / "patrons.csv", "--consent", "all")

    assert result.exit_code == 2


def test_works_come_in_with_their_subjects(
    run: Run, library: Path, sessions: Sessions
) -> None:
    assert _count(sessions, Work) == WORKS
    more = _write(
        library / "more.csv",
        "work_id,title,creators,language,subjects",
        "m1,بوستان,سعدی,per,شعر کلاسیک فارسی|اخلاق",
    )

    assert run("import", "works", more).exit_code == 0

    with reading(sessions) as session:
        work = session.scalars(select(Work).where(Work.title == "بوستان")).one()
    assert work.title_dir == "rtl"


def _loans_with_bad_rows(path: Path) -> tuple[Path, set[int]]:
    """Two thousand loans, three of a hundred bad; and their lines."""
    day = TODAY
    good = "p{p},w{w},{day},"
    kinds = (
        b"nobody,w1,%s,",
        b"p1,w1,2026-02-30,",
        b"p1,w1",
        b"p\xe91,w1,%s,",
        b'"=HYPERLINK(""http://x.test"")",w1,%s,',
    )
    lines: list[bytes] = []
    bad: set[int] = set()
    for number in range(LOANS):
        if number % (LOANS // BAD) == 5 and len(bad) < BAD:
            kind = kinds[len(bad) % len(kinds)]
            line = kind % day.isoformat().encode() if b"%s" in kind else kind
            bad.add(number + 2)
        else:
            text = good.format(
                p=number % PATRONS, w=(number // PATRONS) % WORKS, day=_day(number)
            )
            line = text.encode()
        lines.append(line)
    head = b"patron_id,work_id,borrowed_on,returned_on"
    path.write_bytes(b"\n".join([head, *lines]) + b"\n")
    return path, bad


def _day(number: int) -> date:
    # The same patron and work meet again only on another day.
    return TODAY - timedelta(days=number // (PATRONS * WORKS))


def _write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _count(sessions: Sessions, table: type[Base]) -> int:
    with reading(sessions) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_an_import_is_left_to_a_worker_with_its_progress(
    run: Run, runtime: Runtime, sessions: Sessions, tmp_path: Path
) -> None:
    file = tmp_path / "patrons.csv"
    file.write_text("patron_id,name\n" + "".join(f"{n},P {n}\n" for n in range(700)))
    with sessions.begin() as session:
        make_branch(session)

    told = run(
        *("import", "patrons", file, "--background", "--consent", "history", "--json")
    )
    job_id = json.loads(told.stdout)["job"]
    aside = list((runtime.settings.home / "imports").iterdir())
    assert [path.stat().st_mode & 0o777 for path in aside] == [0o600]
    assert do_job(runtime, job_id, worker="w", ring=no_ring)

    with reading(sessions) as session:
        job = session.get_one(Job, job_id)
        patrons = session.scalar(select(func.count()).select_from(Patron))
        consents = session.scalar(select(func.count()).select_from(Consent))
    assert (job.state, job.done, patrons, consents) == (JobState.DONE, 700, 700, 700)
    assert list((runtime.settings.home / "imports").iterdir()) == []
    assert run("import", "loans", file, "--background", "--dry-run").exit_code == 2
