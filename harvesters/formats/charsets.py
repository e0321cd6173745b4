"""Bytes to text where what is said of their encoding is missing or wrong."""

import re
from html.entities import name2codepoint

UTF8 = "utf-8"
ARABIC = "cp1256"
CYRILLIC = "cp1251"
WESTERN = "cp1252"

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_HIGH_RUN = re.compile(rb"[\x80-\xff]{3,}")
_ARABIC_LETTERS = re.compile("[\u0600-\u06ff]")
_CYRILLIC_LETTERS = re.compile("[\u0400-\u04ff]")
_NOT_ASCII = re.compile("[^\x00-\x7f]")
_ENOUGH = 0.8
CONTROLS = bytes(code for code in range(0x20) if code not in b"\t\n\r")
"""Bytes that no XML may have, and some has."""
_NAME = re.compile(rb"&([A-Za-z]{2,8}[0-9]{0,2});")
_XML_NAMES = frozenset([b"amp", b"lt", b"gt", b"quot", b"apos"])
_PROLOG = re.compile(
    rb"""\s*<\?xml\b[^>]{0,100}?(?:encoding\s*=\s*["']([\w.-]+)["'][^>]{0,100})?\?>"""
)


def table_encoding(sample: bytes) -> str:
    """Guess the encoding of a table from its beginning.

    UTF-8 unless the bytes say otherwise: a few bad lines in a UTF-8 file are bad lines,
    and do not make the file something else.
    """
    for bom, encoding in _BOMS:
        if sample.startswith(bom):
            return encoding
    if sample[:200].count(b"\x00") > len(sample[:200]) // 4:
        return "utf-16-le" if sample[1:2] == b"\x00" else "utf-16-be"
    whole = sample[: sample.rfind(b"\n") + 1] or sample  # the last line may be cut
    lines = [line for line in whole.splitlines() if not line.isascii()]
    good = sum(is_utf8(line) for line in lines)
    if not lines or good * 2 >= len(lines):
        return UTF8
    return ARABIC if _looks(sample, ARABIC, _ARABIC_LETTERS) else UTF8


def is_utf8(data: bytes) -> bool:
    """Tell whether bytes are valid UTF-8."""
    try:
        data.decode(UTF8)
    except UnicodeDecodeError:
        return False
    return True


def is_wide(data: bytes) -> bool:
    """Tell whether what begins so is in UTF-16 or UTF-32."""
    return data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data[:4]


def legacy(data: bytes) -> str | None:
    """Name the Windows code page that bytes with long high runs are written in.

    None where there are no such runs: then they are rather MARC-8 or Latin.
    """
    if not _HIGH_RUN.search(data):
        return None
    if _looks(data, ARABIC, _ARABIC_LETTERS):
        return ARABIC
    if b"\x98" not in data and _looks(data, CYRILLIC, _CYRILLIC_LETTERS):
        return CYRILLIC  # which has no letter for that one byte
    return None


def rescued_xml(body: bytes) -> bytes:
    """Return XML that can be read, of some that only a pedant would refuse.

    What is no UTF-8, though it says or implies so, is made UTF-8; control characters
    are dropped; characters by their HTML names, which a DTD we never fetch declares,
    become numbers.
    """
    if is_wide(body):
        return body
    return _named(_utf8(body.translate(None, CONTROLS)))


def hidden_code_page(body: bytes) -> str | None:
    """Name the Windows code page of XML that says or implies that it is UTF-8.

    Args:
        body: The document, or its beginning.
    """
    if is_wide(body) or b"<" not in body[:200] or not _says_utf8(body):
        return None
    # A beginning may be cut inside a letter.
    return None if is_utf8(body) or is_utf8(body[:-3]) else legacy(body)


def _says_utf8(body: bytes) -> bool:
    prolog = _PROLOG.match(body)
    said = prolog[1].lower() if prolog and prolog[1] else b"utf-8"
    return said in {b"utf-8", b"utf8", b"us-ascii"}


def _utf8(body: bytes) -> bytes:
    if is_utf8(body) or not _says_utf8(body):
        return body
    prolog = _PROLOG.match(body)
    rest = body[prolog.end() :] if prolog else body
    return rest.decode(legacy(rest) or _western(rest)).encode()


def _named(body: bytes) -> bytes:
    if b"<!ENTITY" in body:
        return body  # it says for itself what its names mean
    return _NAME.sub(_numbered, body)


def _numbered(named: re.Match[bytes]) -> bytes:
    code = name2codepoint.get(named[1].decode("ascii"))
    if code is None or named[1] in _XML_NAMES:
        return named[0]
    return b"&#%d;" % code


def _western(data: bytes) -> str:
    try:
        data.decode(WESTERN)
    except UnicodeDecodeError:
        return "latin-1"
    return WESTERN


def _looks(data: bytes, encoding: str, letters: re.Pattern[str]) -> bool:
    text = data.decode(encoding, "replace")
    high = len(_NOT_ASCII.findall(text))
    return high > 0 and len(letters.findall(text)) / high >= _ENOUGH
