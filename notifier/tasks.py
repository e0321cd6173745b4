"""What the worker may ask of the notifier."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from library.jobs import Progress, Work
from library.runtime import Runtime
from notifier import app_erasures, canary
from notifier.alerting import AlertReport, make_alerts
from notifier.mailboxes import parse_mailbox, take_in_all


def choose_alerts(
    runtime: Runtime,
    parameters: Mapping[str, Any],
    *,
    at: datetime,
    progress: Progress,  # noqa: ARG001 -- as every work has it
) -> AlertReport:
    """Make alerts and digests for all patrons, or the one of parameter `patron_id`."""
    return make_alerts(
        runtime.sessions,
        runtime.settings,
        at=at,
        patron_id=parameters.get("patron_id"),
    )


def take_in_bounces(
    runtime: Runtime,
    parameters: Mapping[str, Any],  # noqa: ARG001 -- as every work has it
    *,
    at: datetime,
    progress: Progress,  # noqa: ARG001 -- as every work has it
) -> dict[str, int]:
    """Take in returned mail from the mailbox of the settings, if there is one."""
    where = runtime.settings.bounce_mailbox
    if not where:
        return {}
    counts = take_in_all(
        runtime.sessions, runtime.settings, parse_mailbox(where), at=at
    )
    return {taken.value: count for taken, count in counts.items()}


def let_canary_out(
    runtime: Runtime,
    parameters: Mapping[str, Any],  # noqa: ARG001 -- as every work has it
    *,
    at: datetime,
    progress: Progress,  # noqa: ARG001 -- as every work has it
) -> None:
    """Let the canary out; who delivers takes it on."""
    canary.set_out(runtime.sessions, at=at)


def tell_of_erasures(
    runtime: Runtime,
    parameters: Mapping[str, Any],  # noqa: ARG001 -- as every work has it
    *,
    at: datetime,
    progress: Progress,  # noqa: ARG001 -- as every work has it
) -> None:
    """Tell the library's own app whom to forget."""
    app_erasures.tell_app(runtime.sessions, runtime.settings, at=at)


WORK: dict[str, Work] = {
    "alert": choose_alerts,
    "bounces": take_in_bounces,
    canary.JOB: let_canary_out,
    app_erasures.JOB: tell_of_erasures,
}
