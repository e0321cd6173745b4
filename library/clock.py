"""The only clock. Decisions take `at`; entry points ask here."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 -- this is the one place that asks
