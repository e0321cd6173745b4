"""`hamkhan branch`."""

from typing import Any, cast

import click

from api.commands.options import json_option, pass_runtime
from api.commands.output import say, table
from library.clock import utc_now
from library.db import reading
from library.runtime import Runtime
from library.tables import Branch
from profiles.branches import Changes, all_branches, change

_SHOWN = (
    *("code", "name", "name_fa", "zone", "weekend"),
    *("sender", "reply_to", "postal_address", "floor", "allowance"),
)
_HEADS = tuple(name.replace("_", " ") for name in _SHOWN)


class _OrNothing(click.ParamType[Any]):
    """A number, or "" for none."""

    def __init__(self, number: click.ParamType[Any]) -> None:
        self._number = number
        self.name = number.name

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        return "" if value == "" else self._number.convert(value, param, ctx)


@click.command()
@click.argument("code", required=False)
@click.option("--name", help="As patrons know it.")
@click.option("--name-fa", help="The same in Persian.")
@click.option("--zone", help="Time zone of its patrons, as Asia/Tehran.")
@click.option(
    "--weekend",
    metavar="DAYS",
    help="Its days off, as thu,fri; else by custom where its zone is.",
)
@click.option("--sender", help="Mail to its patrons comes from this address.")
@click.option("--reply-to", help="Answers to that mail go there.")
@click.option("--postal-address", help="It stands at the foot of each mail.")
@click.option(
    "--floor",
    type=_OrNothing(click.FLOAT),
    help="The least score worth telling its patrons; else HAMKHAN_FLOOR.",
)
@click.option(
    "--allowance",
    type=_OrNothing(click.INT),
    help="Works told to one patron in a week at most; else HAMKHAN_ALLOWANCE.",
)
@json_option
@pass_runtime
def branch(
    runtime: Runtime, /, *, code: str | None, as_json: bool, **given: Any
) -> None:
    """List the branches, or change what is given of branch CODE; "" takes it away."""
    chosen = {n: None if v == "" else v for n, v in given.items() if v is not None}
    if chosen and code is None:
        raise click.UsageError("Name the branch that is to be changed.")
    if code is None:
        with reading(runtime.sessions) as session:
            shown = [_plain(row) for row in all_branches(session)]
    else:
        with runtime.sessions.begin() as session:
            changes = cast(Changes, chosen)
            shown = [_plain(change(session, code, at=utc_now(), **changes))]
    say(
        shown, lambda: table(_HEADS, [list(r.values()) for r in shown]), as_json=as_json
    )


def _plain(row: Branch) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _SHOWN}
