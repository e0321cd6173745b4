import pytest

from harvesters.records import HarvestedRecord, Heading
from harvesters.selecting import Selection, selection_of


def record(title: str, language: str | None = "eng", *subjects: str) -> HarvestedRecord:
    headings = tuple(Heading("local", label) for label in subjects)
    return HarvestedRecord("1", title, language=language, subjects=headings)


@pytest.mark.parametrize(
    ("settings", "found", "taken"),
    [
        ({}, record("Anything", None), True),
        ({"words": "physics"}, record("Modern Physics"), True),
        ({"words": "physics"}, record("Metaphysics"), False),
        ({"words": "physics"}, record("Stars", "eng", "Physics -- History"), True),
        ({"words": "فيزيك، نجوم"}, record("فیزیک نوین", "per"), True),
        ({"words": "solid state"}, record("The state of solid things"), False),
        ({"words": "solid state"}, record("Solid-state physics"), True),
        ({"languages": "fa, en"}, record("x", "per"), True),
        ({"languages": "fa, en"}, record("x", "ger"), False),
        ({"languages": "fa"}, record("x", None), False),
        ({"words": "physics", "languages": "fa"}, record("Physics"), False),
        ({"words": " , "}, record("x"), True),
    ],
)
def test_a_rule_takes_what_it_names(
    settings: dict[str, str], found: HarvestedRecord, taken: bool
) -> None:
    assert selection_of(settings).takes(found) is taken


def test_what_is_gone_goes_whatever_the_rule() -> None:
    gone = HarvestedRecord("1", "", withdrawn=True)

    assert selection_of({"words": "physics"}).takes(gone)
    assert not Selection()
