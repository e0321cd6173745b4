import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from library.text import (
    canon,
    doi,
    fold,
    isbn13,
    issn,
    sort_key,
    squash,
    terms,
    title_direction,
)

CASES: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "persian_cases.json").read_text("utf-8")
)
LANGUAGES = ["fa", "ar", "ku", "ckb", "ur", "en", "ar-EG", "", None]
TROUBLE = (
    "\u064a\u0649\u0643\u06d2\u06c1\u06d5\u06be\u06c0\u06c2\u06c3\u06d3\u0626\u0624\u0622"
    "\u0654\u0653\u0655\u064e\u0670\u0640\u200b\u200c\u200d\u00ad\ufeff\u200e\u2067\u00ac"
    "\uffe2\u00a0\u202f\u0621\u0674\u066a\u066b\u066c\u06f1\u0661\ufb90\ufefb\ufe70\ufdfa"
    "\U0001ee00\u0301\u034f\u302e\U0001d165\u0345\u0130\u1e9e\u2028 \n\tابک‌هC+#_-1é가"
)
texts = st.text() | st.text(st.sampled_from(TROUBLE), max_size=12)


@pytest.mark.parametrize("group", CASES["groups"], ids=lambda group: group[-1])
def test_spellings_of_a_group_are_one_key_and_the_same_words(group: list[str]) -> None:
    assert len({squash(spelling) for spelling in group}) == 1
    assert len({tuple(terms(spelling)) for spelling in group}) == 1


@pytest.mark.parametrize("group", CASES["groups"], ids=lambda group: group[-1])
def test_full_text_search_finds_each_spelling_by_each(group: list[str]) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE page USING fts5(words)")
    connection.executemany(
        "INSERT INTO page VALUES (?)", [(" ".join(terms(s)),) for s in group]
    )
    for spelling in group:
        query = " ".join(f'"{term}"' for term in terms(spelling))
        (found,) = connection.execute(
            "SELECT count(*) FROM page WHERE page MATCH ?", [query]
        ).fetchone()
        assert found == len(group)
    connection.close()


@pytest.mark.parametrize("text", CASES["unchanged"])
def test_canon_leaves_what_is_right_unchanged(text: str) -> None:
    assert canon(text) == text


def test_titles_sort_as_in_a_persian_catalogue() -> None:
    shuffled = [*CASES["sorted"][1::2], *reversed(CASES["sorted"][::2])]

    assert sorted(shuffled, key=sort_key) == CASES["sorted"]


def test_english_pages_sort_latin_before_persian() -> None:
    titles = ["CRM", "یاد", "book", "آب", "12"]

    ordered = sorted(titles, key=lambda title: sort_key(title, latin_first=True))

    assert ordered == ["12", "book", "CRM", "آب", "یاد"]


def test_sorting_skips_what_stands_before_the_first_letter() -> None:
    assert sorted(["«گل»", "آب", "...موم"], key=sort_key) == ["آب", "«گل»", "...موم"]


def test_order_agrees_with_icu() -> None:
    icu = pytest.importorskip("icu", reason="PyICU is not installed")
    collator = icu.Collator.createInstance(icu.Locale("fa"))
    words = [w for w in CASES["sorted"] if re.fullmatch(r"[^\W\d_a-zA-Z]+", w)]

    assert sorted(words, key=sort_key) == sorted(words, key=collator.getSortKey)


@pytest.mark.parametrize("row", CASES["keywords"]["meet"], ids=lambda row: row[1])
def test_keywords_of_both_papers_meet(row: list[str]) -> None:
    assert row[0] in CASES["keywords"]["paper_1"]
    assert row[1] in CASES["keywords"]["paper_2"]
    first, second, shared = (set(terms(text)) for text in row)
    assert shared
    assert shared <= first & second


def test_six_spellings_of_a_word_are_one_word() -> None:
    spellings = (
        "کتابخانه، کتابخانه‌ها، کتابخانه ها، کتابخانهها، كتابخانه‌هاي، کتابخانه‌هایشان"
    )

    assert {tuple(terms(word)) for word in spellings.split("، ")} == {("کتابخانه",)}


@pytest.mark.parametrize(
    ("text", "vocabulary", "words"),
    [
        pytest.param("کتابها", {"کتاب"}, ["کتاب"], id="stem stands alone"),
        pytest.param("کتابها", set[str](), ["کتابها"], id="stem unknown"),
        pytest.param("بزرگترین کتاب", None, ["بزرگ", "کتاب"], id="superlative"),
        pytest.param("تنها انتها", None, ["تنها", "انتها"], id="never cut"),
        pytest.param("آبها", None, ["اب"], id="two letters stay"),
        pytest.param("پها", None, ["پها"], id="one letter would stay"),
        pytest.param("ها تر", None, ["ها", "تر"], id="nothing else is left"),
        pytest.param("می‌خوانم C++", None, ["خوانم", "c"], id="prefix"),
        pytest.param("...", None, [], id="no word"),
    ],
)
def test_terms(text: str, vocabulary: set[str] | None, words: list[str]) -> None:
    assert terms(text, vocabulary) == words


def test_arabic_keeps_the_letters_it_owns() -> None:
    assert canon("كتاب علي", "ar") == "كتاب علي"
    assert canon("كتاب علي", "fa") == "کتاب علی"
    assert canon("كتاب علي", None) == "کتاب علی"


def test_plus_and_hash_tell_languages_apart() -> None:
    assert len({squash("C"), squash("C++"), squash("C#")}) == 3
    assert squash("#1 + 2") == "12"


@given(texts, st.sampled_from(LANGUAGES))
@example("\u0627\u00ac\u0301\u00ac\u0627", "ar")
@example("\u064a\u0640\u0654", "ar")
def test_canon_is_done_once(text: str, language: str | None) -> None:
    once = canon(text, language)

    assert canon(once, language) == once


@given(texts, st.sampled_from(LANGUAGES))
@example("\u0627\u0301\u00ac\u0627", "fa")
@example("\u302e\u034f\U0001d165", "fa")
def test_fold_is_done_once_and_knows_no_language(
    text: str, language: str | None
) -> None:
    folded = fold(text)

    assert fold(folded) == folded
    assert fold(canon(text, language)) == folded
    assert squash(folded) == squash(text)


@given(texts)
def test_a_key_has_letters_and_digits_only(text: str) -> None:
    assert all(c.isalnum() or c in "+#" for c in squash(text))


@given(texts)
def test_a_sort_key_can_be_stored(text: str) -> None:
    assert "\x00" not in sort_key(text.replace("\x00", ""))


@pytest.mark.parametrize(
    ("title", "language", "direction"),
    [
        pytest.param("CRM در کتابخانه‌ها", "fa", "rtl", id="language decides"),
        pytest.param("CRM در کتابخانه‌ها", None, "rtl", id="letters decide"),
        pytest.param(
            "Libraries and readers of ایران", "", "ltr", id="few Persian letters"
        ),
        pytest.param("abcdefg ابپ", None, "rtl", id="30 % exactly"),
        pytest.param("abcdefgh ابپ", None, "ltr", id="below 30 %"),
        pytest.param("Iran", "per", "rtl", id="MARC code"),
        pytest.param("ایران", "eng", "ltr", id="English by its record"),
        pytest.param("Ferheng", "ku", "ltr", id="Kurdish in Latin letters"),
        pytest.param("فەرهەنگ", "kur", "rtl", id="Kurdish in Arabic letters"),
        pytest.param("x", "az-Arab", "rtl", id="script in the tag"),
        pytest.param("1984", None, "ltr", id="no letters"),
    ],
)
def test_title_direction(title: str, language: str | None, direction: str) -> None:
    assert title_direction(title, language) == direction


@pytest.mark.parametrize(
    ("text", "isbn"),
    [
        pytest.param("ISBN 0 306 40615 2 (pbk.)", "9780306406157", id="qualifier"),
        pytest.param("(hbk.) 0-306-40615-2 : $12", "9780306406157", id="price"),
        pytest.param("شابک: ۹۷۸‑۶۰۰‑۱۱۹‑۱۲۳‑۷", "9786001191237", id="Persian digits"),
        pytest.param("ISBN-13: 978-0-306-40615-7", "9780306406157", id="label of 13"),
        pytest.param("urn:isbn:9780306406157", "9780306406157", id="URN"),
        pytest.param("080442957x", "9780804429573", id="X as check digit"),
        pytest.param("9780306406158", None, id="wrong check digit"),
        pytest.param("0306406153", None, id="wrong check digit of ten"),
        pytest.param("979-0-2600-0043-8", None, id="ISMN"),
        pytest.param("M-2306-7118-7", None, id="old ISMN"),
        pytest.param("97803064061570", None, id="too long"),
        pytest.param("no number", None, id="words"),
        pytest.param("", None, id="empty"),
    ],
)
def test_isbn13(text: str, isbn: str | None) -> None:
    assert isbn13(text) == isbn


@given(st.integers(0, 10**9 - 1).map("{:09}".format), st.booleans())
def test_ten_and_thirteen_digits_are_one_isbn(body: str, persian: bool) -> None:
    check = sum(n * int(d) for n, d in enumerate(body, 1)) % 11
    ten = body + ("X" if check == 10 else str(check))
    weighed = sum(int(d) * (1, 3)[n % 2] for n, d in enumerate("978" + body))
    thirteen = f"978{body}{-weighed % 10}"

    assert isbn13(ten) == thirteen
    assert isbn13(f"{thirteen} (v. 1)") == thirteen
    for wrong in range(10):
        if f"978{body}{wrong}" != thirteen:
            assert isbn13(f"978{body}{wrong}") is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("ISSN 0378-5955", "0378-5955"),
        ("2434561x (online)", "2434-561X"),
        ("شاپا ۰۳۷۸-۵۹۵۵", "0378-5955"),
        ("0378-5954", None),
        ("0378", None),
    ],
)
def test_issn(text: str, number: str | None) -> None:
    assert issn(text) == number


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://doi.org/10.1000/ABC%2F12?x=1", "10.1000/abc/12"),
        ("doi:10.1234/ab.1389.5.", "10.1234/ab.1389.5"),
        ("(see 10.1016/S0140-6736(05)67)", "10.1016/s0140-6736(05)67"),
        ("doi: ۱۰.۱۲۳۴/ab", "10.1234/ab"),
        ("110.1234/ab", None),
        ("10.1234/.", None),
        ("", None),
    ],
)
def test_doi(text: str, name: str | None) -> None:
    assert doi(text) == name


@given(st.text())
def test_identifiers_never_fail_on_junk(text: str) -> None:
    assert isbn13(text) is None or len(isbn13(text) or "") == 13
    assert doi(text) is None or (doi(text) or "").startswith("10.")
    assert issn(text) is None or len(issn(text) or "") == 9


@pytest.mark.parametrize("function", [canon, fold, terms, squash, sort_key])
@pytest.mark.parametrize("unit", ["\u200c", "ا\u200c", "(", "[", "¬", "\u200c ", "¬ا"])
def test_hostile_repetition_takes_linear_time(function: Any, unit: str) -> None:
    assert function(unit * 100_000 + "x") is not None


def test_a_doi_of_closing_brackets_only_is_none() -> None:
    assert doi("10.1234/" + ")" * 100_000) is None
