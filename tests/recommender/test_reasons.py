import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.vocabulary import ReasonKind
from recommender.candidates import Candidate
from recommender.reasons import KEPT, Cited, Evidence, as_json, build_reasons

WORK = Candidate(work_id=9, title="Stars", creators=(("malory", "Malory"),))


def cited(work_id: int, value: float, creator: str = "other") -> Cited:
    return Cited(work_id, f"Work {work_id}", ((creator, creator.title()),), value)


def told(evidence: Evidence) -> list[tuple[str, object, float]]:
    return [(r.kind.value, r.ref, r.share) for r in build_reasons(WORK, evidence)]


def test_loans_share_what_the_parts_made_of_them() -> None:
    evidence = Evidence({"als-64": 1.0, "content": 1.0}, [cited(1, 3.0), cited(2, 1.0)])

    assert told(evidence) == [("loan", 1, 0.75), ("loan", 2, 0.25)]


def test_loans_of_the_same_creator_are_one_reason() -> None:
    loans = [cited(1, 1.0, "malory"), cited(2, 1.0, "malory"), cited(3, 2.0)]

    found = told(Evidence({"content": 1.0}, loans))

    assert found == [("creator", "malory", 0.5), ("loan", 3, 0.5)]


def test_loans_of_the_same_series_are_one_reason() -> None:
    series = ("lives", "Lives")
    work = Candidate(work_id=9, title="Stars", series=series)
    loans = [Cited(n, f"Work {n}", (), 1.0, series) for n in (1, 2)]

    found = build_reasons(work, Evidence({"content": 1.0}, loans))

    assert [(r.kind, r.ref, r.label) for r in found] == [("series", *series)]


def test_something_different_is_marked_after_two_reasons() -> None:
    loans = [cited(n, 1.0) for n in (1, 2, 3)]

    found = told(Evidence({"content": 1.0}, loans, different=True))

    assert [kind for kind, _, _ in found] == ["loan", "loan", "different"]


def test_an_interest_stands_beside_loans_by_its_weight() -> None:
    evidence = Evidence(
        {"content": 1.0}, [cited(1, 1.0)], interests=[(5, "Astronomy", 3.0)]
    )

    assert told(evidence) == [("interest", 5, 0.75), ("loan", 1, 0.25)]


def test_what_others_borrow_is_told_as_such() -> None:
    evidence = Evidence({"popularity-90": 0.5, "popularity": 0.3, "latest": 0.2})

    assert told(evidence) == [("popular", None, 0.8), ("latest", None, 0.2)]


def test_neighbours_speak_where_no_loan_can_be_named() -> None:
    assert told(Evidence({"knn": 1.0})) == [("neighbours", None, 1.0)]


def test_a_rule_comes_first_whatever_its_share() -> None:
    evidence = Evidence(
        {"content": 3.0}, [cited(1, 1.0)], rule=(4, "Stars week"), raised=1.0
    )

    assert told(evidence) == [("rule", 4, 0.25), ("loan", 1, 0.75)]


def test_a_rule_alone_is_the_whole_reason() -> None:
    assert told(Evidence({}, rule=(4, "Stars week"))) == [("rule", 4, 1.0)]


def test_nothing_raised_it() -> None:
    assert told(Evidence({"content": -1.0})) == []


def test_parts_that_speak_against_are_no_reason() -> None:
    assert told(Evidence({"latest": -2.0, "popularity": 1.0})) == [
        ("popular", None, 1.0)
    ]


@pytest.mark.parametrize("kind", list(ReasonKind))
def test_every_kind_is_stored_by_its_value(kind: ReasonKind) -> None:
    assert kind.value == str(kind)


VALUES = st.floats(-3, 3, allow_nan=False)


@given(
    st.dictionaries(
        st.sampled_from(["als-64", "knn@30", "content", "lsi", "popularity", "latest"]),
        VALUES,
    ),
    st.lists(st.tuples(st.integers(1, 9), VALUES), max_size=6),
    st.lists(st.tuples(st.integers(1, 9), VALUES), max_size=4),
)
def test_at_most_three_with_shares_of_one_whole(
    parts: dict[str, float],
    loans: list[tuple[int, float]],
    interests: list[tuple[int, float]],
) -> None:
    evidence = Evidence(
        parts,
        [cited(*loan) for loan in loans],
        [(number, "x", value) for number, value in interests],
    )

    reasons = as_json(build_reasons(WORK, evidence))

    assert len(reasons) <= KEPT
    assert all(0 <= reason["share"] <= 1 for reason in reasons)
    assert sum(reason["share"] for reason in reasons) <= 1.001
    shares = [reason["share"] for reason in reasons]
    assert shares == sorted(shares, reverse=True)
