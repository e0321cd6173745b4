"""A plugin of pytest that gathers what fault runs came to: `-p tests.faults.report`.

It writes `var/faults/report.json` and prints the same as a table for the docs. A run
tells its figures by `record_property`, before it judges them: what fails is told too.
"""

import json
import platform
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.faults.runs import FOLDER
from tests.faults.sizes import ASKED

COLUMNS = ("size", "events", "lost", "wrong", "copies")
"""How much was done, what was done to it, and what must be none or few."""


class _Report:
    """What the runs of one session came to."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in one run; a set-up or an end that failed is one too."""
        name = re.search(r"test_(fr\d+)", report.nodeid)
        if name and (report.when == "call" or not report.passed):
            self.rows.append(_row(name[1].upper(), report))

    def pytest_sessionfinish(self) -> None:
        """Write the report."""
        self.rows.sort(key=lambda row: (int(row["run"][2:]), row["test"]))
        FOLDER.mkdir(parents=True, exist_ok=True)
        report = {
            "asked": ASKED,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "runs": self.rows,
        }
        text = json.dumps(report, ensure_ascii=False, indent=1)
        (FOLDER / "report.json").write_text(text + "\n", encoding="utf-8")

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        """Print the table."""
        terminalreporter.section(f"fault runs, {ASKED}")
        for line in markdown(self.rows):
            terminalreporter.line(line)


def pytest_configure(config: pytest.Config) -> None:
    """Begin a report."""
    config.pluginmanager.register(_Report(), "hamkhan-fault-report")


def markdown(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table, one row a run."""
    heads = ("run", "what", "database", *COLUMNS, "seconds", "seed", "came of it")
    yield "| " + " | ".join(heads) + " |"
    yield "|---" * len(heads) + "|"
    for row in rows:
        yield "| " + " | ".join(str(row.get(head, "")) for head in heads) + " |"


def _row(run: str, report: pytest.TestReport) -> dict[str, Any]:
    figures = dict(report.user_properties)
    test = report.nodeid.rpartition("::")[2]
    words, _, cases = test.partition("[")
    ids = cases.rstrip("]").split("-") if cases else []
    database = next((one for one in ids if one in {"sqlite", "postgresql"}), "")
    rest = [one for one in ids if one != database]
    what = re.sub(r"^test_fr\d+_", "", words).replace("_", " ")
    return {
        "run": run,
        "test": test,
        "what": what + (f" ({', '.join(rest)})" if rest else ""),
        "database": database,
        **figures,
        "seconds": round(report.duration, 1),
        "came of it": report.outcome,
    }
