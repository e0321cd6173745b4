import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvesters.formats import iso2709
from harvesters.formats.iso2709 import parse_iso2709
from harvesters.formats.marc import tidy
from harvesters.formats.marc_text import parse_marc_json, parse_mrk
from harvesters.formats.marcxml import parse_marcxml
from harvesters.records import Harvested, HarvestedRecord, Heading, Rejected
from library.errors import MalformedRecord

Subfields = list[tuple[str, str]]


def iso(
    fields: list[tuple[str, str | Subfields]],
    *,
    encoding: str = "utf-8",
    flag: str = "a",
    status: str = "n",
) -> bytes:
    """Write an ISO 2709 record."""
    directory, data = b"", b""
    for tag, value in fields:
        if isinstance(value, str):
            field = value.encode(encoding) + b"\x1e"
        else:
            parts = [b"\x1f" + c.encode() + v.encode(encoding) for c, v in value]
            field = b"  " + b"".join(parts) + b"\x1e"
        directory += f"{tag}{len(field):04}{len(data):05}".encode()
        data += field
    base = 24 + len(directory) + 1
    length = base + len(data) + 1
    leader = f"{length:05}{status}am {flag}22{base:05} a 4500".encode()
    return leader + directory + b"\x1e" + data + b"\x1d"


def book(number: int, title: str, **options: str) -> bytes:
    return iso([("001", str(number)), ("245", [("a", title)])], **options)


def read(data: bytes, encoding: str | None = None) -> list[Harvested]:
    return list(parse_iso2709(io.BytesIO(data), encoding=encoding))


def titles(found: list[Harvested]) -> list[str]:
    return [one.title for one in found if isinstance(one, HarvestedRecord)]


def refused(found: list[Harvested]) -> list[Rejected]:
    return [one for one in found if isinstance(one, Rejected)]


def test_a_record_says_what_it_is() -> None:
    data = iso(
        [
            ("001", "ocm7"),
            ("008", " " * 7 + "1980" + " " * 24 + "per" + "  "),
            ("020", [("a", "0 306 40615 2 (pbk.)")]),
            ("082", [("a", "523.1/")]),
            ("100", [("a", "Sagan, Carl,"), ("d", "1934-1996")]),
            ("245", [("a", "Cosmos :"), ("b", "a personal voyage /"), ("c", "Sagan.")]),
            ("260", [("c", "c1980.")]),
            ("490", [("a", "Universe ;"), ("v", "3")]),
            ("650", [("a", "Astronomy"), ("x", "History.")]),
            ("700", [("a", "Druyan, Ann.")]),
            ("856", [("u", "javascript:alert(1)")]),
            ("952", [("7", "0"), ("o", "QB44 S13")]),
        ]
    )

    (record,) = read(data)

    assert isinstance(record, HarvestedRecord)
    assert record.ref == "ocm7"
    assert record.title == "Cosmos : a personal voyage"
    assert record.creators == ("Sagan, Carl", "Druyan, Ann")
    assert record.isbn == "9780306406157"
    assert (record.language, record.year) == ("per", "c1980")
    assert record.series == "Universe"
    assert Heading("class", "523.1") in record.subjects
    assert Heading("local", "Astronomy -- History") in record.subjects
    assert (record.call_number, record.status) == ("QB44 S13", "available")
    assert record.url is None


def test_unimarc_is_known_by_its_title_field() -> None:
    data = iso(
        [
            ("001", "1"),
            ("010", [("a", "9780306406157")]),
            ("101", [("a", "per")]),
            ("200", [("a", "بوف کور"), ("f", "صادق هدایت")]),
            ("210", [("d", "1389")]),
            ("606", [("a", "داستان")]),
            ("700", [("a", "هدایت"), ("b", "صادق")]),
        ]
    )

    (record,) = read(data)

    assert isinstance(record, HarvestedRecord)
    assert (record.title, record.creators) == ("بوف کور", ("هدایت, صادق",))
    assert (record.year, record.language) == ("1389", "per")
    assert record.subjects == (Heading("local", "داستان"),)


GOOD = [book(n, f"Book {n}") for n in range(4)]


@pytest.mark.parametrize(
    ("data", "kept", "bad"),
    [
        pytest.param(b"".join(GOOD), 4, 0, id="whole"),
        pytest.param(b"\r\n".join(GOOD), 4, 0, id="line ends between"),
        pytest.param(GOOD[0] + b"garbage" + GOOD[1], 2, 1, id="garbage between"),
        pytest.param(GOOD[0] + b"x\x1dy\x1d" + GOOD[1], 2, 2, id="marks in it"),
        pytest.param(GOOD[0] + b"99999" + GOOD[1][5:], 2, 0, id="length too long"),
        pytest.param(GOOD[0] + b"00010" + GOOD[1][5:], 2, 0, id="length too short"),
        pytest.param(GOOD[0] + GOOD[1][:40], 1, 1, id="cut off"),
        pytest.param(
            GOOD[0] + GOOD[1][:12] + b"00000" + GOOD[1][17:], 2, 0, id="no base"
        ),
        pytest.param(GOOD[0].replace(b"245", b"246") + GOOD[1], 1, 1, id="no title"),
    ],
)
def test_a_broken_file_loads_every_good_record(
    data: bytes, kept: int, bad: int
) -> None:
    found = read(data)

    assert len(titles(found)) == kept
    assert len(refused(found)) == bad
    assert all(one.place.startswith("byte ") and one.why for one in refused(found))


@pytest.mark.parametrize(
    ("data", "title"),
    [
        pytest.param(book(1, "Été", flag=" "), "Été", id="MARC-8 said, UTF-8 meant"),
        pytest.param(
            book(1, "كتابداري و اطلاع رساني", encoding="cp1256", flag=" "),
            "كتابداري و اطلاع رساني",
            id="cp1256",
        ),
        pytest.param(
            book(1, "Библиотека", encoding="cp1251", flag=" "),
            "Библиотека",
            id="cp1251",
        ),
        pytest.param(
            book(1, "\xe2ete", encoding="latin-1", flag=" "), "\xe9te", id="MARC-8"
        ),
        pytest.param(
            book(1, "caf\xe9", encoding="latin-1", flag=" "), "café", id="Latin-1"
        ),
        pytest.param(
            book(1, "كتابداري", encoding="cp1256"), "كتابداري", id="UTF-8 said, cp1256"
        ),
    ],
)
def test_text_is_read_as_it_was_meant(data: bytes, title: str) -> None:
    assert titles(read(data)) == [title]


def test_a_record_marked_deleted_is_withdrawn() -> None:
    (record,) = read(book(7, "Gone", status="d"))

    assert isinstance(record, HarvestedRecord)
    assert (record.ref, record.withdrawn) == ("7", True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Title /", "Title"),
        ("Title :", "Title"),
        ("Smith, John,", "Smith, John"),
        ("Tolkien, J. R. R.", "Tolkien, J. R. R."),
        ("\x98The \x9cBook", "The Book"),
        ("عنوان؛", "عنوان"),
    ],
)
def test_isbd_marks_are_cut(text: str, shown: str) -> None:
    assert tidy(text) == shown


XML = """<collection xmlns="http://www.loc.gov/MARC21/slim"><record>
<leader>00000nam a2200000 a 4500</leader><controlfield tag="001">1</controlfield>
<datafield tag="245" ind1="0" ind2="0"><subfield code="a">Cosmos</subfield></datafield>
</record>{}</collection>"""


def test_marcxml_is_read() -> None:
    found = list(parse_marcxml(io.BytesIO(XML.format("").encode())))

    assert titles(found) == ["Cosmos"]


def test_marcxml_that_breaks_off_keeps_what_came_before() -> None:
    found = list(parse_marcxml(io.BytesIO(XML.format("<record><bad>").encode())))

    assert titles(found) == ["Cosmos"]
    assert refused(found)[0].place == "after record 1"


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE c [<!ENTITY a "x">]>',
        '<!DOCTYPE c [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE c [<!ENTITY % a SYSTEM "http://10.0.0.1/x"> %a;]>',
    ],
)
def test_marcxml_that_declares_entities_is_refused(prolog: str) -> None:
    body = prolog + XML.format("").replace("Cosmos", "&a;")

    with pytest.raises(MalformedRecord):
        list(parse_marcxml(io.BytesIO(body.encode())))


@given(st.binary(max_size=300), st.integers(0, 200))
def test_any_bytes_give_records_or_refusals(junk: bytes, at: int) -> None:
    whole = book(1, "Cosmos")
    spoilt = whole[:at] + junk + whole[at:]

    assert all(one.place for one in refused(read(spoilt + whole)))
    assert "Cosmos" in titles(read(spoilt + b"\x1d" + whole))


def test_a_character_lost_from_the_leader_costs_nothing() -> None:
    data = book(1, "Cosmos")

    (found,) = read(data[:18] + data[19:])

    assert titles([found]) == ["Cosmos"]


def test_numbers_too_long_for_the_directory_are_read() -> None:
    long = "x" * 9_998
    data = iso([("001", "1"), ("520", [("a", long)]), ("245", [("a", "Cosmos")])])

    (found,) = read(data)

    assert titles([found]) == ["Cosmos"]


def test_a_directory_that_does_not_agree_with_its_fields_is_refused() -> None:
    data = iso([("001", "1"), ("245", [("a", "Cosmos")])])

    (found,) = read(data.replace(b"2450011", b"245001x1"))

    assert refused([found])[0].why.endswith("no multiple of 12 bytes")


@pytest.mark.parametrize("code", ["á", "\ufffda"], ids=["accent", "a lost byte before"])
def test_a_spoilt_subfield_code_is_read(code: str) -> None:
    data = iso([("001", "1"), ("245", [(code, "Cosmos")])])

    assert titles(read(data)) == ["Cosmos"]


def test_nothing_is_written_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    title = b"\x1b$1!0d!0"  # breaks off inside a Chinese letter
    data = book(1, "XXXXXXXX", flag=" ").replace(b"XXXXXXXX", title)

    read(data)

    assert capfd.readouterr() == ("", "")


def test_control_characters_in_marcxml_are_dropped() -> None:
    record = (
        b"<collection><record><controlfield tag='001'>1</controlfield>"
        b"<datafield tag='245'><subfield code='a'>Cos\x0b\x1fmos</subfield></datafield>"
        b"</record></collection>"
    )

    assert titles(list(parse_marcxml(io.BytesIO(record)))) == ["Cosmos"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["001", "020", "245", "650", "952", "300"]),
            st.lists(
                st.tuples(st.sampled_from("ab9á"), st.text("aé €ي\u0301", max_size=5)),
                max_size=3,
            ),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_reading_quickly_reads_the_same(fields: list[tuple[str, Subfields]]) -> None:
    data = iso([(tag, "number" if tag == "001" else parts) for tag, parts in fields])
    piece = data.removesuffix(b"\x1d")

    quick = iso2709._quickly(piece)

    assert quick is not None
    assert quick == tuple(iso2709._decode(iso2709._split(piece), piece, None))


def test_fields_in_another_order_than_the_directory_are_found() -> None:
    data = iso([("001", "7"), ("245", [("a", "Cosmos")])])
    entries = data[24:48]
    turned = data[:24] + entries[12:] + entries[:12] + data[48:]

    (record,) = read(turned)

    assert isinstance(record, HarvestedRecord)
    assert (record.ref, record.title) == ("7", "Cosmos")


def test_marcxml_in_a_windows_code_page_that_says_utf_8_is_read() -> None:
    record = (
        '<?xml version="1.0" encoding="UTF-8"?><collection><record><controlfield '
        "tag='001'>1</controlfield><datafield tag='245'><subfield code='a'>كتابداري در"
        " ايران</subfield></datafield></record></collection>"
    )

    found = list(parse_marcxml(io.BytesIO(record.encode("cp1256"))))

    assert titles(found) == ["كتابداري در ايران"]


ONE = (
    '{"leader": "00000nam a2200000 a 4500", "fields": [{"001": "%s"}, {"245": {"ind1": '
    '"1", "ind2": "0", "subfields": [{"a": "Cos\x0bmos :"}, {"b": "a voyage"}]}}]}'
)


@pytest.mark.parametrize(
    "text",
    [ONE % 1 + ONE % 2, f"[{ONE % 1},\n{ONE % 2}]", f"{ONE % 1}\n{ONE % 2}\n"],
    ids=["one after another", "a list", "lines"],
)
def test_marc_in_json_is_read(text: str) -> None:
    found = list(parse_marc_json(io.BytesIO(text.encode())))

    assert titles(found) == ["Cosmos : a voyage"] * 2
    assert [one.ref for one in found if isinstance(one, HarvestedRecord)] == ["1", "2"]


@pytest.mark.parametrize(
    "text", ["[1]", "[{}]", '[{"fields": 1}]', '[{"fields": [1, {"245": 1}]}]'], ids=str
)
def test_json_that_is_no_marc_is_named(text: str) -> None:
    (bad,) = parse_marc_json(io.BytesIO(text.encode()))

    assert isinstance(bad, Rejected)
    assert bad.place == "record 1"


def test_json_that_breaks_off_keeps_what_came_before() -> None:
    good, bad = parse_marc_json(io.BytesIO((ONE % 1 + ONE[:50]).encode()))

    assert titles([good]) == ["Cosmos : a voyage"]
    assert isinstance(bad, Rejected)
    with pytest.raises(MalformedRecord):
        list(parse_marc_json(io.BytesIO(b"{")))


def test_lines_of_marcedit_are_read() -> None:
    text = (
        "=LDR  01201nam  2200253 a 4500\n=001  1\n=008  960221s1955\\\\\\\\dcu\n"
        "=245  10$aCaf{acute}e {dollar}5 :$bun r{acute}eve\n\n"
        "=LDR  01201nam  2200253 a 4500\r\n=001  2\r\n=245  10$aCosmos\r\n"
    )

    found = list(parse_mrk(io.BytesIO(text.encode())))

    assert titles(found) == ["Café $5 : un réve", "Cosmos"]
