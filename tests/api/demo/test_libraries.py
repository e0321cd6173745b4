from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest

from api.demo.libraries import (
    CUT,
    PATRONS,
    DemoLibrary,
    real_library,
    sample_library,
)
from library.errors import InvalidInput

TODAY = date(2026, 3, 1)


@pytest.fixture(scope="module")
def sample() -> DemoLibrary:
    return sample_library(today=TODAY)


def test_the_same_seed_draws_the_same_library(sample: DemoLibrary) -> None:
    assert sample_library(today=TODAY) == sample
    assert sample_library(today=TODAY, seed=1) != sample


def test_the_sample_is_as_large_as_promised(sample: DemoLibrary) -> None:
    assert len(sample.works) + len(sample.new) >= 400
    assert len(sample.readers) == PATRONS
    assert len(sample.loans) > 1000


def test_new_works_are_not_there_yet_and_nobody_had_them(sample: DemoLibrary) -> None:
    new = {work.ref for work in sample.new}

    assert new.isdisjoint(row["work_id"] for row in sample.works)
    assert new.isdisjoint(loan.work for loan in sample.loans)


def test_readers_of_both_languages_agree_to_all_or_little_or_nothing(
    sample: DemoLibrary,
) -> None:
    assert Counter(r.language for r in sample.readers)["fa"] >= PATRONS // 3
    assert {r.agrees for r in sample.readers} == {"all", "alerts", "nothing"}
    assert all(r.interests for r in sample.readers if r.agrees == "alerts")
    assert len({r.name for r in sample.readers}) == PATRONS


def test_loans_are_of_the_past_and_each_pair_once(sample: DemoLibrary) -> None:
    pairs = [(loan.patron, loan.work) for loan in sample.loans]

    assert len(pairs) == len(set(pairs))
    assert all(loan.borrowed_on < TODAY for loan in sample.loans)
    assert all(
        loan.returned_on is None or loan.returned_on < TODAY for loan in sample.loans
    )


def test_readers_borrow_most_from_few_topics(sample: DemoLibrary) -> None:
    topic = {row["work_id"]: row["subjects"].split("|")[0] for row in sample.works}
    shares = []
    for reader in sample.readers:
        had = Counter(topic[x.work] for x in sample.loans if x.patron == reader.ref)
        top = sum(count for _, count in had.most_common(3))
        shares.append(top / sum(had.values()))

    assert sum(shares) / len(shares) > 0.7


def test_real_loans_are_cut_and_told_as_of_today(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path,
        "ann,old,1937-12-31,1938-02-01",
        "ann,old,1938-05-01,",
        "ben,new,1938-01-01,",
        "ben,old,1937-12-01,1937-12-08",
    )

    library = real_library(folder, today=TODAY)

    assert [row["work_id"] for row in library.works] == ["old", "never"]
    assert [work.ref for work in library.new] == ["new"]
    assert library.new[0].subjects == ("Fiction", "Drama")
    assert [(x.patron, x.work, TODAY - x.borrowed_on) for x in library.loans] == [
        ("ann", "old", timedelta(days=1)),
        ("ben", "old", CUT - date(1937, 12, 1)),
    ]
    # A return after the cut has not happened yet.
    assert [x.returned_on is None for x in library.loans] == [True, False]
    assert {r.ref: r.name for r in library.readers}["ann"] == "Ann Lee"


@pytest.mark.parametrize(
    "lines", [("ann,old,1939-01-01,",), ()], ids=["all too young", "no loan"]
)
def test_loans_that_are_all_too_young_are_refused(
    tmp_path: Path, lines: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidInput, match="no loan is older than 1938-01-01"):
        real_library(_folder(tmp_path, *lines), today=TODAY)


def test_a_folder_without_loans_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"loans\.csv: there is no such file"):
        real_library(tmp_path, today=TODAY)


def _folder(folder: Path, *loans: str) -> Path:
    files = {
        "works.csv": [
            "work_id,title,creator,year,genre,format",
            "old,Old,,,,",
            'new,New,"Lee, Ann",1937,Fiction|Drama,',
            "never,Never lent,,,,",
        ],
        "patrons.csv": ["patron_id,name", "ann,Ann Lee", "ben,Ben", "cy,Cy"],
        "loans.csv": ["patron_id,work_id,borrowed_on,returned_on", *loans],
    }
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
