"""What commands share: the runtime, and the options that mean the same everywhere."""

from collections.abc import Callable
from datetime import datetime, time
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from zoneinfo import ZoneInfo

import click
from sqlalchemy import select

from library.clock import utc_now
from library.db import reading
from library.errors import InvalidInput, ServiceError
from library.i18n.jalali import parse_date
from library.runtime import Runtime, runtime
from library.settings import Settings
from library.tables import Branch

P = ParamSpec("P")
R = TypeVar("R")

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON value for other programs."
)
at_option = click.option(
    "--at",
    "when",
    metavar="WHEN",
    help="Do it as of this day or moment (2026-03-21, 2026-03-21T08:00), in either "
    "calendar. Default: now.",
)
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Only say what would happen; change nothing."
)
branch_option = click.option(
    "--branch",
    "branch_code",
    metavar="CODE",
    help="The branch it belongs to. Default: the first one.",
)


def pass_runtime(
    command: Callable[Concatenate[Runtime, P], R],
) -> Callable[P, R]:
    """Hand the process's settings and sessions to a command as its first argument."""

    @wraps(command)
    def with_runtime(*args: P.args, **kwargs: P.kwargs) -> R:
        given = click.get_current_context().obj
        return command(given or runtime(), *args, **kwargs)

    return with_runtime


def moment(settings: Settings, text: str | None) -> datetime:
    """Read `--at`: a day is its first moment in the library's zone; None is now.

    A year of 1200 to 1499 is Jalali, here as wherever a day is typed.

    Raises:
        InvalidInput: The text is no day or moment.
    """
    if text is None:
        return utc_now()
    try:
        day, _, clock = text.replace(" ", "T").partition("T")
        at = datetime.combine(
            parse_date(day), time.fromisoformat(clock) if clock else time()
        )
    except ValueError as error:
        raise InvalidInput(
            f"--at: {text!r} is no day or moment; write 2026-03-21 or 2026-03-21T08:00",
            field="at",
        ) from error
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(settings.zone))


def readable(path: Path) -> Path:
    """Return `path` when a file is there.

    Raises:
        InvalidInput: It is not.
    """
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file")
    return path


def branch_of(runtime: Runtime, code: str | None) -> str:
    """Return the branch code given, or the first branch's.

    Raises:
        ServiceError: There is no branch yet, and none was named.
    """
    if code:
        return code
    with reading(runtime.sessions) as session:
        first: Any = session.scalar(select(Branch.code).order_by(Branch.id).limit(1))
    if first is None:
        raise ServiceError("there is no branch yet: run `hamkhan init`")
    return str(first)
