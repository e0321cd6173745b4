"""How much of a fault run is done: a taste in the tests, more by `make faults`."""

import os

ASKED = os.environ.get("HAMKHAN_FAULTS", "taste")  # noqa: TID251 -- for this alone
SEED = int(os.environ.get("HAMKHAN_FAULTS_SEED", "1"))  # noqa: TID251 -- the same


def size(taste: int, short: int, full: int) -> int:
    """Return the size asked for: HAMKHAN_FAULTS=taste, short or full."""
    return {"taste": taste, "short": short, "full": full}[ASKED]
