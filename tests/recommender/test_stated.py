from datetime import timedelta
from typing import Any

import pytest

from library.text import squash, terms
from library.vocabulary import InterestKind
from recommender.candidates import Candidate, Candidates
from recommender.stated import FOLLOWED, MOST, STATED, Interest, find_hits, suits, worth
from tests.factories import NOON


def work(title: str, work_id: int = 1, **what: object) -> Candidate:
    text = f" {' '.join(terms(title))} "
    return Candidate(work_id=work_id, title=title, text=text, **what)  # type: ignore[arg-type]


def interest(
    label: str, kind: InterestKind = InterestKind.SUBJECT, **how: object
) -> Interest:
    return Interest(
        interest_id=1,
        patron_id=7,
        kind=kind,
        squash=squash(label),
        label=label,
        **how,  # type: ignore[arg-type]
    )


def score(candidate: Candidate, *interests: Interest) -> float:
    hits = find_hits(Candidates([candidate]), interests, {7: 0})
    return float(hits.scores(1, 1)[0, 0])


def test_an_interest_fits_whatever_way_it_is_spelled() -> None:
    stored = work("x", subjects=((squash("کتابداری"), "کتابداری"),))

    assert score(stored, interest("كتابداري")) == STATED


@pytest.mark.parametrize(
    ("title", "fits"),
    [
        ("Customer relationship management", True),
        ("Relationship: a novel", False),
        ("The customer; relationships", False),
        ("مدیریت ارتباط با مشتری", False),
    ],
)
def test_a_keyword_of_two_words_stands_side_by_side(title: str, *, fits: bool) -> None:
    wanted = interest("customer relationship", InterestKind.KEYWORD)

    assert (score(work(title), wanted) > 0) == fits


def test_a_keyword_finds_a_persian_plural() -> None:
    wanted = interest("کتابخانه", InterestKind.KEYWORD)

    assert score(work("تاریخ کتابخانه‌هاي ایران"), wanted) == STATED


@pytest.mark.parametrize(
    ("narrowing", "fits"),
    [
        ({}, True),
        ({"languages": ("fa_IR",)}, True),
        ({"languages": ("en",)}, False),
        ({"formats": ("Book",)}, True),
        ({"formats": ("dvd",)}, False),
        ({"branches": ("main",)}, True),
        ({"branches": ("east",)}, False),
        ({"languages": ("fa",), "formats": ("dvd",)}, False),
    ],
    ids=str,
)
def test_a_profile_narrows(narrowing: dict[str, Any], *, fits: bool) -> None:
    there = work(
        "x",
        subjects=(("crm", "CRM"),),
        language="fa",
        formats=frozenset(["book"]),
        branches=frozenset(["main"]),
    )

    assert (score(there, interest("CRM", **narrowing)) > 0) == fits


@pytest.mark.parametrize(
    ("what", "fits"),
    [
        ({"first_seen_at": NOON + timedelta(days=1), "year": 2026}, True),
        ({"first_seen_at": NOON - timedelta(days=1), "year": 2026}, False),
        ({"first_seen_at": NOON + timedelta(days=1), "year": 2019}, False),
        ({"first_seen_at": NOON + timedelta(days=1), "year": None}, True),
    ],
    ids=["new", "was there", "of 2019", "year not known"],
)
def test_following_is_from_now_on(what: dict[str, Any], *, fits: bool) -> None:
    followed = interest("A", InterestKind.CREATOR, follow=True, since=NOON)
    old_too = interest(
        "A", InterestKind.CREATOR, follow=True, since=NOON, new_works_only=False
    )
    there = work("x", creators=(("a", "A"),), **what)

    assert suits(there, followed) == fits
    assert suits(there, old_too)


def test_a_follow_weighs_more_and_an_inference_less() -> None:
    followed = interest("A", InterestKind.CREATOR, follow=True)

    assert worth(followed) == FOLLOWED
    assert worth(interest("A", follow=True)) == STATED
    assert worth(interest("A", weight=2.0)) == 2 * STATED
    assert worth(interest("A", inferred=True)) < STATED


def test_many_interests_in_one_work_add_up_to_a_limit() -> None:
    names = [f"s{i}" for i in range(9)]
    there = work("x", subjects=tuple((name, name) for name in names))

    assert score(there, *map(interest, names)) == MOST


def test_an_interest_of_somebody_else_is_passed_over() -> None:
    there = work("x", subjects=(("a", "A"),))

    hits = find_hits(Candidates([there]), [interest("A")], {8: 0})

    assert len(hits.row) == 0


def test_no_words_no_hits() -> None:
    assert score(work(""), interest("", InterestKind.KEYWORD)) == 0
    assert score(work("a b"), interest("c", InterestKind.KEYWORD)) == 0
