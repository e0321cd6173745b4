"""Progress of long work, as the code that does the work sees it."""

from collections.abc import Callable

Progress = Callable[[int, int | None], None]
"""Called with how much is done and, where it is known, of how much."""


def no_progress(done: int, total: int | None) -> None:
    """Tell nobody."""
