"""Tables and other documents to records."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvesters.formats.charsets import rescued_xml, table_encoding
from harvesters.formats.kbart import COLUMNS, parse_kbart
from harvesters.formats.onix import parse_onix
from harvesters.formats.tabular import (
    LOANS,
    WORKS,
    Row,
    is_formula,
    match_columns,
    parse_works,
    read_table,
)
from harvesters.records import (
    Harvested,
    HarvestedRecord,
    Heading,
    Rejected,
    plain,
    short_ref,
)
from library.errors import InvalidInput, MalformedRecord


def works(data: bytes) -> list[Harvested]:
    return list(parse_works(read_table(io.BytesIO(data), WORKS)))


@pytest.mark.parametrize(
    "data",
    [
        b"work_id,title\n1,Cosmos\n",
        b"\xef\xbb\xbfWork_ID ; Title\n1;Cosmos\n",
        b"title\twork_id\r\nCosmos\t1\r\n",
        "work_id,title\n1,Cosmos\n".encode("utf-16"),
        'شماره ركورد,عنوان\n1,"Cosmos"\n'.encode(),
    ],
    ids=["plain", "BOM and semicolons", "tabs", "UTF-16", "Persian header"],
)
def test_a_table_is_read_however_it_is_written(data: bytes) -> None:
    (record,) = works(data)

    assert isinstance(record, HarvestedRecord)
    assert (record.ref, record.title) == ("1", "Cosmos")


def test_a_utf_16_table_that_breaks_off_names_the_line() -> None:
    data = "work_id,title\n1,Cosmos\n2,Kosmos".encode("utf-16")[:-1]

    good, bad = works(data)

    assert isinstance(good, HarvestedRecord)
    assert isinstance(bad, Rejected)
    assert (bad.place, bad.why) == ("line 3", "bytes that are not utf-16")


def test_unknown_columns_are_listed_and_passed_over() -> None:
    table = read_table(io.BytesIO(b"work_id,colour,title\n1,red,Cosmos\n"), WORKS)

    assert table.unknown == ("colour",)


def test_a_table_without_a_known_column_says_what_is_wanted() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_table(io.BytesIO("colour;اندازه\nred;2\n".encode()), WORKS)

    assert "colour, اندازه" in str(refused.value)
    assert "wanted are such as ref, title, creators" in str(refused.value)


def test_a_quoted_line_break_does_not_shift_the_lines() -> None:
    data = b'work_id,title\n1,"Two\nlines"\n2\n'

    good, bad = works(data)

    assert isinstance(good, HarvestedRecord)
    assert good.title == "Two lines"
    assert isinstance(bad, Rejected)
    assert bad.place == "line 4"


def test_the_first_spelling_listed_wins() -> None:
    header = ("cardnumber", "borrowernumber", "work_id")

    assert match_columns(header, LOANS)["patron"] == 1


@pytest.mark.parametrize(
    ("cell", "formula"),
    [
        ('=HYPERLINK("http://x")', True),
        ("@SUM(A1)", True),
        ("+cmd(1)", True),
        ("-2+3+cmd|' /C calc'!A0", False),
        ("-737601", False),
        ("53/T761", False),
        ("", False),
    ],
)
def test_formulas_are_known(cell: str, formula: bool) -> None:
    assert is_formula(cell) is formula


def test_a_few_bad_lines_do_not_change_the_encoding() -> None:
    mixed = "é\n".encode() * 5 + b"\xe9\n"

    assert table_encoding(mixed) == "utf-8"
    assert table_encoding("كتاب\n".encode("cp1256") * 3) == "cp1256"
    assert table_encoding(b"caf\xe9\n" * 3) == "utf-8"


@given(st.binary(max_size=400))
def test_any_bytes_give_rows_or_a_refusal(data: bytes) -> None:
    for whole in (data, b"patron_id,work_id\n" + data):
        try:
            rows = list(read_table(io.BytesIO(whole), LOANS).rows)
        except InvalidInput:
            continue
        assert all(isinstance(row, Row) or row.why for row in rows)


@given(st.text(max_size=500), st.integers(1, 100))
def test_plain_text_fits(text: str, limit: int) -> None:
    shown = plain(text, limit)

    assert len(shown) <= limit
    assert plain(shown, limit) == shown
    assert not any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in shown)


def test_a_long_id_is_a_digest_and_a_short_one_itself() -> None:
    assert short_ref("a1") == "a1"
    assert short_ref("x" * 500) != short_ref("x" * 501)
    assert len(short_ref("x" * 5000)) < 100


def test_xml_that_lies_of_its_encoding_is_mended() -> None:
    lying = '<?xml version="1.0" encoding="UTF-8"?><a>é</a>'.encode("latin-1")

    assert rescued_xml(lying) == "<a>é</a>".encode()
    assert rescued_xml("<a>é</a>".encode()) == "<a>é</a>".encode()


ONIX = """<ONIXMessage release="3.0"><Product><RecordReference>r1</RecordReference>
<NotificationType>03</NotificationType><ProductIdentifier><ProductIDType>15</ProductIDType>
<IDValue>9780306406157</IDValue></ProductIdentifier><DescriptiveDetail>
<ProductForm>BB</ProductForm><TitleDetail><TitleElement>
<TitleElementLevel>01</TitleElementLevel><TitlePrefix>The</TitlePrefix>
<TitleWithoutPrefix>Cosmos</TitleWithoutPrefix><Subtitle>A voyage</Subtitle>
</TitleElement></TitleDetail><Contributor><ContributorRole>A01</ContributorRole>
<PersonNameInverted>Sagan, Carl</PersonNameInverted></Contributor><Contributor>
<ContributorRole>B06</ContributorRole><KeyNames>Doe</KeyNames></Contributor><Language>
<LanguageRole>01</LanguageRole><LanguageCode>eng</LanguageCode></Language><Subject>
<SubjectSchemeIdentifier>20</SubjectSchemeIdentifier>
<SubjectHeadingText>stars; space</SubjectHeadingText></Subject></DescriptiveDetail>
</Product><Product><RecordReference>r2</RecordReference>
<NotificationType>05</NotificationType></Product></ONIXMessage>"""


def test_onix_3_is_read() -> None:
    record, gone = parse_onix(ONIX.encode())

    assert isinstance(record, HarvestedRecord)
    assert (record.ref, record.title) == ("r1", "The Cosmos: A voyage")
    assert record.creators == ("Sagan, Carl", "Doe")
    assert (record.isbn, record.language) == ("9780306406157", "eng")
    assert record.subjects == (Heading("keyword", "stars"), Heading("keyword", "space"))
    assert record.format == "book"
    assert isinstance(gone, HarvestedRecord)
    assert gone.withdrawn


def test_onix_with_short_tags_is_read() -> None:
    data = b"""<ONIXmessage><product><a001>r1</a001><b004>0306406152</b004><title>
    <b202>01</b202><b203>Cosmos</b203></title><contributor><b035>A01</b035>
    <b036>Carl Sagan</b036></contributor><b003>19800101</b003></product>
    </ONIXmessage>"""

    (record,) = parse_onix(data)

    assert isinstance(record, HarvestedRecord)
    assert (record.title, record.creators) == ("Cosmos", ("Carl Sagan",))
    assert (record.isbn, record.year) == ("9780306406157", "1980")


def test_onix_that_breaks_off_keeps_what_came_before() -> None:
    cut = ONIX[: ONIX.index("<RecordReference>r2")]

    good, bad = parse_onix(cut.encode())

    assert isinstance(good, HarvestedRecord)
    assert isinstance(bad, Rejected)
    assert bad.place == "after product 1"


def test_what_only_a_dtd_or_a_pedant_minds_is_read() -> None:
    data = ONIX.replace("A voyage", "A\x0bR&eacute;gime &amp; a voyage", 1)

    record, _ = parse_onix(data.encode())

    assert isinstance(record, HarvestedRecord)
    assert record.title == "The Cosmos: ARégime & a voyage"


def test_bytes_of_no_code_page_are_refused_and_not_stumbled_over() -> None:
    with pytest.raises(MalformedRecord):
        list(parse_onix(b"\x98\xa8\xb8\xb8\xb8"))


def test_a_row_with_an_isbn_alone_is_called_by_it() -> None:
    table = read_table(io.BytesIO(b"year,isbn\n1359,9780306406157\n"), WORKS)

    (record,) = parse_works(table)

    assert isinstance(record, HarvestedRecord)
    assert (record.ref, record.title) == ("9780306406157", "9780306406157")


def test_what_is_no_onix_is_refused() -> None:
    with pytest.raises(MalformedRecord):
        list(parse_onix(b"<html/>"))


KBART = (
    "publication_title\tprint_identifier\tonline_identifier\ttitle_url\tfirst_author\t"
    "title_id\tpublication_type\tmonograph_volume\tdate_monograph_published_online\n"
)


def test_kbart_is_read() -> None:
    rows = (
        "Cosmos\t9780306406157\t\thttp://x.test/1\tSagan\tt1\tmonograph\t2\t1980-01\n"
        "Nature\t0028-0836\t\tjavascript:x\t\t\tserial\t\t\n"
        "\t\t\t\t\tt3\tserial\t\t\n"
    )

    book, journal, bad = parse_kbart(
        read_table(io.BytesIO((KBART + rows).encode()), COLUMNS)
    )

    assert isinstance(book, HarvestedRecord)
    assert (book.ref, book.title, book.year) == ("t1", "Cosmos, vol. 2", "1980")
    assert (book.format, book.isbn) == ("ebook", "9780306406157")
    assert isinstance(journal, HarvestedRecord)
    assert (journal.ref, journal.issn, journal.url) == ("0028-0836", "0028-0836", None)
    assert isinstance(bad, Rejected)
    assert bad.why == "publication_title: missing"
