"""`hamkhan alert`, `hamkhan deliver` and `hamkhan ledger`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from api.commands.options import at_option, json_option, moment, pass_runtime
from api.commands.output import bar, say, say_json, table
from api.commands.patrons import NAMED, patron_id_of
from api.working.leftovers import take_back
from api.working.naming import worker_name
from library import audit
from library.clock import utc_now
from library.db import reading
from library.errors import InvalidInput, NotFound
from library.runtime import Runtime
from library.vocabulary import DeliveryState
from notifier import ledger as sent
from notifier.alerting import AlertReport, make_alerts
from notifier.app_erasures import tell_app
from notifier.bounces import Taken
from notifier.delivery import DeliveryReport, deliver_due
from notifier.fence import Fence
from notifier.mailboxes import parse_mailbox, take_in_all
from notifier.previewing import preview_for, send_preview
from profiles import contacts
from profiles.privacy import repeat_erasures

_IN_A_TABLE = 50
_FIELDS = (
    "delivery_id",
    "patron_id",
    "channel",
    "address",
    "message_id",
    "state",
    "attempts",
    "alerts",
)
"""What other programs may count on, of each delivery."""


@click.command()
@at_option
@click.option("--patron", metavar="PATRON", help=f"Only this one: {NAMED}.")
@json_option
@pass_runtime
def alert(
    runtime: Runtime, *, when: str | None, patron: str | None, as_json: bool
) -> None:
    """Choose which matches to tell, and group them in one digest per patron."""
    report = make_alerts(
        runtime.sessions,
        runtime.settings,
        at=moment(runtime.settings, when),
        patron_id=patron_id_of(runtime, patron) if patron else None,
    )
    say(report, lambda: alert_words(report), as_json=as_json)


@click.command()
@click.option("--limit", type=click.IntRange(min=1), help="At most so many messages.")
@at_option
@json_option
@pass_runtime
def deliver(
    runtime: Runtime, *, limit: int | None, when: str | None, as_json: bool
) -> None:
    """Send the messages that are due. Each goes out once, whoever else is sending."""
    at = moment(runtime.settings, when)
    take_back(runtime, at=at)
    with bar("Delivering") as progress:
        report = deliver_due(
            runtime.sessions,
            runtime.settings,
            at=at,
            worker=worker_name(),
            limit=limit,
            progress=progress,
        )
    tell_app(runtime.sessions, runtime.settings, at=at)
    say(report, lambda: delivery_words(report), as_json=as_json)


@click.command()
@click.option("--patron", metavar="PATRON", help=f"Only this one: {NAMED}.")
@click.option(
    "--state",
    type=click.Choice([one.value for one in DeliveryState]),
    help="Only in this state.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"At most so many; {_IN_A_TABLE} in a table, all as JSON.",
)
@click.option("--again", type=int, metavar="ID", help="Send this one again.")
@click.option("--cancel", type=int, metavar="ID", help="Never send this one.")
@json_option
@pass_runtime
def ledger(  # noqa: PLR0913 -- one option each
    runtime: Runtime,
    *,
    patron: str | None,
    state: str | None,
    limit: int | None,
    again: int | None,
    cancel: int | None,
    as_json: bool,
) -> None:
    """List what was sent, to which address, and what became of it, newest first.

    With --again a message goes out anew, under a Message-ID of its own; with --cancel
    one that waits never goes.
    """
    if again is not None or cancel is not None:
        _change(runtime, again, cancel)
        return
    patron_id = patron_id_of(runtime, patron) if patron else None
    with reading(runtime.sessions) as session:
        rows = sent.ledger(
            session,
            patron_id=patron_id,
            state=DeliveryState(state) if state else None,
            limit=limit or (None if as_json else _IN_A_TABLE),
        )
    if as_json:
        say_json([{name: getattr(row, name) for name in _FIELDS} for row in rows])
        return
    head = ("delivery_id", "at", "state", "attempts", "address", "subject", "cause")
    cells = [(*(getattr(row, name) for name in head), len(row.alerts)) for row in rows]
    click.echo(table((*head, "works"), cells))


@click.command()
@click.argument("patron", metavar="PATRON")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the HTML part here, to be opened in a browser.",
)
@click.option("--to", metavar="ADDRESS", help="Send it to this test address.")
@at_option
@pass_runtime
def preview(
    runtime: Runtime,
    *,
    patron: str,
    html: Path | None,
    to: str | None,
    when: str | None,
) -> None:
    """Show a patron's digest as it would be sent now; its links are dead.

    It is the one that waits, else the last one.
    """
    at, patron_id = moment(runtime.settings, when), patron_id_of(runtime, patron)
    with reading(runtime.sessions) as session:
        message = preview_for(session, runtime.settings, patron_id, at=at)
    if to:
        send_preview(runtime.sessions, runtime.settings, message, to)
        click.echo(f"sent to {to}")
    if html:
        html.write_text(message.html, encoding="utf-8")
    if not (html or to):
        click.echo(f"{message.subject}\n\n{message.text}")


@click.command()
@click.argument("mailbox", required=False)
@click.option("--stopped", is_flag=True, help="List the addresses that were stopped.")
@click.option("--lift", type=int, metavar="ID", help="Send to this one again.")
@json_option
@pass_runtime
def bounces(
    runtime: Runtime,
    *,
    mailbox: str | None,
    stopped: bool,
    lift: int | None,
    as_json: bool,
) -> None:
    """Take in mail that came back, and complaints.

    MAILBOX is imaps://user:password@host/FOLDER, or a folder or Maildir; left out, it
    is HAMKHAN_BOUNCE_MAILBOX. What was taken in is marked as seen, or moved.
    """
    if lift is not None:
        say({"lifted": lift}, _lift(runtime, lift), as_json=as_json)
        return
    if stopped:
        with reading(runtime.sessions) as session:
            rows = contacts.stopped(session)
        say(rows, lambda: _stopped_words(rows), as_json=as_json)
        return
    address = mailbox or runtime.settings.bounce_mailbox
    if not address:
        raise InvalidInput("which mailbox? Name it, or set HAMKHAN_BOUNCE_MAILBOX")
    counts = take_in_all(
        runtime.sessions, runtime.settings, parse_mailbox(address), at=utc_now()
    )
    report = {taken.value: counts[taken] for taken in Taken}
    say(report, lambda: _bounce_words(report), as_json=as_json)


@click.command()
@click.option("--agree", is_flag=True, help="Let this database send from here.")
@json_option
@pass_runtime
def fence(runtime: Runtime, *, agree: bool, as_json: bool) -> None:
    """Say whether what this machine sent fits the database.

    It does not after a database was restored or copied, or on a machine that sends
    for the first time; then nothing is sent. Look at `hamkhan ledger` first: --agree
    settles what the fence knows to be out, erases again who was erased since the dump,
    and lets the rest go.
    """
    own = Fence(runtime.settings.home)
    if agree:
        at = utc_now()
        erased = repeat_erasures(runtime.sessions, runtime.settings, at=at)
        settled = own.agree(runtime.sessions, at=at)
        words = f"agreed: {settled} had gone out before and do not go again"
        if erased:
            words += f"; {erased} erased patrons were there again, and are erased"
        say({"settled": settled, "erased": erased}, words, as_json=as_json)
        return
    trouble = own.looked_at(runtime.sessions)
    say({"trouble": trouble}, trouble or "it fits the database", as_json=as_json)


def _change(runtime: Runtime, again: int | None, cancel: int | None) -> None:
    at = utc_now()
    with runtime.sessions.begin() as session:
        if cancel is not None:
            sent.cancel(session, cancel, at)
            click.echo(f"delivery {cancel} is never sent")
        if again is not None:
            made = sent.resend(session, again, at)
            click.echo(f"delivery {again} goes out again as {made.id}")


def _bounce_words(report: Mapping[str, int]) -> str:
    told = [f"{count} {words}" for words, count in report.items() if count]
    return ", ".join(told) or "nothing came back"


def alert_words(report: AlertReport) -> str:
    """Tell an alerting in words."""
    said = f"{report.alerts} alerts in {report.digests} digests"
    held = ", ".join(f"{count} held by {cause}" for cause, count in report.held.items())
    return f"{said}; {held}" if held else said


def _lift(runtime: Runtime, contact_point_id: int) -> str:
    """Send there again; return what to say of it, which names no address."""
    with runtime.sessions.begin() as session:
        if all(one.id != contact_point_id for one in contacts.stopped(session)):
            raise NotFound(f"{contact_point_id} is no stopped address: see --stopped")
        point = contacts.restart(session, contact_point_id)
        patron = audit.patron_hash(runtime.settings.secret, point.patron_id)
        audit.record(session, contacts.LIFTED, at=utc_now(), patron=patron)
    return f"messages go to {contact_point_id} again"


def _stopped_words(rows: Sequence[contacts.Stopped]) -> str:
    return table(
        ("id", "stopped", "patron", "address", "why"),
        [
            (
                one.id,
                f"{one.stopped_at:%Y-%m-%d %H:%M}",
                one.patron,
                one.address,
                one.trouble or "refused",
            )
            for one in rows
        ],
    )


def delivery_words(report: DeliveryReport) -> str:
    """Tell a delivering in words."""
    if report.trouble:
        return f"nothing is sent. {report.trouble} See `hamkhan fence`"
    counts = (
        f"{report.sent} sent, {report.withheld} withheld, "
        f"{report.retried} to be tried again, {report.abandoned} abandoned"
    )
    waiting = [
        f"{channel} rests and its messages wait: {why}. See `hamkhan doctor`"
        for channel, why in report.resting.items()
    ]
    return "\n".join([counts, *waiting])
