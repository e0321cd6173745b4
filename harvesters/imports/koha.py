"""Patrons, loans and holds out of a Koha source, by its REST API.

Loans and holds are asked for of those patrons alone who agreed here, and of none whose
privacy in Koha is "never".
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from harvesters.fetching.logins import login_of
from harvesters.formats.tabular import Row
from harvesters.harvesting import polite
from harvesters.imports.frame import ImportReport
from harvesters.imports.lending import take_holds, take_loans
from harvesters.imports.patrons import ConsentGiven
from harvesters.imports.people import take_patrons
from harvesters.imports.refusals import Refusals
from harvesters.imports.rehearsal import rehearsal
from harvesters.koha import Koha
from harvesters.sources import find_source
from library.db import Sessions, reading
from library.errors import InvalidInput
from library.fetching.fetch import Fetcher
from library.jobs import Progress, no_progress
from library.settings import Settings
from library.tables import Branch, Consent, Patron
from library.vocabulary import ConsentPurpose, SourceKind

WHAT = ("patrons", "loans", "holds")
_NEVER = "2"


def import_from_koha(  # noqa: PLR0913 -- what, whose, where and how; each plain
    sessions: Sessions,
    settings: Settings,
    code: str,
    what: str,
    *,
    at: datetime,
    dry_run: bool = False,
    report_path: Path | None = None,
    progress: Progress = no_progress,
    fetcher: Fetcher | None = None,
) -> ImportReport:
    """Take in patrons, loans or holds of the system behind a Koha source.

    Args:
        sessions: The database.
        settings: The installation's.
        code: The source's; its records are what loans refer to.
        what: One of `WHAT`.
        at: Now.
        dry_run: Store nothing, and count.
        report_path: Where refused rows are listed.
        progress: Told the number of rows.
        fetcher: Who fetches; made from the settings unless given.

    Raises:
        NotFound: There is no such source.
        InvalidInput: It is no Koha source, or has no login.
        FetchFailed: The system could not be read.
        MalformedRecord: What it answered is not what its API says.
    """
    with reading(sessions) as session:
        source = find_source(session, code)
        branch = session.get(Branch, source.branch_id) if source.branch_id else None
    if source.kind != SourceKind.KOHA:
        raise InvalidInput(f"{code} is no Koha source")
    login = login_of(settings, source.settings)
    system = fetcher or polite(sessions, settings)
    koha = Koha.of(system, source.url, login, source.settings, at=at)
    with (
        rehearsal(sessions, dry_run=dry_run) as stored,
        Refusals(report_path, (what,)) as refusals,
    ):
        how: dict[str, Any] = {
            "system": code,
            "branch_code": branch.code if branch else code,
            "at": at,
            "progress": progress,
        }
        if what == "patrons":
            given = ConsentGiven((), covers_past=False)
            return take_patrons(stored, _patrons(koha), refusals, given=given, **how)
        agreed = _agreed(sessions, code, koha)
        if what == "loans":
            return take_loans(stored, _loans(koha, agreed), refusals, **how)
        return take_holds(stored, _holds(koha, agreed), refusals, **how)


def _agreed(sessions: Sessions, system: str, koha: Koha) -> list[str]:
    """Return the patrons who agreed here and did not refuse there."""
    with reading(sessions) as session:
        here = session.scalars(
            select(Patron.external_id)
            .join(Consent, Consent.patron_id == Patron.id)
            .where(
                Patron.system == system,
                Consent.purpose == ConsentPurpose.HISTORY,
                Consent.withdrawn_at.is_(None),
            )
            .order_by(Patron.id)
        ).all()
    if not here:
        return []
    never = {
        _text(patron, "patron_id")
        for patron in koha.rows("/patrons")
        if _text(patron, "privacy") == _NEVER
    }
    return [ref for ref in dict.fromkeys(here) if ref not in never]


def _patrons(koha: Koha) -> Iterator[Row]:
    for number, patron in enumerate(koha.rows("/patrons"), 1):
        names = (_text(patron, "firstname"), _text(patron, "surname"))
        yield _row(
            number,
            ref=_text(patron, "patron_id"),
            card=_text(patron, "cardnumber"),
            name=" ".join(filter(None, names)),
            email=_text(patron, "email"),
            branch=_text(patron, "library_id"),
            category=_text(patron, "category_id"),
            enrolled=_text(patron, "date_enrolled"),
            expires=_text(patron, "expiry_date"),
            language=_text(patron, "lang"),
        )


def _loans(koha: Koha, patrons: list[str]) -> Iterator[Row]:
    number = 0
    for patron in patrons:
        for returned in ("false", "true"):
            for loan in koha.rows(
                "/checkouts", embed="item", patron_id=patron, checked_in=returned
            ):
                number += 1
                yield _row(
                    number,
                    ref=_text(loan, "checkout_id"),
                    patron=patron,
                    work=_text(_object(loan, "item"), "biblio_id"),
                    to=_moment(loan, "checkin_date"),
                    branch=_text(loan, "library_id"),
                    **{"from": _moment(loan, "checkout_date")},
                )


def _holds(koha: Koha, patrons: list[str]) -> Iterator[Row]:
    number = 0
    for patron in patrons:
        for hold in koha.rows("/holds", patron_id=patron):
            number += 1
            yield _row(
                number,
                ref=_text(hold, "hold_id"),
                patron=patron,
                work=_text(hold, "biblio_id"),
                to=_moment(hold, "cancelation_date"),
                **{"from": _moment(hold, "hold_date")},
            )


def _row(number: int, **values: str) -> Row:
    return Row(number, values, tuple(values.values()))


def _moment(found: Mapping[str, Any], name: str) -> str:
    """Return a moment as the library's own clock has it: Koha adds the offset."""
    return _text(found, name)[:19]


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return "" if value is None or isinstance(value, dict | list) else str(value)


def _object(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}
