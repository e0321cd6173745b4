"""How titles stand on a page: their order in a list and their direction."""

import re
import unicodedata

from library.text.spelling import ZWNJ, LazyTable, canon, fold_character

_ALPHABET = "آاءبپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی"
_HAMZA_CARRIERS = dict.fromkeys("\u0623\u0625\u0624\u0626", "ء")
# The 34 letters fit between 9 and a; the other letters of the script follow them.
_PLACE = {letter: chr(ord(":") + n) for n, letter in enumerate(_ALPHABET)}
_OTHER_PERSIAN = "\\"
_AFTER_LATIN = {
    ord(place): f"{{{place}" for place in [*_PLACE.values(), _OTHER_PERSIAN]
}


def _sort_character(char: str) -> str:
    if char == ZWNJ:
        return ""
    letter = _HAMZA_CARRIERS.get(char, char)
    letters = letter if letter in _PLACE else fold_character(letter)
    return "".join(_place(c) for c in letters)


def _place(char: str) -> str:
    if not char.isalnum():
        return " "
    if char in _PLACE:
        return _PLACE[char]
    return _OTHER_PERSIAN + char if "\u0600" <= char <= "\u077f" else char


_SORT = LazyTable(_sort_character)


def sort_key(text: str, *, latin_first: bool = False) -> str:
    """Return a string whose code-point order is the order of a Persian catalogue.

    Punctuation and space, digits, Persian, Latin; marks and half-spaces do not count,
    nor does what stands before the first letter or digit. Ties go by the `canon` text.
    The database compares it byte by byte (PostgreSQL: collation "C").

    Args:
        text: A title or name.
        latin_first: Latin before Persian, as an English page sorts.
    """
    shown = canon(text)
    key = " ".join(shown.translate(_SORT).split())
    return f"{key.translate(_AFTER_LATIN) if latin_first else key}\t{shown}"


_RTL_LANGUAGES = frozenset(
    [
        "fa",
        "per",
        "fas",
        "prs",
        "ar",
        "ara",
        "he",
        "heb",
        "ur",
        "urd",
        "ckb",
        "ps",
        "pus",
        "sd",
        "snd",
        "ug",
        "uig",
        "yi",
        "yid",
        "dv",
        "div",
        "syr",
        "arc",
        "azb",
        "glk",
        "mzn",
        "lrc",
        "bqi",
    ]
)
# Written in more than one script, or not a language: the letters decide.
_ANY_SCRIPT = frozenset(
    [
        "ku",
        "kur",
        "az",
        "aze",
        "pa",
        "pan",
        "ks",
        "kas",
        "tg",
        "tgk",
        "uz",
        "uzb",
        "tk",
        "tuk",
        "kk",
        "kaz",
        "ms",
        "may",
        "msa",
        "ha",
        "hau",
        "und",
        "mul",
        "mis",
        "zxx",
    ]
)
_RTL_SCRIPTS = frozenset(["arab", "aran", "hebr", "syrc", "thaa", "nkoo"])
_RTL_SHARE = 0.3


def title_direction(title: str, language: str | None) -> str:
    """Return "rtl" or "ltr" for a title or another text that stands alone.

    The record's language decides; without one, 30 % of right-to-left letters are
    enough: the first strong letter of a Persian title is often Latin («CRM در …»).

    Args:
        title: The text.
        language: ISO 639 code of two or three letters, perhaps with a script or region.
    """
    code, *subtags = re.split("[-_]", (language or "").lower())
    scripts = [tag for tag in subtags if len(tag) == 4]
    if scripts:
        return "rtl" if scripts[0] in _RTL_SCRIPTS else "ltr"
    if code in _RTL_LANGUAGES:
        return "rtl"
    if re.fullmatch("[a-z]{2,3}", code) and code not in _ANY_SCRIPT:
        return "ltr"
    return "rtl" if _rtl_share(title) >= _RTL_SHARE else "ltr"


def _rtl_share(text: str) -> float:
    letters = [unicodedata.bidirectional(c) for c in text if c.isalpha()]
    return sum(kind in {"R", "AL"} for kind in letters) / max(len(letters), 1)
