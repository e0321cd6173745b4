"""Numbers as a patron reads them, and as anyone types them.

Digits are a choice apart from the language. ISBN, call numbers and barcodes are names,
not numbers: they never come through here.
"""

import re
from decimal import Decimal
from typing import Final

from babel.numbers import format_decimal, format_percent, parse_decimal

from library.text import canon

PERSIAN_DIGITS: Final = "persian"
LATIN_DIGITS: Final = "latin"

_TO_PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
_TO_LATIN = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "0123456789" * 2)
_TYPED = str.maketrans({"\u2212": "-", "\u066b": ".", "\u066c": ","})
_NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?", re.ASCII)


def num(value: float | Decimal, locale: str, digits: str | None = None) -> str:
    """Return a number with separators, in the reader's digits.

    A negative number stands in an isolate, so that its sign keeps its side.

    Args:
        value: The number; up to three decimals are shown.
        locale: Says which digits, where the reader did not choose.
        digits: "persian" or "latin", as the patron chose.
    """
    persian = _persian(locale, digits)
    place, system = _format(locale, persian=persian)
    text = format_decimal(value, locale=place, numbering_system=system)
    shown = text.translate(_TO_PERSIAN) if persian else text
    return _isolate(shown) if value < 0 else shown


def percent(
    share: float | Decimal, locale: str, digits: str | None = None, *, decimals: int = 0
) -> str:
    """Return a share (0.5 is 50 %) as a percentage, in an isolate.

    Args:
        share: The part of one.
        locale: As for `num`.
        digits: As for `num`.
        decimals: At most so many; a 0 at the end is left out.
    """
    persian = _persian(locale, digits)
    place, system = _format(locale, persian=persian)
    pattern = f"#,##0{'.' * bool(decimals)}{'#' * decimals}%"
    text = format_percent(share, pattern, locale=place, numbering_system=system)
    return _isolate(text.translate(_TO_PERSIAN).replace("%", "٪") if persian else text)


def digits(text: str, locale: str, digits: str | None = None) -> str:
    """Return a text with all its digits as the reader likes them."""
    latin = text.translate(_TO_LATIN)
    return latin.translate(_TO_PERSIAN) if _persian(locale, digits) else latin


def parse_number(text: str) -> Decimal:
    """Read a number in any of the three digit sets, with or without separators.

    Raises:
        ValueError: It is no number, or its separators stand in odd places ("1,5").
    """
    plain = canon(text).translate(_TO_LATIN).translate(_TYPED)
    if not _NUMBER.fullmatch(plain):
        raise ValueError(f"not a number: {text!r}")
    return parse_decimal(plain, locale="en", strict="," in plain)


def _persian(locale: str, digits: str | None) -> bool:
    return (digits or _own_digits(locale)) == PERSIAN_DIGITS


def _own_digits(locale: str) -> str:
    return PERSIAN_DIGITS if locale == "fa_IR" else LATIN_DIGITS


def _format(locale: str, *, persian: bool) -> tuple[str, str]:
    return ("fa_IR", "default") if persian else (locale, "latn")


def _isolate(text: str) -> str:
    return f"\u2068{text}\u2069"
