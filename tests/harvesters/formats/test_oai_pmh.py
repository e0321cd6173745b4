import pytest

from harvesters.formats.oai_pmh import (
    TokenExpired,
    list_records,
    parse_moment,
    parse_page,
)
from harvesters.records import HarvestedRecord, Rejected
from library.errors import MalformedRecord

PAGE = """<?xml version="1.0" encoding="UTF-8"?>{prolog}
<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">
<responseDate>2026-03-01T12:00:00Z</responseDate>{inside}</OAI-PMH>"""
DC = """<ListRecords><record><header><identifier>oai:x:1</identifier></header><metadata>
<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Cosmos</dc:title>
<dc:creator>Sagan, Carl</dc:creator><dc:subject>Astronomy</dc:subject>
<dc:date>1980</dc:date><dc:language>eng</dc:language>
<dc:identifier>urn:isbn:9780306406157</dc:identifier>
<dc:identifier>https://doi.org/10.1000/abc</dc:identifier>
<dc:description>&lt;p onclick="x()"&gt;Stars&lt;/p&gt;</dc:description>
</oai_dc:dc></metadata></record></ListRecords>"""


def page(inside: str, prolog: str = "") -> bytes:
    return PAGE.format(inside=inside, prolog=prolog).encode()


def test_dublin_core_is_read() -> None:
    found = parse_page(page(DC))

    (record,) = found.records
    assert isinstance(record, HarvestedRecord)
    assert (record.ref, record.title) == ("oai:x:1", "Cosmos")
    assert record.creators == ("Sagan, Carl",)
    assert (record.isbn, record.doi) == ("9780306406157", "10.1000/abc")
    assert (record.year, record.language) == ("1980", "eng")
    assert record.summary == "Stars"
    assert (found.token, found.responded_at) == (
        None,
        parse_moment("2026-03-01T12:00:00Z"),
    )


def test_marcxml_inside_is_read() -> None:
    inside = DC.replace("<oai_dc:dc", '<record xmlns="http://www.loc.gov/MARC21/slim"')
    head, _, _ = inside.partition("<dc:title>")
    field = '<datafield tag="245"><subfield code="a">Cosmos /</subfield></datafield>'
    whole = f"{head}{field}</record></metadata></record></ListRecords>"

    (record,) = parse_page(page(whole)).records

    assert isinstance(record, HarvestedRecord)
    assert (record.ref, record.title) == ("oai:x:1", "Cosmos")


def test_a_record_without_title_or_metadata_is_named() -> None:
    bare = "<record><header><identifier>a</identifier></header></record>"
    nameless = "<record><header></header></record>"

    found = parse_page(page(f"<ListRecords>{bare}{nameless}</ListRecords>")).records

    assert found == (
        Rejected("a", "no metadata"),
        Rejected("record 2", "no identifier in its header"),
    )


def test_nothing_new_is_an_empty_page() -> None:
    found = parse_page(page('<error code="noRecordsMatch">none</error>'))

    assert (found.records, found.token) == ((), None)


@pytest.mark.parametrize(
    ("inside", "refusal"),
    [
        ('<error code="badResumptionToken">x</error>', TokenExpired),
        ('<error code="badArgument">x</error>', MalformedRecord),
        ("<Identify/>", MalformedRecord),
        ("<ListRecords><record></ListRecords>", MalformedRecord),
    ],
)
def test_errors_are_told(inside: str, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        parse_page(page(inside))


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE x [<!ENTITY a "b">]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_declared_entities_are_refused(prolog: str) -> None:
    with pytest.raises(MalformedRecord):
        parse_page(page(DC.replace("Cosmos", "&a;"), prolog))


def test_requests_are_written_as_the_protocol_says() -> None:
    assert list_records("http://x.test/oai") == (
        "http://x.test/oai?verb=ListRecords&metadataPrefix=oai_dc"
    )
    assert list_records("http://x.test/?a=b", token="t 1") == (
        "http://x.test/?a=b&verb=ListRecords&resumptionToken=t+1"
    )
    assert list_records(
        "http://x.test/oai",
        prefix="marcxml",
        span=("2026-01-01", None),
        only_set="books",
    ) == (
        "http://x.test/oai?verb=ListRecords&metadataPrefix=marcxml&from=2026-01-01"
        "&set=books"
    )
