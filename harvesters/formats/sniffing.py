"""What kind of source a body is, seen from its beginning. Pure."""

import re

from harvesters.formats.kbart import COLUMNS as HOLDINGS
from harvesters.formats.tabular import WORKS, header_of, match_columns
from library.vocabulary import SourceKind

BEGINNING = 64 * 1024
"""Bytes that are enough to tell by."""

_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_ROOT = re.compile(rb"<(?:[\w.-]{1,40}:)?([A-Za-z][\w.-]{0,40})[\s>/]")
_ROOTS = {
    b"rss": SourceKind.FEED,
    b"rdf": SourceKind.FEED,
    b"feed": SourceKind.FEED,
    b"channel": SourceKind.FEED,
    b"oai-pmh": SourceKind.OAI_PMH,
    b"collection": SourceKind.MARC,
    b"record": SourceKind.MARC,
    b"onixmessage": SourceKind.ONIX,
    b"product": SourceKind.ONIX,
}
_LEADER = re.compile(rb"\d{5}[ -~]{7}\d{5}[ -~]{7}[^\x1e]{0,9999}\x1e")


def kind_of(beginning: bytes) -> SourceKind | None:
    """Return what a body is; None where nothing in its beginning tells."""
    head = _narrow(beginning)
    if _LEADER.search(beginning) or head.startswith(b"=LDR"):
        return SourceKind.MARC
    if head.startswith(b"<"):
        return _ROOTS.get(root_of(beginning).lower().encode())
    if head.startswith((b"{", b"[")):
        return _kind_of_json(head)
    header = header_of(beginning)
    if "publication_title" in match_columns(header, HOLDINGS):
        return SourceKind.KBART
    return SourceKind.CSV if match_columns(header, WORKS) else None


def _kind_of_json(head: bytes) -> SourceKind | None:
    if b'"leader"' in head and b'"fields"' in head:
        return SourceKind.MARC
    told = b"jsonfeed.org/version" in head.replace(b"\\/", b"/")
    return SourceKind.FEED if told else None


def root_of(beginning: bytes) -> str:
    """Return the name of an XML or HTML document's first element; else nothing."""
    head = _narrow(beginning)
    found = _ROOT.search(_COMMENT.sub(b"", head)) if head.startswith(b"<") else None
    return found[1].decode("ascii", "replace") if found else ""


def _narrow(beginning: bytes) -> bytes:
    """Return Latin letters of UTF-16 and UTF-32 as bytes, and no mark before them."""
    head = beginning.replace(b"\x00", b"")
    for bom in _BOMS:
        head = head.removeprefix(bom)
    return head.strip()
