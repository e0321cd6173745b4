"""XML without outside files, entities or unbounded trees."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from lxml import etree

from harvesters.formats.charsets import CONTROLS, hidden_code_page, is_wide
from library.errors import MalformedRecord

Element = etree._Element  # noqa: SLF001 -- lxml's public classes have no other name


def parse_xml(body: bytes) -> Element:
    """Return the root of a document.

    Raises:
        MalformedRecord: It is not well-formed, or it declares entities.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedRecord(f"not well-formed XML: {error}") from error
    refuse_entities(root)
    return root


def elements(stream: BinaryIO, name: str) -> Iterator[Element]:
    """Yield the elements of a local name one by one, each gone before the next.

    Raises:
        MalformedRecord: The rest is not well-formed, or the document declares entities.
    """
    parser = etree.iterparse(
        _Mended(stream),
        events=("start", "end"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    first = True
    try:
        for event, element in parser:
            if first:
                refuse_entities(element)
                first = False
            if event == "end" and local_name(element) == name:
                yield element
                _forget(element)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedRecord(f"not well-formed XML: {error}") from error


def refuse_entities(root: Element) -> None:
    """Refuse a document that declares entities: honest records need none.

    Raises:
        MalformedRecord: It does.
    """
    dtd: Any = root.getroottree().docinfo.internalDTD  # its stubs are incomplete
    if dtd is not None and any(True for _ in dtd.iterentities()):
        raise MalformedRecord("the document declares entities")


def local_name(element: Element) -> str:
    """Return an element's name without its namespace; empty for a comment."""
    tag: object = element.tag  # of a comment it is a function
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def children(element: Element, name: str) -> list[Element]:
    """Return the children of a local name, in order."""
    return [child for child in element if local_name(child) == name]


def text_of(element: Element | None) -> str:
    """Return all text inside an element, spaces at the ends cut."""
    if element is None:
        return ""
    return "".join(str(piece) for piece in element.itertext()).strip()


class _Mended:
    """A stream of XML less the control characters that no XML may have.

    One in a Windows code page that says it is UTF-8 is made so.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._drop: bytes | None = None
        self._code_page: str | None = None

    def read(self, size: int) -> bytes:
        """Return what comes next; nothing at the end."""
        while block := self._stream.read(size):
            if self._drop is None:
                self._drop = b"" if is_wide(block) else CONTROLS
                self._code_page = hidden_code_page(block)
            if kept := block.translate(None, self._drop):
                if self._code_page is None:
                    return kept
                return kept.decode(self._code_page, "replace").encode()
        return b""


def _forget(element: Element) -> None:
    element.clear()
    while element.getprevious() is not None:
        parent = element.getparent()
        if parent is None:
            return
        del parent[0]
