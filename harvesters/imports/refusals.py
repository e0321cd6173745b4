"""The rows an import refused, given back as a table with line, field and cause."""

import csv
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TextIO

from harvesters.formats.tabular import is_formula
from harvesters.records import Rejected


class Refusals:
    """Counts refused rows and writes them; the file comes with the first of them."""

    def __init__(self, path: Path | None, header: Sequence[str] = ()) -> None:
        self.path = path
        self.count = 0
        self.header = tuple(header)
        self._file: TextIO | None = None

    def __enter__(self) -> "Refusals":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, refused: Rejected) -> None:
        """Write one refused row; its cause may begin with the field at fault."""
        self.count += 1
        if self.path is None:
            return
        field, colon, why = refused.why.partition(": ")
        named = bool(colon) and " " not in field
        cells = (refused.raw or "").split("\x1f")
        csv.writer(self._open()).writerow(
            [
                refused.place.removeprefix("line "),
                field if named else "",
                why if named else refused.why,
                *map(_harmless, cells),
            ]
        )

    def _open(self) -> TextIO:
        if self._file is None and self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", encoding="utf-8", newline="")
            csv.writer(self._file).writerow(["line", "field", "reason", *self.header])
        if self._file is None:
            raise RuntimeError("opened without a path")
        return self._file

    @property
    def written(self) -> Path | None:
        """The file, if there was anything to write."""
        return self.path if self._file is not None else None


def _harmless(cell: str) -> str:
    """Keep a spreadsheet from running a cell, and bad bytes from ending the report."""
    shown = cell.encode("utf-8", "backslashreplace").decode()
    return f"'{shown}" if is_formula(shown) else shown
