"""`hamkhan train`, `hamkhan model`, `hamkhan signals` and `hamkhan match`."""

import click
from sqlalchemy import select

from api.commands.options import (
    at_option,
    dry_run_option,
    json_option,
    moment,
    pass_runtime,
)
from api.commands.output import bar, say, say_json, table
from api.commands.patrons import patron_id_of
from library.audit import record
from library.clock import utc_now
from library.db import reading
from library.i18n.messages import ENGLISH
from library.i18n.reasons import reason_text
from library.runtime import Runtime
from library.tables import ModelVersion
from recommender import training
from recommender.heard import heard_of
from recommender.matching import MatchReport, MatchRow
from recommender.matching import match as find_matches
from recommender.strengths import HALF_LIFE, read_strengths, set_strengths
from recommender.training import TrainingReport


@click.command()
@at_option
@click.option("--seed", default=0, show_default=True, help="The same gives the same.")
@json_option
@pass_runtime
def train(runtime: Runtime, *, when: str | None, seed: int, as_json: bool) -> None:
    """Learn from loans and verdicts of the patrons who agreed to it.

    The new model is put to use only if it is no worse than the one before.
    """
    with bar("Training") as progress:
        report = training.train(
            runtime.sessions,
            runtime.settings,
            at=moment(runtime.settings, when),
            seed=seed,
            progress=progress,
        )
    say(report, lambda: training_words(report), as_json=as_json)


@click.command()
@at_option
@dry_run_option
@click.option("--patron", "patron", metavar="ID", help="Only this patron.")
@json_option
@pass_runtime
def match(
    runtime: Runtime,
    *,
    when: str | None,
    dry_run: bool,
    patron: str | None,
    as_json: bool,
) -> None:
    """Find the patrons whom the new works suit, and say why."""
    with bar("Matching") as progress:
        report = find_matches(
            runtime.sessions,
            runtime.settings,
            at=moment(runtime.settings, when),
            patron_id=patron_id_of(runtime, patron) if patron else None,
            dry_run=dry_run,
            progress=progress,
        )
    say(report, lambda: match_words(report), as_json=as_json)


@click.group()
def model() -> None:
    """The models made so far; go back to an earlier one."""


@model.command("list")
@json_option
@pass_runtime
def list_(runtime: Runtime, *, as_json: bool) -> None:
    """List the model versions, newest first, and which one is in use."""
    head = ("id", "state", "created_at", "loans", "patrons", "works", "cause")
    with reading(runtime.sessions) as session:
        newest_first = select(ModelVersion).order_by(ModelVersion.id.desc())
        rows = [
            {name: getattr(version, name) for name in head}
            for version in session.scalars(newest_first)
        ]
    if as_json:
        say_json(rows)
    else:
        click.echo(table(head, [tuple(row.values()) for row in rows]))


@model.command()
@json_option
@pass_runtime
def rollback(runtime: Runtime, *, as_json: bool) -> None:
    """Put the model before the present one back into use."""
    version = training.rollback(runtime.sessions, at=utc_now())
    say(
        {"model_version_id": version},
        f"Model version {version} is in use again.",
        as_json=as_json,
    )


@click.command()
@click.option(
    "--set",
    "wanted",
    metavar="KIND=WEIGHT",
    multiple=True,
    help="Weigh a kind of signal so; again for more kinds.",
)
@click.option(
    "--half-life",
    type=float,
    metavar="DAYS",
    help="After so long a signal counts half; 0 leaves it to what training learns.",
)
@click.option("--patron", metavar="ID", help="Show what this patron's works weigh now.")
@at_option
@json_option
@pass_runtime
def signals(
    runtime: Runtime,
    *,
    wanted: tuple[str, ...],
    half_life: float | None,
    patron: str | None,
    when: str | None,
    as_json: bool,
) -> None:
    """Show or set what loans, holds and verdicts weigh, and how they fade.

    Matching follows at once; what was learnt from them follows the next training.
    """
    weights = dict(map(_weight, wanted))
    if patron:
        at, patron_id = moment(runtime.settings, when), patron_id_of(runtime, patron)
        with reading(runtime.sessions) as session:
            heard = heard_of(session, patron_id, at=at)
        rows = [(one.work_id, one.title, one.weight) for one in heard]
        say(heard, lambda: table(("work", "title", "weight"), rows), as_json=as_json)
        return
    if weights or half_life is not None:
        with runtime.sessions.begin() as session:
            strengths = set_strengths(session, weights, half_life=half_life)
            after = {**strengths.weights, HALF_LIFE: strengths.half_life}
            record(session, "signals.set", at=utc_now(), after=after)
    else:
        with reading(runtime.sessions) as session:
            strengths = read_strengths(session)
    said = {**strengths.weights, HALF_LIFE: strengths.half_life}
    words = [
        (name, "learnt" if value is None else value) for name, value in said.items()
    ]
    say(said, lambda: table(("signal", "weight"), words), as_json=as_json)


def _weight(given: str) -> tuple[str, float]:
    kind, _, number = given.partition("=")
    try:
        return kind, float(number)
    except ValueError:
        raise click.BadParameter(
            f"{given!r} is not KIND=WEIGHT, as in hold=0.5", param_hint="--set"
        ) from None


def training_words(report: TrainingReport) -> str:
    """Tell a training in words."""
    said = (
        f"Model version {report.model_version_id}: {report.loans} loans of "
        f"{report.patrons} patrons, {report.works} works, {report.seconds:.1f} s; "
        f"it is {report.state}"
    )
    return f"{said} ({report.cause})" if report.cause else said


def match_words(report: MatchReport) -> str:
    """Tell a matching in words."""
    said = (
        f"{report.acquisitions} new works for {report.patrons} patrons: "
        f"{report.matched} matches, {report.below_floor} below floor"
    )
    return "\n".join([said, *map(_match_line, report.matches)])


def _match_line(match: MatchRow) -> str:
    why = "; ".join(reason_text(reason, ENGLISH) for reason in match.reasons)
    return f"  patron {match.patron_id}: {match.title} ({match.score:.2f}): {why}"
