"""`hamkhan import`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from api.commands.options import (
    branch_of,
    branch_option,
    dry_run_option,
    json_option,
    pass_runtime,
    readable,
)
from api.commands.output import bar, say
from api.plain import plain
from api.working.tasks import queue_job
from harvesters.imports.frame import ImportReport
from harvesters.imports.koha import WHAT, import_from_koha
from harvesters.tasks import IMPORTS, put_aside
from library.clock import utc_now
from library.runtime import Runtime
from library.vocabulary import ConsentPurpose

file_argument = click.argument("file", type=click.Path(path_type=Path))
system_option = click.option(
    "--system",
    default="library",
    show_default=True,
    help="The system the file is from; its numbers mean nothing in another's.",
)
report_option = click.option(
    "--report",
    "report_path",
    type=click.Path(path_type=Path),
    help="Where the rows that could not be taken are listed.",
)

background_option = click.option(
    "--background",
    is_flag=True,
    help="Leave it to a worker; the job tells how far it is.",
)


@dataclass(frozen=True)
class Order:
    """What the four imports have in common."""

    file: Path
    system: str
    branch_code: str | None
    report_path: Path | None
    dry_run: bool
    as_json: bool
    background: bool


def _import_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        background_option,
        json_option,
        dry_run_option,
        report_option,
        branch_option,
        system_option,
        file_argument,
    ):
        command = option(command)
    return command


@click.group("import")
def import_() -> None:
    """Read works, patrons, loans or holds from a file.

    Files are CSV (also .gz) with a line of column names; works also MARC 21 and
    MARCXML. A file can be read twice: what is already known changes nothing. Rows that
    cannot be taken are listed with line and cause, and the others go in.
    """


@import_.command()
@_import_options
@click.option(
    "--with-subjects/--without-subjects",
    default=True,
    help="Also read subjects.csv.gz beside the file.",
)
@pass_runtime
def works(runtime: Runtime, /, *, with_subjects: bool, **options: Any) -> None:
    """Read works: CSV, MARC 21 or MARCXML."""
    _run(runtime, "works", Order(**options), with_subjects=with_subjects)


@import_.command()
@_import_options
@click.option(
    "--consent",
    "consents",
    multiple=True,
    type=click.Choice([purpose.value for purpose in ConsentPurpose]),
    help="The library already has every patron's leave for this; repeat for more.",
)
@click.option(
    "--covers-past",
    is_flag=True,
    help="That leave also covers loans from before today.",
)
@pass_runtime
def patrons(
    runtime: Runtime,
    /,
    *,
    consents: Sequence[str],
    covers_past: bool,
    **options: Any,
) -> None:
    """Read patrons with their addresses; nobody's consent is assumed."""
    given: Collection[ConsentPurpose] = tuple(map(ConsentPurpose, consents))
    _run(
        runtime,
        "patrons",
        Order(**options),
        consents=given,
        covers_past=covers_past,
    )


@import_.command()
@_import_options
@pass_runtime
def loans(runtime: Runtime, /, **options: Any) -> None:
    """Read loans, only of patrons who agreed that their history is kept.

    Where the library holds that agreement on paper, read the patrons with `hamkhan
    import patrons FILE --consent history --covers-past` first.
    """
    _run(runtime, "loans", Order(**options))


@import_.command()
@_import_options
@pass_runtime
def holds(runtime: Runtime, /, **options: Any) -> None:
    """Read holds, only of patrons who agreed that their history is kept."""
    _run(runtime, "holds", Order(**options))


def _run(
    runtime: Runtime,
    kind: str,
    order: Order,
    **more: object,
) -> None:
    at = utc_now()
    readable(order.file)
    if order.background:
        _queue(runtime, kind, order, more, at=at)
        return
    with bar(f"Reading {order.file.name}") as progress:
        report = IMPORTS[kind](
            runtime.sessions,
            order.file,
            system=order.system,
            branch_code=branch_of(runtime, order.branch_code),
            at=at,
            dry_run=order.dry_run,
            report_path=order.report_path or _report_path(runtime, order.file),
            progress=progress,
            **more,
        )
    say(report, lambda: words_of(report, dry_run=order.dry_run), as_json=order.as_json)


def _queue(
    runtime: Runtime,
    kind: str,
    order: Order,
    options: Mapping[str, object],
    *,
    at: datetime,
) -> None:
    if order.dry_run or order.report_path:
        raise click.UsageError("--background takes neither --dry-run nor --report")
    parameters = {
        "kind": kind,
        "file": put_aside(runtime.settings, order.file),
        "system": order.system,
        "branch": branch_of(runtime, order.branch_code),
        "options": plain(options),
    }
    job = queue_job(runtime.sessions, "import", parameters, at=at)
    say({"job": job}, f"A worker reads it as job {job}.", as_json=order.as_json)


def words_of(report: ImportReport, *, dry_run: bool) -> str:
    """Tell an import in words."""
    because = (
        " (the patron has not agreed to keep them, or only later)"
        if report.skipped and report.kind in {"loans", "holds"}
        else ""
    )
    said = (
        f"{report.kind}: {report.read} rows read, {report.added} added, "
        f"{report.changed} changed, {report.unchanged} known, "
        f"{report.skipped} passed over{because}, {report.rejected} refused"
    )
    if report.rejected:
        said += f"; the refused rows are in {report.report_path}"
    return said + (" (a dry run: nothing was stored)" if dry_run else "")


def _report_path(runtime: Runtime, file: Path) -> Path:
    return runtime.settings.home / "reports" / f"{file.name}.refused.csv"


@import_.command()
@click.argument("code")
@click.argument("what", nargs=-1, type=click.Choice(WHAT))
@report_option
@dry_run_option
@json_option
@pass_runtime
def koha(
    runtime: Runtime,
    *,
    code: str,
    what: tuple[str, ...],
    report_path: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Read patrons, loans and holds out of the Koha source CODE, or only WHAT.

    Loans and holds are asked for of patrons who agreed here, and of none whose privacy
    in Koha is "never".
    """
    for each in what or WHAT:
        with bar(f"Reading {each}") as progress:
            report = import_from_koha(
                runtime.sessions,
                runtime.settings,
                code,
                each,
                at=utc_now(),
                dry_run=dry_run,
                report_path=report_path,
                progress=progress,
            )
        say(report, words_of(report, dry_run=dry_run), as_json=as_json)
