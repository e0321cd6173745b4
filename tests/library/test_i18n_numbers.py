from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.i18n.numbers import digits, num, parse_number, percent

LOCALES = ["en", "fa_IR"]
CHOICES = [None, "persian", "latin"]


@pytest.mark.parametrize(
    ("value", "locale", "choice", "shown"),
    [
        pytest.param(1234567.89, "fa_IR", None, "۱٬۲۳۴٬۵۶۷٫۸۹", id="Persian"),
        pytest.param(1234567.89, "en", None, "1,234,567.89", id="English"),
        pytest.param(1234, "fa_IR", "latin", "1,234", id="Persian, Latin digits"),
        pytest.param(1234, "en", "persian", "۱٬۲۳۴", id="English, Persian digits"),
        pytest.param(0, "fa_IR", None, "۰", id="nought"),
        pytest.param(Decimal("0.5"), "fa_IR", None, "۰٫۵", id="decimal"),
    ],
)
def test_num(
    value: float | Decimal, locale: str, choice: str | None, shown: str
) -> None:
    assert num(value, locale, choice) == shown


@pytest.mark.parametrize("locale", LOCALES)
def test_a_negative_number_stands_in_an_isolate(locale: str) -> None:
    shown = num(-12, locale)

    assert (shown[0], shown[-1]) == ("\u2068", "\u2069")
    assert parse_number(shown) == -12


def test_percent() -> None:
    assert percent(0.5, "en") == "\u206850%\u2069"
    assert percent(0.5, "fa_IR") == "\u2068۵۰٪\u2069"
    assert percent(0.125, "fa_IR", decimals=1) == "\u2068۱۲٫۵٪\u2069"
    assert percent(0.125, "fa_IR", "latin", decimals=2) == "\u206812.5%\u2069"


def test_digits_of_a_text() -> None:
    assert digits("ساعت 12:30", "fa_IR") == "ساعت ۱۲:۳۰"
    assert digits("٣ of ۴", "en") == "3 of 4"
    assert digits("1389", "en", "persian") == "۱۳۸۹"


@given(
    st.decimals(-(10**9), 10**9, places=2),
    st.sampled_from(LOCALES),
    st.sampled_from(CHOICES),
)
def test_what_we_show_we_can_read(
    value: Decimal, locale: str, choice: str | None
) -> None:
    assert parse_number(num(value, locale, choice)) == value


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("١٢٣٤", "1234"),
        ("۱۲٫۵", "12.5"),
        (" 1,234.50 ", "1234.50"),
        ("-۵", "-5"),
        ("+7", "7"),
    ],
)
def test_all_digits_are_read(typed: str, value: str) -> None:
    assert parse_number(typed) == Decimal(value)


@pytest.mark.parametrize(
    "typed", ["", "abc", "1,5", "²", "1e5", "nan", "1_000", "1.2.3", "1 2", "१"]
)
def test_what_is_no_number_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="number"):
        parse_number(typed)
