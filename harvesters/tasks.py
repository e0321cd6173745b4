"""What the worker may ask of the harvesters."""

import shutil
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from harvesters.harvesting import HarvestReport, harvest, harvest_due
from harvesters.imports.frame import ImportReport
from harvesters.imports.lending import import_holds, import_loans
from harvesters.imports.people import import_patrons
from harvesters.imports.works import import_works
from library.jobs import Progress, Work
from library.runtime import Runtime
from library.settings import Settings
from library.vocabulary import ConsentPurpose


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


def put_aside(settings: Settings, file: Path) -> str:
    """Copy a file to where a worker finds it; return its name there.

    It is readable by its owner alone, and removed when it was taken in.
    """
    folder = settings.home / _IMPORTS
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{uuid.uuid4().hex}-{file.name}"
    shutil.copyfile(file, folder / name)
    (folder / name).chmod(0o600)
    return name


def import_file(
    runtime: Runtime,
    parameters: Mapping[str, Any],
    *,
    at: datetime,
    progress: Progress,
) -> ImportReport:
    """Take in a file that was put aside.

    Its parameters: `kind` (works, patrons, loans, holds), `file` (see `put_aside`),
    `system`, `branch`, and `options` of that kind.
    """
    kind, home = str(parameters["kind"]), runtime.settings.home
    path = home / _IMPORTS / Path(str(parameters["file"])).name
    if not path.exists():
        return ImportReport(kind)  # another worker took it in, and died telling so
    options = dict(parameters.get("options") or {})
    if "consents" in options:
        options["consents"] = tuple(map(ConsentPurpose, options["consents"]))
    try:
        return IMPORTS[kind](
            runtime.sessions,
            path,
            system=str(parameters["system"]),
            branch_code=str(parameters["branch"]),
            at=at,
            report_path=home / "reports" / f"{path.name}.refused.csv",
            progress=progress,
            **options,
        )
    finally:
        path.unlink(missing_ok=True)


_IMPORTS = "imports"
IMPORTS: dict[str, Callable[..., ImportReport]] = {
    "works": import_works,
    "patrons": import_patrons,
    "loans": import_loans,
    "holds": import_holds,
}
WORK: dict[str, Work] = {"harvest": harvest_sources, "import": import_file}
