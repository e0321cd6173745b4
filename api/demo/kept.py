"""A demo made before is shown again instead of being made anew."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from api.demo.job import MARK, DemoReport
from api.plain import plain

GOOD_FOR: Final = timedelta(hours=20)
"""Older, its "new" works would no longer be new."""


@dataclass(frozen=True)
class Asked:
    """What a demo was asked to be; another wish makes another demo."""

    folder: str
    seed: int
    base_url: str


@dataclass(frozen=True)
class KeptDemo:
    """A demo that stands, and the port from which its sources were read."""

    report: DemoReport
    site_port: int


def keep(report: DemoReport, asked: Asked, *, site_port: int, at: datetime) -> None:
    """Note beside a demo what it is."""
    noted = {
        "asked": asdict(asked),
        "made_at": at.isoformat(),
        "site_port": site_port,
        "report": plain(report),
    }
    (report.home / MARK).write_text(json.dumps(noted), encoding="utf-8")


def find_kept(home: Path, asked: Asked, *, at: datetime) -> KeptDemo | None:
    """Return the demo in this folder, if it was finished, lately, and is as asked."""
    noted = _noted(home / MARK)
    if noted.get("asked") != asdict(asked):
        return None
    if at - datetime.fromisoformat(noted["made_at"]) > GOOD_FOR:
        return None
    told = noted["report"]
    report = DemoReport(**{**told, "home": home, "mail": Path(told["mail"])})
    return KeptDemo(report, noted["site_port"])


def _noted(path: Path) -> dict[str, Any]:
    try:
        noted = json.loads(path.read_text(encoding="utf-8") or "{}")
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return noted if isinstance(noted, dict) else {}
