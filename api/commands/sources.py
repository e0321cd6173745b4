"""`hamkhan source` and `hamkhan harvest`."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from api.commands.options import (
    at_option,
    branch_of,
    branch_option,
    dry_run_option,
    json_option,
    moment,
    pass_runtime,
    readable,
)
from api.commands.output import bar, say, table
from api.plain import plain
from harvesters.discovery import find_feeds
from harvesters.fetching.logins import Login, sealed_login
from harvesters.formats.opml import Outline, parse_opml, write_opml
from harvesters.harvesting import HarvestReport, harvest_due, polite
from harvesters.harvesting import harvest as harvest_one
from harvesters.pushing import push_secret
from harvesters.sources import (
    PUSHED,
    SourceRow,
    add_feeds,
    add_source,
    find_source,
    list_sources,
    remove_source,
    start_over,
)
from harvesters.trying import Trial, try_sources
from library.clock import utc_now
from library.db import reading
from library.errors import InvalidInput
from library.fetching.fetch import Fetcher
from library.runtime import Runtime, told_settings
from library.vocabulary import NewMeans, SourceKind
from library.webhooks import Use, secret_of

_LISTED = 20


@click.group()
def source() -> None:
    """Where new works come from: feeds, OAI-PMH servers, MARC files."""


@source.command()
@click.argument("code")
@click.argument("kind", type=click.Choice([kind.value for kind in SourceKind]))
@click.argument("url", default="")
@branch_option
@click.option(
    "--new-means",
    type=click.Choice([means.value for means in NewMeans]),
    default=NewMeans.FIRST_SEEN.value,
    show_default=True,
    help="What makes a work of this source new here.",
)
@click.option(
    "--announce-first-load",
    is_flag=True,
    help="Tell patrons of the first load too; by default only of what comes later.",
)
@click.option(
    "--set",
    "choices",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of this source, such as set=books for OAI-PMH; repeat for more.",
)
@json_option
@pass_runtime
def add(  # noqa: PLR0913 -- one argument for each option
    runtime: Runtime,
    *,
    code: str,
    kind: str,
    url: str,
    branch_code: str | None,
    new_means: str,
    announce_first_load: bool,
    choices: tuple[str, ...],
    as_json: bool,
) -> None:
    """Add a source called CODE that is read from URL (or a file's path).

    A source of kind push has no URL: it posts, signed with its secret.
    """
    branch = branch_of(runtime, branch_code)
    with runtime.sessions.begin() as session:
        row = add_source(
            session,
            code,
            SourceKind(kind),
            url,
            branch_code=branch,
            new_means=NewMeans(new_means),
            silent=not announce_first_load,
            settings=_choices(choices),
            allow_files=True,
            at=utc_now(),
        )
        added = {"code": row.code, "kind": row.kind, "url": row.url}
    say(added, _words_of_next(code, SourceKind(kind)), as_json=as_json)


@source.command()
@click.argument("code")
@pass_runtime
def secret(runtime: Runtime, code: str) -> None:
    """Print the secret with which a source of kind push signs what it posts."""
    with reading(runtime.sessions) as session:
        row = find_source(session, code)
    if row.kind not in PUSHED:
        raise InvalidInput(f"{code} is of kind {row.kind.value}, which posts nothing")
    click.echo(push_secret(runtime.settings, code))


@source.command("list")
@json_option
@pass_runtime
def list_(runtime: Runtime, *, as_json: bool) -> None:
    """List the sources and how their reading stands; failing ones first."""
    with reading(runtime.sessions) as session:
        rows = list_sources(session)
    say(rows, lambda: _table_of(rows), as_json=as_json)


@source.command()
@click.argument("code")
@pass_runtime
def remove(runtime: Runtime, code: str) -> None:
    """Remove a source. Works that patrons know from it stay."""
    with runtime.sessions.begin() as session:
        remove_source(session, code)
    click.echo(f"{code} is removed.")


@source.command()
@click.argument("places", metavar="PATH|URL...", nargs=-1, required=True)
@click.option(
    "--show",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Show the first N records of each.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one line of JSON for each source."
)
@click.pass_obj
def test(
    given: Runtime | None, *, places: tuple[str, ...], show: int, as_json: bool
) -> None:
    """Read files, folders or addresses and say what they would bring.

    Nothing is stored and no database is needed; what kind of source it is, is seen
    from what it holds. Of a source that was added, `hamkhan harvest --dry-run CODE`
    says it.
    """
    fetcher = Fetcher.of(given.settings if given else told_settings())
    failed = False
    for trial in try_sources(places, fetcher, at=utc_now(), show=show):
        failed = failed or trial.error is not None
        if as_json:
            told = plain(trial)
            told.pop("shown") if not show else None
            click.echo(json.dumps(told, ensure_ascii=False))
        else:
            click.echo(_words_of_trial(trial))
    if failed:
        raise click.exceptions.Exit(1)


@source.command()
@click.argument("site")
@json_option
@pass_runtime
def find(runtime: Runtime, *, site: str, as_json: bool) -> None:
    """Look for the feeds that the page at SITE tells of."""
    fetcher = polite(runtime.sessions, runtime.settings)
    found = find_feeds(fetcher, site, at=utc_now())
    rows = [(one.url, one.title) for one in found]
    words = table(("url", "title"), rows) if rows else "It tells of none."
    say(found, words, as_json=as_json)


@source.command("opml")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@branch_option
@pass_runtime
def opml(runtime: Runtime, *, file: Path | None, branch_code: str | None) -> None:
    """Add the feeds of an OPML FILE; without one, print those there are as OPML."""
    if file is None:
        with reading(runtime.sessions) as session:
            feeds = [
                Outline(row.code, row.url)
                for row in list_sources(session)
                if row.kind == SourceKind.FEED and row.url.startswith("http")
            ]
        listed = write_opml(runtime.settings.library_name, feeds)
        click.echo(listed.decode(), nl=False)
        return
    outlines = parse_opml(readable(file).read_bytes())
    branch = branch_of(runtime, branch_code)
    with runtime.sessions.begin() as session:
        added = add_feeds(session, outlines, branch_code=branch, at=utc_now())
        codes = [row.code for row in added]
    known = len(outlines) - len(codes)
    click.echo(f"{len(codes)} added, {known} known already: {', '.join(codes)}")


@source.command()
@click.argument("code")
@click.option("--user", required=True, help="A name, or the id of an API client.")
@click.password_option(
    "--password", confirmation_prompt=False, help="Asked for when it is not given."
)
@pass_runtime
def login(runtime: Runtime, *, code: str, user: str, password: str) -> None:
    """Keep a name and password to sign in with at a source, sealed.

    For Koha they are the id and secret of an API client (OAuth2), or with the setting
    auth=basic a name and password; other kinds use HTTP Basic.
    """
    kept = sealed_login(runtime.settings, Login(user, password))
    with runtime.sessions.begin() as session:
        row = find_source(session, code)
        row.settings = {**row.settings, **kept}
    click.echo(f"{code} is read as {user} from now on.")


@source.command("webhook-secret")
@pass_runtime
def webhook_secret(runtime: Runtime) -> None:
    """Print the secret by which HAMKHAN_WARN_WEBHOOK knows that we call."""
    click.echo(secret_of(runtime.settings, Use.WARNINGS))


@click.command()
@click.argument("code", required=False)
@click.option("--due", is_flag=True, help="Only the sources whose time has come.")
@click.option(
    "--again",
    is_flag=True,
    help="Read CODE whole, and try again what could not be taken.",
)
@at_option
@dry_run_option
@json_option
@pass_runtime
def harvest(  # noqa: PLR0913 -- one argument for each option
    runtime: Runtime,
    *,
    code: str | None,
    due: bool,
    again: bool,
    when: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Read what is new from the source CODE, or from all of them."""
    if code and due:
        raise click.UsageError("name a source or say --due, not both")
    if due and dry_run:
        raise click.UsageError("--dry-run is for named sources or all of them")
    if again and (dry_run or not code):
        raise click.UsageError("--again is for one named source, and no dry run")
    at = moment(runtime.settings, when)
    if again and code:
        with runtime.sessions.begin() as session:
            start_over(find_source(session, code), at=at)
    reports = (
        harvest_due(runtime.sessions, runtime.settings, at=at)
        if due
        else [
            _harvest(runtime, each, at=at, dry_run=dry_run)
            for each in ([code] if code else _codes(runtime))
        ]
    )
    words = "\n".join(words_of(r) for r in reports if not r.error)
    say(reports, words or "No source was due.", as_json=as_json) if (
        as_json or words or not reports
    ) else None
    _fail_if_any(reports)


def _words_of_next(code: str, kind: SourceKind) -> str:
    if kind in PUSHED:
        return f"Added. Its secret: `hamkhan source secret {code}`."
    return f"Added. Read it with `hamkhan harvest {code}`."


def words_of(report: HarvestReport) -> str:
    """Tell a harvest in words."""
    return (
        f"{report.source}: {report.added} added, {report.changed} changed, "
        f"{report.withdrawn} withdrawn, {report.unchanged} unchanged, "
        f"{report.rejected} refused; {report.acquisitions} new here"
    )


def _words_of_trial(trial: Trial) -> str:
    kind = trial.kind or "of no known kind"
    counts = f"{trial.records} records, {len(trial.rejected)} refused"
    lines = [f"{trial.source}: {kind}, {counts}"]
    lines += [f"  Error: {trial.error}"] if trial.error else []
    lines += [f"  {bad.where}: {bad.why}" for bad in trial.rejected[:_LISTED]]
    more = len(trial.rejected) - _LISTED
    lines += [f"  and {more} more; --json lists them"] if more > 0 else []
    for record in trial.shown:
        about = " / ".join([record.title, *record.creators])
        lines.append(f"  {record.ref}: {about}" if about else f"  {record.ref}: gone")
    return "\n".join(lines)


def _harvest(
    runtime: Runtime, code: str, *, at: datetime, dry_run: bool
) -> HarvestReport:
    with bar(f"Harvesting {code}") as progress:
        return harvest_one(
            runtime.sessions,
            runtime.settings,
            code,
            at=at,
            dry_run=dry_run,
            progress=progress,
        )


def _codes(runtime: Runtime) -> list[str]:
    with reading(runtime.sessions) as session:
        # What was imported from a file has no address to go back to.
        return [row.code for row in list_sources(session) if row.url]


def _fail_if_any(reports: list[HarvestReport]) -> None:
    failed = [f"{report.source}: {report.error}" for report in reports if report.error]
    for line in failed:
        click.echo(f"Error: {line}", err=True)
    if failed:
        raise click.exceptions.Exit(1)


def _choices(given: tuple[str, ...]) -> dict[str, str]:
    pairs = [choice.partition("=") for choice in given]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise InvalidInput(f"--set {name}: write NAME=VALUE", field="set")
    return {name: value for name, _, value in pairs}


def _table_of(rows: Sequence[SourceRow]) -> str:
    head = ("code", "kind", "records", "failures", "next_check_at", "url", "error")
    return table(head, [tuple(getattr(row, name) for name in head) for row in rows])
