"""Tables (CSV, TSV, gzip or not) to rows by field name, in any known spelling.

Columns are matched by name; Persian names are compared by `squash`, so spacing and
Arabic letters do not matter. A row with bytes that are not of the table's encoding is
refused by its line, and the rest goes on.
"""

import csv
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from harvesters.formats.charsets import table_encoding
from harvesters.formats.safe_html import web_link
from harvesters.formats.streams import Joined
from harvesters.records import (
    Harvested,
    HarvestedRecord,
    Heading,
    Rejected,
    plain,
    short_ref,
)
from library.errors import InvalidInput, MalformedRecord
from library.text import isbn13, squash

_SAMPLE = 256 * 1024
_LONGEST_FIELD = 1024 * 1024
_NOT_DECODED = re.compile("[\udc80-\udcff]")
# What a spreadsheet would run: a cell of an id column never begins like this.
_FORMULA = re.compile(r"\s*(?:[=@]|[+-][^(]{0,40}\()")

WORKS: Mapping[str, tuple[str, ...]] = {
    "ref": ("work_id", "biblionumber", "biblio_id", "bib_id", "شماره رکورد", "id"),
    "title": ("title", "عنوان", "نام کتاب"),
    "creators": ("creators", "creator", "author", "authors", "پدیدآور", "نویسنده"),
    "year": ("year", "copyrightdate", "publicationyear", "سال", "سال نشر"),
    "language": ("language", "lang", "زبان"),
    "isbn": ("isbn", "شابک"),
    "subjects": ("subjects", "subject", "موضوع", "موضوعات"),
    "genre": ("genre", "گونه"),
    "format": ("format", "itemtype", "itype", "نوع مدرک", "قالب"),
    "call_number": ("call_number", "itemcallnumber", "شماره بازیابی", "رده"),
    "series": ("series", "seriestitle", "فروست"),
    "summary": ("summary", "abstract", "چکیده"),
    "url": ("url", "پیوند"),
    "status": ("status", "وضعیت"),
}
LOANS: Mapping[str, tuple[str, ...]] = {
    "ref": ("loan_id", "checkout_id", "issue_id", "شماره امانت"),
    "patron": ("patron_id", "borrowernumber", "cardnumber", "شماره عضویت"),
    "work": ("work_id", "biblionumber", "biblio_id", "شماره رکورد"),
    "copy": ("itemnumber", "item_id", "barcode", "external_id", "بارکد"),
    "from": ("borrowed_on", "issuedate", "checkout_date", "datetime", "تاریخ امانت"),
    "to": ("returned_on", "returndate", "checkin_date", "تاریخ بازگشت"),
    "branch": ("branchcode", "library_id", "branch", "کتابخانه"),
    "kind": ("type", "نوع"),
}
HOLDS: Mapping[str, tuple[str, ...]] = {
    "ref": ("hold_id", "reserve_id", "شماره رزرو"),
    "patron": LOANS["patron"],
    "work": LOANS["work"],
    "from": ("placed_on", "reservedate", "hold_date", "تاریخ رزرو"),
    "to": ("ended_on", "cancellationdate", "expiration_date", "تاریخ پایان"),
}
PATRONS: Mapping[str, tuple[str, ...]] = {
    "ref": ("patron_id", "borrowernumber"),
    "userid": ("userid", "نام کاربری"),
    "card": ("cardnumber", "شماره عضویت"),
    "name": ("name", "نام", "نام و نام خانوادگی"),
    "email": ("email", "رایانامه", "پست الکترونیک", "ایمیل"),
    "branch": ("branchcode", "library_id", "branch", "کتابخانه"),
    "category": ("categorycode", "category", "نوع عضویت", "گروه"),
    "enrolled": ("dateenrolled", "enrolled_on", "تاریخ عضویت"),
    "expires": ("dateexpiry", "expires_on", "تاریخ انقضا"),
    "language": ("lang", "language", "زبان"),
    "guardian": ("guarantor_id", "guarantorid", "شماره سرپرست"),
}
SECRETS = ("password", "secret", "overdrive_auth_token")
"""Columns that a file must leave empty: such a file is refused whole."""


class _Lines(Protocol):
    """What `csv.reader` returns."""

    line_num: int

    def __next__(self) -> list[str]: ...
    def __iter__(self) -> Iterator[list[str]]: ...


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: the fields we know, by our names, ends cut."""

    line: int
    values: Mapping[str, str]
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table that is open: its header, what of it we know, and its rows."""

    header: tuple[str, ...]
    known: Mapping[str, int]
    unknown: tuple[str, ...]
    rows: Iterator[Row | Rejected]


@contextmanager
def open_table(path: Path, aliases: Mapping[str, tuple[str, ...]]) -> Iterator[Table]:
    """Open a table with a header line.

    Raises:
        InvalidInput: There is no such file, no header, or none of its columns is known.
    """
    try:
        with open_bytes(path) as stream:
            yield read_table(stream, aliases)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from error


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file, unzipped where its first bytes say that it is gzip.

    Raises:
        OSError: It cannot be opened or read.
        MalformedRecord: Its gzip breaks off or is broken.
    """
    with path.open("rb") as file, unzipped(file) as stream:
        yield stream


@contextmanager
def unzipped(file: BinaryIO) -> Iterator[BinaryIO]:
    """Yield a file that can seek, unzipped where its first bytes say gzip.

    Raises:
        MalformedRecord: Its gzip breaks off or is broken.
    """
    head = file.read(2)
    file.seek(-len(head), os.SEEK_CUR)
    if head != b"\x1f\x8b":
        yield file
        return
    try:
        with gzip.GzipFile(fileobj=file) as stream:
            yield cast("BinaryIO", stream)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise MalformedRecord(f"broken gzip: {error}") from error


def read_table(stream: BinaryIO, aliases: Mapping[str, tuple[str, ...]]) -> Table:
    """Read a table's header and make its rows ready to be read one by one.

    Raises:
        InvalidInput: There is no header, or none of its columns is known.
    """
    lines, header, encoding = _begun(stream)
    known = match_columns(header, aliases)
    if not known:
        raise InvalidInput(
            f"no known column in the header: {', '.join(header)[:200]}; "
            f"wanted are such as {', '.join(list(aliases)[:3])}; see docs/harvesting.md"
        )
    return Table(
        header,
        known,
        tuple(c for n, c in enumerate(header) if n not in known.values()),
        _rows(lines, known, len(header), encoding),
    )


def header_of(beginning: bytes) -> tuple[str, ...]:
    """Return the header of a table that begins so; nothing for what is no table."""
    try:
        return _begun(io.BytesIO(beginning))[1]
    except InvalidInput:
        return ()


def _begun(stream: BinaryIO) -> tuple[_Lines, tuple[str, ...], str]:
    buffered = io.BufferedReader(Joined(b"", stream), _SAMPLE)
    sample = buffered.peek(_SAMPLE)
    encoding = table_encoding(sample)
    text = io.TextIOWrapper(
        buffered,
        encoding=encoding,
        # UTF-16 has no way to carry a bad byte along, so it is marked as lost.
        errors="replace" if encoding.startswith("utf-16") else "surrogateescape",
        newline="",
    )
    csv.field_size_limit(_LONGEST_FIELD)
    lines = csv.reader(text, dialect=_dialect(sample, encoding))
    try:
        return lines, tuple(plain(cell, 200) for cell in next(lines, [])), encoding
    except csv.Error as error:
        raise InvalidInput(f"line 1: not a row: {error}") from error


def match_columns(
    header: tuple[str, ...], aliases: Mapping[str, tuple[str, ...]]
) -> dict[str, int]:
    """Return the place of each field we know; the first spelling listed wins."""
    places: dict[str, int] = {}
    for place, cell in enumerate(header):
        places.setdefault(squash(cell), place)
    found = {
        name: [places[squash(s)] for s in spellings if squash(s) in places]
        for name, spellings in aliases.items()
    }
    return {name: hits[0] for name, hits in found.items() if hits}


def is_formula(cell: str) -> bool:
    """Tell whether a spreadsheet would run this cell; no id looks like that."""
    return _FORMULA.match(cell) is not None


def parse_works(table: Table) -> Iterator[Harvested]:
    """Yield one record per row of a table of works."""
    for row in table.rows:
        if isinstance(row, Rejected):
            yield row
        else:
            yield _work(row)


def parse_words(stream: BinaryIO) -> Iterator[tuple[str, dict[str, int]] | Rejected]:
    """Yield work id and word counts per line of `id word:count word:count`.

    A word can itself hold a colon: each pair is split at its last one.
    """
    for number, line in enumerate(stream, 1):
        ref, *pairs = line.decode("utf-8", "surrogateescape").split() or [""]
        try:
            yield ref, dict(map(_pair, pairs))
        except ValueError:
            yield Rejected(f"line {number}", "not word:count", plain(str(line[:200])))


def subjects_by_ref(table: Table) -> dict[str, list[str]]:
    """Return the subjects of each work, most frequent in the whole table first."""
    subjects: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for row in table.rows:
        if isinstance(row, Row) and row.values["ref"] and row.values["subject"]:
            label = row.values["subject"]
            subjects.setdefault(row.values["ref"], []).append(label)
            counts[label] = counts.get(label, 0) + 1
    for labels in subjects.values():
        labels.sort(key=lambda label: (-counts[label], label))
    return subjects


def _pair(pair: str) -> tuple[str, int]:
    word, _, count = pair.rpartition(":")
    return plain(word, 100), int(count)


def _dialect(sample: bytes, encoding: str) -> type[csv.Dialect]:
    first = sample.decode(encoding, "replace").partition("\n")[0]
    mark = max((",", ";", "\t"), key=first.count)

    class Found(csv.excel):
        delimiter = mark

    return Found


def _rows(
    lines: _Lines,
    known: Mapping[str, int],
    width: int,
    encoding: str,
) -> Iterator[Row | Rejected]:
    at = lines.line_num
    while True:
        try:
            cells = next(lines, None)
        except csv.Error as error:
            yield Rejected(f"line {at + 1}", f"not a row: {error}")
            at = lines.line_num
            continue
        if cells is None:
            return
        at, line = lines.line_num, at + 1
        if any(cells):
            yield _row(line, cells, known, width, encoding)


def _row(
    line: int, cells: list[str], known: Mapping[str, int], width: int, encoding: str
) -> Row | Rejected:
    whole = "\x1f".join(cells)
    lost = "\ufffd" in whole and encoding.startswith("utf-16")
    if lost or _NOT_DECODED.search(whole):
        return Rejected(f"line {line}", f"bytes that are not {encoding}", whole)
    if len(cells) != width:
        why = f"{len(cells)} columns, and the header has {width}"
        return Rejected(f"line {line}", why, whole)
    values = {name: cells[place].strip() for name, place in known.items()}
    return Row(line, values, tuple(cells))


def _work(row: Row) -> Harvested:
    values = row.values
    place, raw = f"line {row.line}", "\x1f".join(row.cells)
    ref = values.get("ref", "")
    if is_formula(ref):
        return Rejected(place, "work_id: a formula", raw)
    title = plain(values.get("title", ""))
    isbn = isbn13(values.get("isbn", ""))
    if not ref and not isbn:
        return Rejected(place, "work_id: missing", raw)
    return HarvestedRecord(
        ref=short_ref(ref or isbn or ""),
        title=title or ref or isbn or "",
        creators=_several(values.get("creators", "")),
        language=plain(values.get("language", ""), 10) or None,
        year=plain(values.get("year", ""), 100) or None,
        isbn=isbn,
        subjects=(
            *(Heading("local", s) for s in _several(values.get("subjects", ""))),
            *(Heading("genre", s) for s in _several(values.get("genre", ""))),
        ),
        series=plain(values.get("series", "")) or None,
        format=plain(values.get("format", ""), 100) or None,
        call_number=plain(values.get("call_number", ""), 200) or None,
        url=web_link(values.get("url", "")),
        summary=plain(values.get("summary", ""), 10_000) or None,
        status=_STATUSES.get(squash(values.get("status", ""))),
        raw={n: plain(v) for n, v in values.items() if v and n != "summary"},
    )


_STATUSES = {
    squash(word): status
    for status, words in {
        "ordered": ("ordered", "on order", "سفارش", "سفارش داده شده"),
        "received": ("received", "in processing", "دریافت شده", "در دست آماده‌سازی"),
        "available": ("available", "موجود", "قابل امانت"),
    }.items()
    for word in words
}


def _several(cell: str) -> tuple[str, ...]:
    parts = (plain(part, 300) for part in cell.split("|"))
    return tuple(dict.fromkeys(filter(None, parts)))
