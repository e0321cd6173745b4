"""KBART holdings (TSV) to harvested records: what a library has online."""

from collections.abc import Iterator, Mapping

from harvesters.formats.safe_html import title_text, web_link
from harvesters.formats.tabular import Row, Table, is_formula
from harvesters.records import Harvested, HarvestedRecord, Rejected, plain, short_ref
from library.text import isbn13, issn

COLUMNS: Mapping[str, tuple[str, ...]] = {
    name: (name,)
    for name in (
        "publication_title",
        "print_identifier",
        "online_identifier",
        "title_url",
        "first_author",
        "first_editor",
        "title_id",
        "publisher_name",
        "publication_type",
        "date_monograph_published_print",
        "date_monograph_published_online",
        "date_first_issue_online",
        "monograph_volume",
        "access_type",
    )
}
_FORMS = {"monograph": "ebook", "serial": "journal"}


def parse_kbart(table: Table) -> Iterator[Harvested]:
    """Yield one record per line of a KBART table."""
    for row in table.rows:
        yield row if isinstance(row, Rejected) else _record(row)


def _record(row: Row) -> Harvested:
    values = {name: row.values.get(name, "") for name in COLUMNS}
    place, raw = f"line {row.line}", "\x1f".join(row.cells)
    title = title_text(values["publication_title"])
    identifiers = (values["online_identifier"], values["print_identifier"])
    isbn = next(filter(None, map(isbn13, identifiers)), None)
    serial = next(filter(None, map(issn, identifiers)), None)
    link = web_link(values["title_url"])
    ref = values["title_id"] or serial or isbn or link
    if is_formula(values["title_id"]):
        return Rejected(place, "title_id: a formula", raw)
    if not title:
        return Rejected(place, "publication_title: missing", raw)
    if not ref:
        return Rejected(place, "title_id: missing, and no ISBN, ISSN or link", raw)
    volume = plain(values["monograph_volume"], 20)
    dates = ("date_monograph_published_print", "date_monograph_published_online")
    years = (values[name][:4] for name in dates)
    return HarvestedRecord(
        ref=short_ref(ref),
        title=f"{title}, vol. {volume}" if volume else title,
        creators=tuple(
            filter(None, (plain(values["first_author"] or values["first_editor"]),))
        ),
        year=next(filter(None, years), None),
        isbn=isbn,
        issn=serial,
        format=_FORMS.get(values["publication_type"].lower()),
        url=link,
        raw={name: plain(value) for name, value in values.items() if value},
    )
