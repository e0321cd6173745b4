"""New works as other systems would announce them: RSS, OAI-PMH and MARC 21."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from pymarc import Field, Indicators, Record, Subfield

_RSS_HEAD: Final = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel><title>New acquisitions</title><link>{site}</link>
<description>What came in lately</description><ttl>60</ttl>
"""
_OAI_HEAD: Final = """<?xml version="1.0" encoding="utf-8"?>
<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">
<responseDate>{moment}</responseDate><request>{site}</request>
"""
_DUBLIN_CORE: Final = (
    '<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/"'
    ' xmlns:dc="http://purl.org/dc/elements/1.1/">'
)


@dataclass(frozen=True)
class NewWork:
    """A work as a line of works.csv tells it; blank means not known."""

    ref: str
    title: str
    creators: tuple[str, ...] = ()
    year: str = ""
    language: str = ""
    isbn: str = ""
    subjects: tuple[str, ...] = ()
    call_number: str = ""


def rss(works: Sequence[NewWork], *, site: str) -> bytes:
    """Announce works in an RSS feed."""
    items = "".join(
        f"<item><title>{escape(work.title)}</title>"
        f'<guid isPermaLink="false">{escape(work.ref)}</guid>'
        f"<link>{site}/works/{escape(work.ref)}</link>"
        + _dublin_core(work, leave_out=("title",))
        + "".join(f"<category>{escape(each)}</category>" for each in work.subjects)
        + "</item>\n"
        for work in works
    )
    return f"{_RSS_HEAD.format(site=site)}{items}</channel></rss>\n".encode()


def identify(*, site: str, moment: str) -> bytes:
    """Answer the OAI-PMH verb Identify."""
    return (
        f"{_OAI_HEAD.format(site=site, moment=moment)}<Identify>"
        "<repositoryName>New acquisitions</repositoryName>"
        f"<baseURL>{site}</baseURL><protocolVersion>2.0</protocolVersion>"
        "<adminEmail>library@localhost</adminEmail>"
        "<earliestDatestamp>2000-01-01T00:00:00Z</earliestDatestamp>"
        "<deletedRecord>persistent</deletedRecord>"
        "<granularity>YYYY-MM-DDThh:mm:ssZ</granularity></Identify></OAI-PMH>\n"
    ).encode()


def list_records(
    works: Sequence[NewWork], *, site: str, moment: str, token: str | None
) -> bytes:
    """Answer the OAI-PMH verb ListRecords with one page.

    Args:
        works: Those of the page.
        site: The repository's address.
        moment: Its clock.
        token: Asks for the next page; None on the last.
    """
    records = "".join(
        f"<record><header><identifier>oai:new:{escape(work.ref)}</identifier>"
        f"<datestamp>{moment}</datestamp></header><metadata>{_DUBLIN_CORE}"
        + _dublin_core(work)
        + "".join(f"<dc:subject>{escape(each)}</dc:subject>" for each in work.subjects)
        + "<dc:type>book</dc:type></oai_dc:dc></metadata></record>\n"
        for work in works
    )
    more = f"<resumptionToken>{token}</resumptionToken>" if token else ""
    if not works:
        body = '<error code="noRecordsMatch">none</error>'
    else:
        body = f"<ListRecords>{records}{more}</ListRecords>"
    return f"{_OAI_HEAD.format(site=site, moment=moment)}{body}</OAI-PMH>\n".encode()


def marc(works: Sequence[NewWork]) -> bytes:
    """Announce works in a file of MARC 21 records."""
    return b"".join(_marc_record(work).as_marc() for work in works)


def _dublin_core(work: NewWork, *, leave_out: Sequence[str] = ()) -> str:
    # A feed's dc:date is a moment of our calendar: a Jalali year would mislead.
    year = work.year if work.language != "per" else ""
    values = (
        ("title", work.title),
        *(("creator", name) for name in work.creators),
        ("date", year),
        ("language", work.language),
        ("identifier", f"urn:isbn:{work.isbn}" if work.isbn else ""),
    )
    return "".join(
        f"<dc:{name}>{escape(value)}</dc:{name}>"
        for name, value in values
        if value and name not in leave_out
    )


def _marc_record(work: NewWork) -> Record:
    record = Record(force_utf8=True)
    language = (work.language or "und").ljust(3)[:3]
    fixed = f"{'':6}s{work.year[:4]:4}{'':24}{language} d"
    fields = [
        Field(tag="001", data=work.ref),
        Field(tag="008", data=fixed.ljust(40)),
    ]
    for tag, code, values in (
        ("020", "a", [work.isbn]),
        ("050", "a", [work.call_number]),
        ("100", "a", work.creators[:1]),
        ("245", "a", [work.title]),
        ("264", "c", [work.year]),
        ("650", "a", work.subjects),
        ("700", "a", work.creators[1:]),
    ):
        fields += [_field(tag, code, value) for value in values if value]
    record.add_field(*fields)  # type: ignore[no-untyped-call]  # pymarc's own gap
    return record


def _field(tag: str, code: str, value: str) -> Field:
    return Field(
        tag=tag, indicators=Indicators("1", "4"), subfields=[Subfield(code, value)]
    )
