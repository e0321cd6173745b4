"""What the benches share: how large they run, and what they give back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

FULL = os.environ.get("SIZE", "full") == "full"  # noqa: TID251 -- a bench is told by it how large to run


@dataclass(frozen=True)
class Result:
    """One row of the report."""

    name: str
    figures: Mapping[str, float | str]


def megabytes(kilobytes: int) -> int:
    return kilobytes // 1024
