import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.text import work_key

Edition = tuple[str, list[str]]

SAME = [
    pytest.param(
        ("The Hunger Games (The Hunger Games, #1)", ["Suzanne Collins"]),
        ("Hunger games : a novel / Suzanne Collins.", ["Collins, Suzanne, 1962-"]),
        id="series, article, ISBD",
    ),
    pytest.param(
        ("Le Morte d'Arthur", ["Malory, Thomas, Sir"]),
        ("Le morte d’Arthur /", ["Thomas Malory (author)"]),
        id="inverted name",
    ),
    pytest.param(
        ("كليدر (جلد ۲)", ["دولت آبادي، محمود"]),
        ("کلیدر، جلد دوم", ["محمود دولت‌آبادی"]),
        id="Arabic letters, half-space, volume",
    ),
    pytest.param(
        ("Война и мир [Текст] : роман", ["Толстой, Лев Николаевич"]),
        ("Война и мир", ["Толстой Л. Н."]),
        id="Cyrillic",
    ),
    pytest.param(
        ("Cien años de soledad", ["García Márquez, Gabriel"]),
        ("Cien anos de soledad", ["Gabriel Garcia Marquez"]),
        id="surname of two words, accents",
    ),
    pytest.param(
        ("Calculus, 3rd edition", ["Stewart, James"]),
        ("Calculus (Metric Version)", ["J. Stewart"]),
        id="edition",
    ),
    pytest.param(
        ("Naruto, Vol. 01: Uzumaki Naruto (Naruto, #1)", ["Masashi Kishimoto"]),
        ("Naruto. Volume 1", ["Kishimoto, Masashi"]),
        id="volume before its name",
    ),
]
APART = [
    pytest.param(
        ("Saga, Vol. 1", ["Vaughan"]), ("Saga, Vol. 2", ["Vaughan"]), id="volumes"
    ),
    pytest.param(("Poems", ["Ada"]), ("Poems", ["Bo"]), id="creators"),
    pytest.param(
        ("Batman: Hush", ["Jeph Loeb"]),
        ("Batman: Dark Victory", ["Jeph Loeb"]),
        id="title of one word",
    ),
    pytest.param(
        ("Carrie", ["Stephen King"]),
        ("Carrie / 'Salem's Lot / The Shining", ["Stephen King"]),
        id="several works in one",
    ),
    pytest.param(
        ("The Lightning Thief", ["Rick Riordan"]),
        ("The Lightning Thief: The Graphic Novel", ["Rick Riordan"]),
        id="another form",
    ),
    pytest.param(
        ("King Henry IV, Part I", ["Shakespeare"]),
        ("King Henry IV, Part II", ["Shakespeare"]),
        id="Roman numbers",
    ),
    pytest.param(
        ("Report: on bees", []), ("Report: on ants", []), id="subtitle, no creator"
    ),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_editions_meet(one: Edition, other: Edition) -> None:
    assert work_key(*one) == work_key(*other) != ""


@pytest.mark.parametrize(("one", "other"), APART)
def test_works_stay_apart(one: Edition, other: Edition) -> None:
    assert work_key(*one) != work_key(*other)


@pytest.mark.parametrize("title", ["", "!!!", " \u200c "])
def test_a_title_that_says_nothing_has_no_key(title: str) -> None:
    assert work_key(title, ["Ada"]) == ""


def test_a_title_that_is_all_noise_keeps_its_words() -> None:
    assert work_key("(The End)", []) != work_key("(The Beginning)", [])
    assert work_key("Part I", ["Ada"]) != work_key("Part II", ["Ada"])


@given(st.text(), st.lists(st.text(), max_size=2))
def test_a_key_is_short_and_the_same_each_time(title: str, creators: list[str]) -> None:
    key = work_key(title, creators)

    assert key == work_key(title, creators)
    assert len(key) < 2000


@pytest.mark.parametrize("unit", ["(", "[", "(#1", " / ", ": ", "vol 1 ", "1st ed "])
def test_hostile_titles_take_no_time(unit: str) -> None:
    assert len(work_key(unit * 200_000, [unit * 200_000])) < 2000
