"""Identifiers of editions: read from what a field says, in one form, or not at all."""

import re
from urllib.parse import unquote

from stdnum import exceptions as stdnum_errors
from stdnum import isbn as stdnum_isbn
from stdnum import issn as stdnum_issn

from library.text.spelling import canon, fold

# A field of more than this is prose or junk, and no pattern here may take long on it.
_FIELD_LENGTH = 1000
_QUALIFIER = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_ISBN = re.compile(
    r"(?:urn:)?(?:(?:isbn|شابک)(?:[- ]*1[03]\b)?[\s:.-]*)?"
    r"((?:97[89][ -]*)?(?:\d[ -]*){9}[\dx])(?![\dx])"
)
_ISSN = re.compile(
    r"(?:urn:)?(?:issn(?:-l)?|شاپا)?[\s:.]*(\d{4}[ -]*\d{3}[\dx])(?![\dx])"
)


def isbn13(text: str) -> str | None:
    """Return the ISBN-13 a field begins with, as 13 digits; None if it is no ISBN.

    Qualifiers such as "(pbk.)" and labels are passed over, Persian digits are read, an
    ISBN-10 is converted. A wrong check digit or an ISMN (979-0) is no ISBN.
    """
    digits = _identifier(_ISBN, text)
    if digits is None or digits.startswith("9790"):
        return None
    try:
        return str(stdnum_isbn.to_isbn13(stdnum_isbn.validate(digits)))
    except stdnum_errors.ValidationError:
        return None


def issn(text: str) -> str | None:
    """Return the ISSN a field begins with, as "0378-5955"; None if it is no ISSN."""
    digits = _identifier(_ISSN, text)
    if digits is None or not stdnum_issn.is_valid(digits):
        return None
    return str(stdnum_issn.format(digits)).upper()


def _identifier(pattern: re.Pattern[str], text: str) -> str | None:
    plain = _QUALIFIER.sub(" ", _DASHES.sub("-", fold(text[:_FIELD_LENGTH]))).strip()
    found = pattern.match(plain)
    return re.sub("[ -]", "", found[1]) if found else None


_DOI = re.compile(r"(?<![\d.])10\.\d{4,9}(?:\.\d+)*/\S+")
_DIGITS = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "0123456789" * 2)


def doi(text: str) -> str | None:
    """Return the first DOI in a field or link, in lower case; None if there is none."""
    plain = canon(text[:_FIELD_LENGTH]).translate(_DIGITS)
    if "doi.org/" in plain.lower():
        plain = unquote(re.split("[?#]", plain)[0])
    found = _DOI.search(plain)
    name = _without_tail(found[0]).lower() if found else ""
    return None if name.endswith("/") or not name else name


def _without_tail(name: str) -> str:
    while name[-1] in ".,;:'\"»>" or (name[-1] in ")]" and not _balanced(name)):
        name = name[:-1]
    return name


def _balanced(name: str) -> bool:
    return name.count("(") == name.count(")") and name.count("[") == name.count("]")
