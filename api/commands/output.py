"""How commands say what they did: words for people, JSON for programs, a bar."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click

from api.plain import plain
from library.jobs import Progress

PATIENCE = 2.0
"""Seconds before a bar appears; what ends sooner needs none."""


def say_json(value: object) -> None:
    """Print one JSON value."""
    click.echo(json.dumps(plain(value), ensure_ascii=False, indent=2))


def say(value: object, words: str | Callable[[], str], *, as_json: bool) -> None:
    """Print a report, as JSON or in words."""
    if as_json:
        say_json(value)
    else:
        click.echo(words if isinstance(words, str) else words())


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lay rows out in columns under a head; nothing but the head for no rows."""
    cells = [list(head)] + [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            text.ljust(width) for text, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    )


@contextmanager
def bar(label: str) -> Iterator[Progress]:
    """Show how far a long job is, on a terminal and after two seconds; else nothing."""
    if not sys.stderr.isatty():
        yield _silent
        return
    shown = _Bar(label)
    try:
        yield shown
    finally:
        shown.finish()


class _Bar:
    def __init__(self, label: str) -> None:
        self._label = label
        self._begun = time.monotonic()
        self._bar: Any = None  # click's type of it is private
        self._total: int | None = None

    def __call__(self, done: int, total: int | None) -> None:
        if self._bar is not None and total == self._total:
            self._bar.update(done - self._bar.pos)
        elif time.monotonic() - self._begun > PATIENCE:
            self._start(done, total)

    def finish(self) -> None:
        if self._bar is not None:
            self._bar.render_finish()

    def _start(self, done: int, total: int | None) -> None:
        self.finish()
        self._total = total
        self._bar = click.progressbar(
            length=total or 0,
            label=self._label,
            file=sys.stderr,
            show_pos=True,
            show_eta=total is not None,
            show_percent=total is not None,
        )
        self._bar.update(done)


def _silent(done: int, total: int | None) -> None:
    pass


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return str(plain(value))
