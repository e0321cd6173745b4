"""The key under which editions and formats of one work meet.

A key is a guess from title and creator alone; a librarian's merge or split overrules
it. It leans to precision: two works under one key hide one of them from every patron,
while one work under two keys is told twice at worst.
"""

import re
from collections.abc import Sequence

from library.text.spelling import fold, squash

# Longer is junk, and no pattern here may take long on it; a stored key stays short.
_FIELD_LENGTH = 600
_KEY_LENGTH = 160

_ONES = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
]
_PERSIAN = ["اول", "دوم", "سوم", "چهارم", "پنجم", "ششم", "هفتم", "هشتم", "نهم", "دهم"]
_ROMANS = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii"]
_NUMBERS = {
    word: number
    for words in (_ONES, _ORDINALS, _PERSIAN, _ROMANS)
    for number, word in enumerate(words, 1)
}
_NUMBER = rf"(?:\d{{1,4}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})\b"
_DIVISION = r"(?:volumes?|vols?|parts?|pt|book|series|bd|band|tome|том|т|часть|ч|جلد|ج)"
_VOLUME = re.compile(
    rf"[,.:،]?\s*(?:\b{_DIVISION}\b\.?\s*({_NUMBER})(?:\s*(?:-|to|and|و)\s*({_NUMBER}))?"
    rf"|\b({'|'.join(_ORDINALS)})\s+{_DIVISION}\b|#\s?(\d{{1,4}})(?:-(\d{{1,4}}))?$)"
)
# A "book" or a bare number counts other pieces than the volumes of the same series.
_OTHER_PIECES = re.compile(r"\b(book|series)\b|#")
_SERIES = re.compile(r"\s*\([^()]*(?:#|\bbook |\bکتاب )\s?(\d+(?:-\d+)?)([^()]*)\)")
_SERIES_PART = re.compile(r"\bpart (\d)")
_BRACKETS = re.compile(r"\[[^\]]*\]|\s*\([^()]*\)$")
_EDITION = re.compile(
    r"[,.;:،]?\s*(?:\b\d+\s*(?:st|nd|rd|th)\s+ed(?:ition|n)?\b"
    rf"|\b(?:revised|new|{'|'.join(_ORDINALS)})\s+ed(?:ition|n)?\b"
    r"|\b(?:ویراست|ویرایش|چاپ)\s+\w+).*"
)
_RESPONSIBILITY = re.compile(r"\s/\s(.*)|\s*/$")
_BY = re.compile(r"(?:by|ed|edited|written|translated|نوشته|ترجمه|تالیف|به کوشش)\b")
_SUBTITLE = re.compile(
    r"(?:\s*[:;؛]\s|\s*:(?=[^\W\d])|\s[=\-‐–—]\s|,\s+(?=or,?\s+(?:the|an?)\b))(.*)"
)
_YEARS = re.compile(r"(?<=\d)\s*[\-‐–—]\s*(?=\d)")
_EXPLAINS = re.compile(
    r"(?:an?|how|why|or|being|the (?:story|life|history)"
    r"|رمان|داستان|زندگی|роман|учебн\w+)\b"
)
# Another work made of the first, though title and creator are the same.
_OTHER_FORM = re.compile(
    r"\b(?:graphic|comic|play|screenplay|musical|companion|guide|workbook|solutions"
    r"|abridged|box(?:ed)? ?set|trilogy|omnibus|complete|selections"
    r"|readers?|retold|adaptation|dramati[sz]ation|level \d)\b"
)
_ARTICLE = re.compile(r"^(?:the|an?)\s+(?=\w)")
_NAME_NOISE = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_NAME_ENDINGS = frozenset(["jr", "sr", "ii", "iii", "iv", "phd", "md"])


def work_key(title: str, creators: Sequence[str]) -> str:
    """Return the key under which the editions of one work meet; "" means: do not group.

    The main title, squashed, without series, edition, subtitle and leading English
    article; `#` and the volume, as volumes are works of their own; `/` and the last
    word of the first creator's surname. So "Malory, Thomas" and "Thomas Malory" agree,
    as do «صادق هدایت» and «هدايت، صادق».

    The subtitle stays where the rest says too little: without a creator, under a title
    of one word (unless it only explains, as "a novel"), and where it names another
    form.

    Known misses: translations, transliterated names, family-first names without comma.
    Known false meetings: works of one creator that differ in the subtitle only
    ("Ariel Poems: Marina").

    Args:
        title: As in the record, with or without ISBD punctuation.
        creators: Most responsible first; only the first counts.
    """
    name = _surname(creators[0]) if creators else ""
    folded = _YEARS.sub("-", fold(title[:_FIELD_LENGTH])).replace(" & ", " and ")
    text, volume = _split_series(_without_responsibility(folded, name))
    main, own_volume = _split_volume(text, has_creator=bool(name))
    key = squash(_ARTICLE.sub("", main.strip())) or squash(folded)
    return f"{key[:_KEY_LENGTH]}{own_volume or volume}/{name}" if key else ""


def _without_responsibility(text: str, name: str) -> str:
    """Cut "/ by whom", but not the second title of "Carrie / The Shining"."""
    found = _RESPONSIBILITY.search(text)
    if found is None:
        return text
    tail = found[1] or ""
    by_whom = not tail or not name or name in tail.split() or _BY.match(tail)
    return text[: found.start()] if by_whom else text


def _split_series(text: str) -> tuple[str, str]:
    """Cut "(Series, #3)"; what it holds several of, or a part of, tells works apart."""
    found = _SERIES.search(text)
    if found is None or not found.start():
        return text, ""
    part = _SERIES_PART.search(found[2])
    span = found[1] if "-" in found[1] else ""
    return _SERIES.sub("", text), f"#{part[1]}" if part else f"#{span}" if span else ""


def _split_volume(text: str, *, has_creator: bool) -> tuple[str, str]:
    found = _VOLUME.search(text)
    if found is None or not found.start():
        return _main_title(text, has_creator=has_creator), ""
    before, after = text[: found.start()], text[found.end() :]
    # "Series, vol. 1: its name" and "Work: its name, vol. 1": the name before counts.
    explains = _explanation(before)
    main = before[: explains.start()] if explains and has_creator else before
    rest = after if not has_creator or _OTHER_FORM.search(after) else ""
    numbers = [_number(digits) for digits in found.groups() if digits]
    pieces = _OTHER_PIECES.search(found[0])
    kind = (pieces[1] or "no") if pieces else ""
    return f"{_plain(main)} {rest}", f"#{kind}" + "-".join(map(str, numbers))


def _main_title(text: str, *, has_creator: bool) -> str:
    found = _SUBTITLE.search(text)
    if found is None or not has_creator or not found.start():
        return _plain(text)
    explains = _explanation(text) is not None
    one_word = len(_ARTICLE.sub("", text[: found.start()]).split()) == 1
    if _OTHER_FORM.search(found[1]) or (one_word and not explains):
        return _plain(text)
    return _plain(text[: found.start()])


def _explanation(text: str) -> re.Match[str] | None:
    found = _SUBTITLE.search(text)
    return found if found and found.start() and _EXPLAINS.match(found[1]) else None


def _plain(text: str) -> str:
    """Cut brackets and edition, but neither a different form nor the whole text."""
    brackets = _BRACKETS.search(text)
    if brackets and not _OTHER_FORM.search(brackets[0]):
        text = _BRACKETS.sub("", text) or text
    return _EDITION.sub("", text) or text


def _number(digits: str) -> int:
    return _NUMBERS.get(digits) or int(digits)


def _surname(name: str) -> str:
    plain = _NAME_NOISE.sub(" ", fold(name[:_FIELD_LENGTH]))
    family = re.split("[,،]", plain.strip(" ,،"))[0]
    words: list[str] = re.findall(r"[^\W\d_]+", family)
    named = [w for w in words if len(w) > 1 and w not in _NAME_ENDINGS]
    return (named or words or [""])[-1]
