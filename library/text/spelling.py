"""One spelling: how a word is shown (canon), compared (fold), searched and keyed.

Grounds: ISIRI 6219:2002 for the letters to store, the CLDR `fa` collation for what
counts as the same.
"""

import re
import unicodedata
from collections.abc import Callable, Container

FOLD_VERSION = 1

ZWNJ = "\u200c"
_NOT_SIGN = "\u00ac"

# canon, step 3: the Persian letter for each look-alike.
_LETTERS = {
    **dict.fromkeys("\u064a\u0649\u06d2", "\u06cc"),
    **dict.fromkeys("\u0643\u06aa", "\u06a9"),
    **dict.fromkeys("\u06c1\u06d5\u06be", "\u0647"),
}
# A language keeps the letters it owns (ISO 639-1 and the three-letter codes of MARC).
_ARABIC, _KURDISH, _URDU = "\u064a\u0649\u0643", "\u06d5\u06be", "\u06c1\u06be\u06d2"
_OWNED = {
    **dict.fromkeys(("ar", "ara"), _ARABIC),
    **dict.fromkeys(("ku", "kur", "ckb"), _KURDISH),
    **dict.fromkeys(("ur", "urd"), _URDU),
}
_INVISIBLE = (
    "\u0640\u200b\u200d\u00ad\ufeff\u061c\u200e\u200f"
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_PRESENTATION = re.compile("[\ufb50-\ufdff\ufe70-\ufefc]+")
_BETWEEN_PERSIAN = re.compile(f"(?<=[\u0600-\u06ff]){_NOT_SIGN}(?=[\u0600-\u06ff])")
_LOOSE_ZWNJ = re.compile(
    rf"\A{ZWNJ}+|{ZWNJ}+\Z|(?<=\s){ZWNJ}+|{ZWNJ}+(?=\s)|(?<={ZWNJ}){ZWNJ}+"
)
_SPACES = re.compile("[ \t\r\v\f]+")


def _canon_table(owned: str) -> dict[int, str | None]:
    letters = {a: b for a, b in _LETTERS.items() if a not in owned}
    spaces = dict.fromkeys("\u00a0\u202f", " ")
    return str.maketrans({**letters, **dict.fromkeys(_INVISIBLE), **spaces})


_CANON = _canon_table("")
_CANON_OWNED = {language: _canon_table(owned) for language, owned in _OWNED.items()}


def canon(text: str, lang: str | None = "fa") -> str:
    """Return the form we store and show: one spelling, the meaning untouched.

    Args:
        text: As the source or the patron gave it; the raw value is kept elsewhere.
        lang: Language of the text. Arabic, Kurdish and Urdu keep the letters they own.
    """
    if not text.isascii():
        table = _CANON_OWNED.get((lang or "").split("-")[0].lower(), _CANON)
        text = _PRESENTATION.sub(_compatible, text)
        text = unicodedata.normalize("NFC", text).translate(table)
        # Again: a tatweel that went can bring a letter and its mark together.
        text = unicodedata.normalize("NFC", text)
        text = _LOOSE_ZWNJ.sub("", _BETWEEN_PERSIAN.sub(ZWNJ, text))
    elif "  " not in text and text.isprintable():
        return text.strip(" ")  # as nearly all is; the rest takes ten times as long
    return _SPACES.sub(" ", text).strip(" \n")


def _compatible(run: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", run[0])


class LazyTable(dict[int, str]):
    """A table for `str.translate` that works a character out when it first meets it."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        super().__init__()
        self._rule = rule

    def __missing__(self, code: int) -> str:
        value = self._rule(chr(code))
        if len(self) < 0x10000:  # junk must not fill the memory
            self[code] = value
        return value


_FOLD_LETTERS = str.maketrans(
    {
        **dict.fromkeys("\u0629\u06c0\u06c2\u06c3", "\u0647"),
        **dict.fromkeys("\u0622\u0623\u0625\u0671", "\u0627"),
        "\u0624": "\u0648",
        **dict.fromkeys("\u0626\u06d3", "\u06cc"),
        **dict.fromkeys("\u0621\u0674\u066c"),
        **{chr(base + n): str(n) for base in (0x0660, 0x06F0) for n in range(10)},
        "\u066a": "%",
        "\u066b": ".",
        ZWNJ: " ",
    }
)


def fold_character(char: str) -> str:
    """Fold one character, which needs no neighbours: marks go, base letters stay."""
    before = ""
    while char != before:
        before = char
        char = _PRESENTATION.sub(_compatible, char).translate(_CANON)
        char = unicodedata.normalize("NFKD", char.translate(_FOLD_LETTERS))
        char = "".join(c for c in char if unicodedata.category(c) != "Mn").casefold()
    return char


_FOLD = LazyTable(fold_character)


def fold(text: str) -> str:
    """Return what two texts share when they read the same, whatever their language.

    Lower case, no marks, Persian letters, digits 0-9, half-spaces and line ends as
    single spaces. Folding twice changes nothing.
    """
    if text.isascii():
        return " ".join(text.lower().split())
    if _NOT_SIGN in text:  # a lost half-space, or not: its neighbours tell
        text = canon(text)
    folded = " ".join(text.translate(_FOLD).split())
    if not unicodedata.is_normalized("NFKD", folded):
        folded = unicodedata.normalize("NFKD", folded)
    # A mark that went can leave a Persian letter beside it.
    return fold(folded) if _BETWEEN_PERSIAN.search(folded) else folded


_WORD = re.compile(r"\w+")
_PLURALS = ["ها", "های", "هایی", "هایم", "هایت", "هایش", "هایمان", "هایتان", "هایشان"]
_DROPPED = frozenset([*_PLURALS, *["تر", "ترین", "می", "نمی", "ای", "ام", "ات", "اش"]])
_ENDING = re.compile(rf"(\w\w+)(?:{'|'.join([*_PLURALS, 'ترین'])})")
_WHOLE = frozenset(["تنها", "انتها", "بها", "رها", "انها", "اینها"])


def terms(text: str, vocabulary: Container[str] | None = None) -> list[str]:
    """Return the words a search sees, in their order, repeats included.

    A text of nothing but small words keeps them. Empty when there is no word at all.

    Args:
        text: Any text; a query and an indexed field go through alike.
        vocabulary: Folded words that stand alone in the index; an ending is cut only
            where one of them stays. None cuts wherever two letters stay.
    """
    words = _WORD.findall(fold(text))
    return [_stem(w, vocabulary) for w in words if w not in _DROPPED] or words


def _stem(word: str, vocabulary: Container[str] | None) -> str:
    if word.isascii() or word in _WHOLE:
        return word
    cut = _ENDING.fullmatch(word)
    if cut is None or (vocabulary is not None and cut[1] not in vocabulary):
        return word
    return cut[1]


_LATIN = "a-zß-ɏ"
_NOT_KEY = re.compile(rf"(?<![{_LATIN}+#])[+#]+|[^\w+#]+|_+")

_ASCII_KEY = {code: None for code in range(128) if not chr(code).isalnum()}


def squash(text: str) -> str:
    """Return the key under which subjects, keywords and names are the same.

    Letters and digits of `fold` only; `+` and `#` stay after a Latin letter, so that C,
    C++ and C# are three keys. Empty when the text has no letter or digit.
    """
    if text.isascii() and "+" not in text and "#" not in text:
        return text.lower().translate(_ASCII_KEY)
    return _NOT_KEY.sub("", fold(text))
