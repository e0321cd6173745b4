"""ONIX for Books (3.0, and 2.1) products to harvested records, both kinds of tags."""

import io
import re
from collections.abc import Iterator, Mapping

from lxml import etree

from harvesters.formats.charsets import rescued_xml
from harvesters.formats.safe_html import summary_text, title_text
from harvesters.formats.xml import Element, local_name, text_of
from harvesters.records import (
    Harvested,
    HarvestedRecord,
    Heading,
    Rejected,
    plain,
    short_ref,
)
from library.errors import MalformedRecord
from library.text import doi, isbn13

# Short tags and the reference names they stand for, as far as we read them.
_SHORT: Mapping[str, str] = {
    "product": "Product",
    "a001": "RecordReference",
    "a002": "NotificationType",
    "productidentifier": "ProductIdentifier",
    "b221": "ProductIDType",
    "b244": "IDValue",
    "b004": "ISBN",
    "b005": "EAN13",
    "title": "Title",
    "titledetail": "TitleDetail",
    "titleelement": "TitleElement",
    "b202": "TitleType",
    "b203": "TitleText",
    "b030": "TitlePrefix",
    "b031": "TitleWithoutPrefix",
    "b029": "Subtitle",
    "b028": "DistinctiveTitle",
    "x501": "NoPrefix",
    "x409": "TitleElementLevel",
    "contributor": "Contributor",
    "b034": "SequenceNumber",
    "b035": "ContributorRole",
    "b036": "PersonName",
    "b037": "PersonNameInverted",
    "b039": "NamesBeforeKey",
    "b040": "KeyNames",
    "b047": "CorporateName",
    "language": "Language",
    "b253": "LanguageRole",
    "b252": "LanguageCode",
    "b059": "LanguageOfText",
    "b003": "PublicationDate",
    "publishingdate": "PublishingDate",
    "x448": "PublishingDateRole",
    "b306": "Date",
    "subject": "Subject",
    "b067": "SubjectSchemeIdentifier",
    "b069": "SubjectCode",
    "b070": "SubjectHeadingText",
    "b064": "BASICMainSubject",
    "b018": "TitleOfSeries",
    "series": "Series",
    "collection": "Collection",
    "b012": "ProductForm",
    "othertext": "OtherText",
    "d102": "TextTypeCode",
    "d104": "Text",
    "textcontent": "TextContent",
    "x426": "TextType",
    "mainsubject": "MainSubject",
    "b191": "MainSubjectSchemeIdentifier",
}
_FORMS = {"A": "audiobook", "B": "book", "D": "ebook", "E": "ebook", "V": "video"}
_ISBN_TYPES = frozenset(["02", "03", "15"])
_DOI_TYPE = "06"
_DESCRIPTIONS = frozenset(["01", "02", "03"])
_DELETED = "05"
_SCHEMES = {"10": "bisac", "12": "bic", "93": "thema", "20": "keyword"}
_AUTHORED = re.compile("[AB]")


def parse_onix(body: bytes) -> Iterator[Harvested]:
    """Yield one record per product.

    A message that breaks off gives the products before the break, then a rejection. A
    bare DOCTYPE is read past and never fetched; entities of ours are never expanded.

    Raises:
        MalformedRecord: It is no ONIX at all.
    """
    number = 0
    products = etree.iterparse(
        io.BytesIO(rescued_xml(body)),
        events=("end",),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    try:
        for _, element in products:
            if _name(element) == "Product":
                number += 1
                yield _product(element, number)
                element.clear()
    except (etree.XMLSyntaxError, ValueError) as error:
        if not number:
            raise MalformedRecord(f"not well-formed XML: {error}") from error
        yield Rejected(f"after product {number}", f"not well-formed XML: {error}")
    else:
        if not number and _name(products.root) not in {"ONIXMessage", "ONIXmessage"}:
            raise MalformedRecord("not an ONIX message")


def _name(element: Element | None) -> str:
    name = "" if element is None else local_name(element)
    return _SHORT.get(name, name)


def _all(element: Element, *path: str) -> list[Element]:
    found = [element]
    for name in path:
        found = [c for parent in found for c in parent if _name(c) == name]
    return found


def _first(element: Element, *path: str) -> str:
    return next(filter(None, map(_plain_text, _all(element, *path))), "")


def _plain_text(element: Element) -> str:
    return plain(text_of(element))


def _deep(element: Element, name: str) -> list[Element]:
    return [child for child in element.iter() if _name(child) == name]


def _product(product: Element, number: int) -> Harvested:
    identifiers = _identifiers(product)
    isbn = next(filter(None, map(isbn13, identifiers)), None)
    ref = _first(product, "RecordReference") or isbn or ""
    if not ref:
        return Rejected(f"product {number}", "no RecordReference and no ISBN")
    if _first(product, "NotificationType") == _DELETED:
        return HarvestedRecord(ref=short_ref(ref), title="", withdrawn=True)
    title = _title(product)
    if not title:
        return Rejected(f"product {number}", "no title", ref)
    return HarvestedRecord(
        ref=short_ref(ref),
        title=title,
        creators=_creators(product),
        language=_language(product),
        year=_year(product),
        isbn=isbn,
        doi=next(filter(None, map(doi, identifiers)), None),
        subjects=tuple(dict.fromkeys(_subjects(product))),
        series=_series(product),
        format=_form(product),
        summary=_summary(product),
        raw={"title": title, "identifiers": identifiers[:10]},
    )


def _identifiers(product: Element) -> list[str]:
    wanted = _ISBN_TYPES | {_DOI_TYPE}
    typed = [
        _first(one, "IDValue")
        for one in _all(product, "ProductIdentifier")
        if _first(one, "ProductIDType") in wanted
    ]
    return list(
        filter(None, [*typed, _first(product, "EAN13"), _first(product, "ISBN")])
    )


def _title(product: Element) -> str:
    titles = [
        *_all(product, "DescriptiveDetail", "TitleDetail", "TitleElement"),
        *_all(product, "Title"),
        product,
    ]
    for element in titles:
        if _first(element, "TitleElementLevel") in {"", "01"}:
            without = _first(element, "TitleWithoutPrefix")
            prefixed = f"{_first(element, 'TitlePrefix')} {without}" if without else ""
            main = (
                _first(element, "TitleText")
                or prefixed
                or _first(element, "DistinctiveTitle")
            )
            if main:
                subtitle = _first(element, "Subtitle")
                return title_text(f"{main}: {subtitle}" if subtitle else main)
    return ""


def _creators(product: Element) -> tuple[str, ...]:
    people = _deep(product, "Contributor")
    written = [p for p in people if _AUTHORED.match(_first(p, "ContributorRole"))]
    return tuple(dict.fromkeys(filter(None, map(_person, written))))


def _person(contributor: Element) -> str:
    parts = (_first(contributor, "NamesBeforeKey"), _first(contributor, "KeyNames"))
    return (
        _first(contributor, "PersonName")
        or _first(contributor, "PersonNameInverted")
        or " ".join(filter(None, parts))
        or _first(contributor, "CorporateName")
    )


def _language(product: Element) -> str | None:
    for language in _deep(product, "Language"):
        if _first(language, "LanguageRole") in {"", "01"}:
            return _first(language, "LanguageCode")[:10] or None
    return _first(product, "LanguageOfText")[:10] or None


def _year(product: Element) -> str | None:
    dates = [_first(one, "Date") for one in _deep(product, "PublishingDate")]
    found = next(filter(None, [*dates, _first(product, "PublicationDate")]), "")
    return found[:4] or None


def _subjects(product: Element) -> Iterator[Heading]:
    main = _first(product, "BASICMainSubject")
    if main:
        yield Heading("bisac", main[:300])
    for subject in [*_deep(product, "Subject"), *_deep(product, "MainSubject")]:
        scheme = _first(subject, "SubjectSchemeIdentifier") or _first(
            subject, "MainSubjectSchemeIdentifier"
        )
        text = _first(subject, "SubjectHeadingText")
        labels = re.split("[;,]", text) if scheme == "20" else [text]
        found = [label.strip() for label in labels if label.strip()]
        for label in found or filter(None, [_first(subject, "SubjectCode")]):
            yield Heading(_SCHEMES.get(scheme, "local"), label[:300])


def _series(product: Element) -> str | None:
    for series in [*_deep(product, "Series"), *_deep(product, "Collection")]:
        named = _first(series, "TitleOfSeries") or _first(
            series, "TitleDetail", "TitleElement", "TitleText"
        )
        if named:
            return named
    return None


def _form(product: Element) -> str | None:
    form = _first(product, "DescriptiveDetail", "ProductForm")
    return _FORMS.get((form or _first(product, "ProductForm"))[:1])


def _summary(product: Element) -> str | None:
    for text in [*_deep(product, "TextContent"), *_deep(product, "OtherText")]:
        kind = _first(text, "TextType") or _first(text, "TextTypeCode")
        if kind in _DESCRIPTIONS:
            body = next(iter(_all(text, "Text")), None)
            return summary_text(text_of(body))
    return None
