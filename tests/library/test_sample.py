import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from library.i18n.jalali import GREGORIAN, JALALI, parse_year
from library.text import canon, isbn13, work_key

SAMPLE = Path(__file__).parents[2] / "library" / "sample"
COLUMNS = (
    *("work_id", "title", "creators", "year", "language", "isbn", "subjects"),
    *("format", "call_number"),
)
ANONYMOUS = {"ألف ليلة وليلة", "اوستا", "Bhagavad Gita"}
Row = dict[str, str]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    with (SAMPLE / "works.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def values(row: Row, column: str) -> list[str]:
    return row[column].split("|") if row[column] else []


def test_there_are_enough_works_in_both_languages(rows: list[Row]) -> None:
    languages = Counter(row["language"] for row in rows)

    assert len(rows) >= 400
    assert languages["per"] >= 150
    assert languages["eng"] >= 150
    assert set(languages) <= {"per", "eng", "fre", "ger", "ara"}


def test_every_row_has_the_columns_and_no_more(rows: list[Row]) -> None:
    assert [row["work_id"] for row in rows if tuple(row) != COLUMNS] == []
    assert [row["work_id"] for row in rows if None in row.values()] == []


def test_no_identifier_stands_twice(rows: list[Row]) -> None:
    ids = Counter(row["work_id"] for row in rows)
    isbns = Counter(row["isbn"] for row in rows if row["isbn"])

    assert [key for key, count in (ids + isbns).items() if count > 1] == []


def test_no_work_stands_twice(rows: list[Row]) -> None:
    keys = Counter(work_key(row["title"], values(row, "creators")) for row in rows)

    assert [key for key, count in keys.items() if count > 1 or not key] == []


def test_all_text_is_spelt_as_it_is_shown(rows: list[Row]) -> None:
    wrong = [
        text
        for row in rows
        for text in row.values()
        if canon(text, "ar" if row["language"] == "ara" else "fa") != text
    ]

    assert wrong == []


def test_no_list_has_a_blank_or_a_double(rows: list[Row]) -> None:
    lists = [values(row, name) for row in rows for name in ("creators", "subjects")]
    wrong = [
        found
        for found in lists
        if len(set(found)) < len(found) or any(not v or v != v.strip() for v in found)
    ]

    assert wrong == []


def test_every_isbn_is_one(rows: list[Row]) -> None:
    isbns = [row["isbn"] for row in rows if row["isbn"]]

    assert isbns
    assert [isbn for isbn in isbns if isbn13(isbn) != isbn] == []


def test_only_anonymous_classics_lack_a_creator(rows: list[Row]) -> None:
    assert {row["title"] for row in rows if not row["creators"]} == ANONYMOUS


def test_every_work_has_subjects_a_format_and_a_class(rows: list[Row]) -> None:
    assert [row["title"] for row in rows if len(values(row, "subjects")) < 2] == []
    assert {row["format"] for row in rows} == {"book"}
    assert [row["title"] for row in rows if not row["call_number"]] == []


def test_years_are_in_the_calendar_of_the_language(rows: list[Row]) -> None:
    dated = [row for row in rows if row["year"]]
    wrong = [
        row["title"]
        for row in dated
        if parse_year(row["year"], row["language"]).calendar
        != (JALALI if row["language"] == "per" else GREGORIAN)
    ]

    assert len(dated) > len(rows) // 2
    assert wrong == []


def test_every_topic_of_the_readme_has_a_dozen_works(rows: list[Row]) -> None:
    text = (SAMPLE / "README.md").read_text(encoding="utf-8")
    table = text.partition("| English | Persian |")[2]
    topics = re.findall(r"^\| (\w.*?) \| (.*?) \|$", table, re.MULTILINE)
    first = Counter(values(row, "subjects")[0] for row in rows)

    assert len(topics) >= 25
    assert [pair for pair in topics if sum(first[name] for name in pair) < 12] == []
    assert [pair for pair in topics if not all(first[name] for name in pair)] == []
