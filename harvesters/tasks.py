"""What the worker may ask of the harvesters."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from harvesters.harvesting import HarvestReport, harvest, harvest_due
from library.jobs import Progress, Work
from library.runtime import Runtime


def harvest_sources(
    runtime: Runtime,
    parameters: Mapping[str, Any],
    *,
    at: datetime,
    progress: Progress,
) -> list[HarvestReport]:
    """Harvest the source named by the parameter `source`, else those that are due."""
    code = parameters.get("source")
    if code is None:
        return harvest_due(runtime.sessions, runtime.settings, at=at)
    return [
        harvest(runtime.sessions, runtime.settings, str(code), at=at, progress=progress)
    ]


WORK: dict[str, Work] = {"harvest": harvest_sources}
