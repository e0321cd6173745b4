"""MARCXML elements to MARC fields."""

from collections.abc import Iterator
from typing import BinaryIO

from harvesters.formats.marc import Field, Fields, record_of
from harvesters.formats.xml import Element, elements, local_name, text_of
from harvesters.records import Harvested, Rejected
from library.errors import MalformedRecord


def fields_of(record: Element) -> Fields:
    """Return the fields of one record element; what is no field is passed over."""
    leader, fields = "", []
    for child in record:
        match local_name(child):
            case "leader":
                leader = text_of(child)
            case "controlfield":
                fields.append(Field(str(child.get("tag") or ""), text_of(child)))
            case "datafield":
                fields.append(_datafield(child))
    return Fields(leader, tuple(fields))


def parse_marcxml(stream: BinaryIO) -> Iterator[Harvested]:
    """Yield one record per record element, in constant memory.

    A document that breaks off gives the records before the break, then a rejection.

    Raises:
        MalformedRecord: It is no XML at all, or declares entities.
    """
    number = 0
    try:
        for number, element in enumerate(elements(stream, "record"), 1):
            if any(local_name(child) == "metadata" for child in element):
                continue  # an OAI-PMH envelope: the record inside has been yielded
            yield record_of(fields_of(element), place=f"record {number}")
    except MalformedRecord as error:
        if not number:
            raise
        yield Rejected(f"after record {number}", str(error))


def _datafield(element: Element) -> Field:
    indicators = f"{element.get('ind1') or ' '}{element.get('ind2') or ' '}"
    subfields = tuple(
        (str(child.get("code") or ""), "".join(map(str, child.itertext())))
        for child in element
        if local_name(child) == "subfield"
    )
    return Field(str(element.get("tag") or ""), "", indicators, subfields)
