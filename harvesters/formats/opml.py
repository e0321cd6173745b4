"""OPML 2.0: lists of feeds, as feed readers give and take them."""

from collections.abc import Iterable
from dataclasses import dataclass

from lxml import etree

from harvesters.formats.charsets import rescued_xml
from harvesters.formats.safe_html import title_text, web_link
from harvesters.formats.xml import local_name, parse_xml
from library.errors import MalformedRecord


@dataclass(frozen=True)
class Outline:
    """One feed of a list."""

    title: str
    url: str


def parse_opml(body: bytes) -> list[Outline]:
    """Return the feeds of a list, folders unfolded, each address once.

    Raises:
        MalformedRecord: It is no OPML.
    """
    root = parse_xml(rescued_xml(body))
    if local_name(root).lower() != "opml":
        raise MalformedRecord(f"not OPML: <{local_name(root)[:40]}>")
    found: dict[str, Outline] = {}
    for element in root.iter():
        if local_name(element) != "outline":
            continue
        url = web_link(str(element.get("xmlUrl") or ""))
        if url:
            called = str(element.get("title") or element.get("text") or "")
            found.setdefault(url, Outline(title_text(called), url))
    return list(found.values())


def write_opml(title: str, outlines: Iterable[Outline]) -> bytes:
    """Return a list of feeds as OPML."""
    root = etree.Element("opml", version="2.0")
    etree.SubElement(etree.SubElement(root, "head"), "title").text = title
    body = etree.SubElement(root, "body")
    for one in outlines:
        etree.SubElement(
            body, "outline", type="rss", text=one.title, title=one.title, xmlUrl=one.url
        )
    return bytes(
        etree.tostring(root, xml_declaration=True, encoding="utf-8", pretty_print=True)
    )
