"""What the worker may ask of the notifier."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from library.jobs import Progress, Work
from library.runtime import Runtime
from notifier.alerting import AlertReport, make_alerts


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


WORK: dict[str, Work] = {"alert": choose_alerts}
