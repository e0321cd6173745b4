"""`hamkhan alert`, `hamkhan deliver` and `hamkhan ledger`."""

import click

from api.commands.options import at_option, json_option, moment, pass_runtime
from api.commands.output import bar, say, table
from api.commands.patrons import patron_id_of
from api.working.leftovers import take_back
from api.working.naming import worker_name
from library.db import reading
from library.runtime import Runtime
from notifier import ledger as sent
from notifier.alerting import AlertReport, make_alerts
from notifier.delivery import DeliveryReport, deliver_due


@click.command()
@at_option
@click.option("--patron", metavar="ID", help="Only this patron.")
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
    say(report, lambda: delivery_words(report), as_json=as_json)


@click.command()
@click.option("--patron", metavar="ID", help="Only this patron.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@json_option
@pass_runtime
def ledger(runtime: Runtime, *, patron: str | None, limit: int, as_json: bool) -> None:
    """List what was sent, to which address, and what became of it."""
    patron_id = patron_id_of(runtime, patron) if patron else None
    with reading(runtime.sessions) as session:
        rows = sent.ledger(session, patron_id=patron_id, limit=limit)
    head = ("delivery_id", "at", "state", "attempts", "address", "subject")
    cells = [(*(getattr(row, name) for name in head), len(row.alerts)) for row in rows]
    say(rows, lambda: table((*head, "works"), cells), as_json=as_json)


def alert_words(report: AlertReport) -> str:
    """Tell an alerting in words."""
    said = f"{report.alerts} alerts in {report.digests} digests"
    held = ", ".join(f"{count} held by {cause}" for cause, count in report.held.items())
    return f"{said}; {held}" if held else said


def delivery_words(report: DeliveryReport) -> str:
    """Tell a delivering in words."""
    return (
        f"{report.sent} sent, {report.withheld} withheld, "
        f"{report.retried} to be tried again, {report.abandoned} abandoned"
    )
