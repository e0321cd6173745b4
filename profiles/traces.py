"""What files of ours hold of a patron: mail kept as files, and reports of imports."""

import csv
from collections.abc import Collection
from email.parser import BytesHeaderParser
from pathlib import Path


def remove_mail(folder: Path, message_ids: Collection[str]) -> int:
    """Remove the messages with these ids from a folder; return how many there were."""
    files = folder.rglob("*.eml") if message_ids and folder.is_dir() else ()
    mine = [path for path in files if _message_id(path) in message_ids]
    for path in mine:
        path.unlink(missing_ok=True)
    return len(mine)


def remove_lines(folder: Path, names: Collection[str]) -> int:
    """Remove from the reports in a folder the lines with a cell that is one of these.

    Returns:
        How many lines there were.
    """
    files = sorted(folder.glob("*.csv")) if names and folder.is_dir() else ()
    return sum(_without(path, frozenset(names)) for path in files)


def _message_id(path: Path) -> str:
    with path.open("rb") as file:
        headers = BytesHeaderParser().parse(file)
    return str(headers["Message-ID"] or "").strip()


def _without(path: Path, names: frozenset[str]) -> int:
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    # A cell that could be a formula has an apostrophe before it.
    kept = [
        line for line in lines if names.isdisjoint(cell.lstrip("'") for cell in line)
    ]
    if len(kept) < len(lines):
        draft = path.with_suffix(".part")
        with draft.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(kept)
        draft.replace(path)
    return len(lines) - len(kept)
