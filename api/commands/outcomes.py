"""`hamkhan outcomes` and `hamkhan experiment`."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import click
from sqlalchemy import select

from api.commands.options import at_option, json_option, moment, pass_runtime
from api.commands.output import say, table
from library.clock import utc_now
from library.db import reading
from library.errors import InvalidInput
from library.runtime import Runtime
from library.tables import Experiment
from profiles import experiments
from profiles.trials import Arm
from recommender.uptake import WITHIN, Line, arms_uptake, uptake

_HEAD = ("told by", "model", "patrons", "works told", "taken", "share", "95 % interval")

within_option = click.option(
    "--within",
    type=click.IntRange(1, 365),
    default=WITHIN.days,
    show_default=True,
    metavar="DAYS",
    help="A loan or hold later than this is not counted.",
)


@click.command()
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=90,
    show_default=True,
    help="What was shown in so many days.",
)
@within_option
@at_option
@json_option
@pass_runtime
def outcomes(
    runtime: Runtime, *, days: int, within: int, when: str | None, as_json: bool
) -> None:
    """Tell how much of what was shown was borrowed or held afterwards."""
    at = moment(runtime.settings, when)
    with reading(runtime.sessions) as session:
        lines = uptake(
            session,
            since=at - timedelta(days=days),
            until=at,
            within=timedelta(days=within),
        )
    say(lines, lambda: _words(lines), as_json=as_json)


@click.group()
def experiment() -> None:
    """Compare ways of matching on patrons, by a stable hash."""


@experiment.command()
@click.argument("code")
@click.option(
    "--arm",
    "arms",
    metavar="NAME=SHARE[:PART=WEIGHT,...|:untold]",
    multiple=True,
    required=True,
    help="Such as now=45, plain=45:popularity=1 and hold-out=10:untold.",
)
@click.option("--from", "begins", metavar="WHEN", help="Default: now.")
@click.option("--until", "ends", metavar="WHEN", required=True)
@json_option
@pass_runtime
def begin(
    runtime: Runtime,
    *,
    code: str,
    arms: tuple[str, ...],
    begins: str | None,
    ends: str,
    as_json: bool,
) -> None:
    """Begin an experiment: shares in per cent, by arm.

    An arm keeps the learnt weights or names parts and weights of its own. Who is in an
    untold arm, the hold-out, is told only what an interest or a librarian asked for.
    """
    with runtime.sessions.begin() as session:
        row = experiments.begin(
            session,
            code,
            dict(map(_arm, arms)),
            starts_at=moment(runtime.settings, begins),
            ends_at=moment(runtime.settings, ends),
            at=utc_now(),
        )
        said = _said(row)
    say(said, f"Experiment {code!r} stands.", as_json=as_json)


@experiment.command("list")
@json_option
@pass_runtime
def list_(runtime: Runtime, *, as_json: bool) -> None:
    """List the experiments, the newest first."""
    with reading(runtime.sessions) as session:
        newest_first = select(Experiment).order_by(Experiment.starts_at.desc())
        rows = [_said(row) for row in session.scalars(newest_first)]
    head = ("code", "starts_at", "ends_at", "arms")
    say(
        rows,
        lambda: table(head, [[row[name] for name in head] for row in rows]),
        as_json=as_json,
    )


@experiment.command()
@click.argument("code")
@json_option
@pass_runtime
def end(runtime: Runtime, *, code: str, as_json: bool) -> None:
    """End an experiment now; its report stays."""
    with runtime.sessions.begin() as session:
        said = _said(experiments.end(session, code, at=utc_now()))
    say(said, f"Experiment {code!r} has ended.", as_json=as_json)


@experiment.command()
@click.argument("code")
@within_option
@at_option
@json_option
@pass_runtime
def report(
    runtime: Runtime, *, code: str, within: int, when: str | None, as_json: bool
) -> None:
    """Tell by arm how much of what was matched was borrowed or held."""
    at = moment(runtime.settings, when)
    with reading(runtime.sessions) as session:
        row = experiments.find(session, code)
        lines = arms_uptake(session, row, at=at, within=timedelta(days=within))
    say(lines, lambda: _words(lines), as_json=as_json)


def _words(lines: Sequence[Line]) -> str:
    if not lines:
        return "Nothing was shown to anybody who agreed to learning."
    return table(_HEAD, [_cells(line) for line in lines])


def _cells(line: Line) -> Sequence[object]:
    who = line.how, line.model_version_id or "", line.patrons, line.told
    if line.share is None:
        return *who, "too few patrons to tell", "", ""
    share = line.share
    interval = f"{share.low:.1%} to {share.high:.1%}"
    return *who, line.taken, f"{share.value:.1%}", interval


def _said(row: Experiment) -> dict[str, object]:
    when: dict[str, datetime] = {"starts_at": row.starts_at, "ends_at": row.ends_at}
    return {"code": row.code, **when, "arms": row.arms}


def _arm(given: str) -> tuple[str, Arm]:
    name, _, rest = given.partition("=")
    share, _, how = rest.partition(":")
    try:
        per_cent = float(share) / 100
        if how in ("", "untold"):
            return name, Arm(per_cent, told=not how)
        parts = dict(pair.split("=") for pair in how.split(","))
        weights = {part: float(weight) for part, weight in parts.items()}
        return name, Arm(per_cent, weights)
    except ValueError:
        raise InvalidInput(
            f"--arm: {given!r} is not NAME=SHARE, NAME=SHARE:untold or "
            "NAME=SHARE:PART=WEIGHT,...",
            field="arm",
        ) from None
