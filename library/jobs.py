"""Progress of long work, as the code that does the work sees it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from library.runtime import Runtime

Progress = Callable[[int, int | None], None]
"""Called with how much is done and, where it is known, of how much."""


def no_progress(done: int, total: int | None) -> None:
    """Tell nobody."""


class Work(Protocol):
    """One kind of long work, as a stage's `tasks` offers it to the worker.

    It must be safe to run twice, also at once: a worker may die at any moment, and
    another then does it again.
    """

    def __call__(
        self,
        runtime: Runtime,
        parameters: Mapping[str, Any],
        *,
        at: datetime,
        progress: Progress,
    ) -> object:
        """Do it; what comes back is the report, a dataclass or a list of them."""
        ...
