import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import event

from api.cli import ENTRIES, hamkhan
from api.commands.options import moment
from library.db import Sessions
from library.settings import Settings
from tests.command_line import ended

Run = Callable[..., Result]


def _commands(group: click.Group, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command and group, however deep, by the words that call it."""
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found.append((*words, name))
        if isinstance(command, click.Group):
            found += _commands(command, (*words, name))
    return found


ALL = _commands(hamkhan)


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(hamkhan, [*words, "--help"])

    assert result.exit_code == 0, result.output
    assert "Usage: " in result.output


@pytest.mark.parametrize("name", ENTRIES)
def test_the_list_of_commands_names_each_with_a_line(name: str) -> None:
    result = CliRunner().invoke(hamkhan, ["--help"])

    assert f"{name} " in result.output
    assert ENTRIES[name].says in result.output


@pytest.mark.parametrize(
    "words",
    [
        ("import", "works"),
        ("import", "patrons"),
        ("import", "loans"),
        ("import", "holds"),
        ("match",),
        ("harvest",),
    ],
    ids=" ".join,
)
def test_what_brings_rows_in_can_be_rehearsed(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(hamkhan, [*words, "--help"])

    assert "--dry-run" in result.output


def test_a_wrong_word_is_wrong_usage(run: Run) -> None:
    result = run("recommend")

    assert result.exit_code == 2
    assert "No such command" in result.stderr


def test_a_missing_file_is_one_line_and_no_trace(run: Run, tmp_path: Path) -> None:
    result = run("import", "loans", tmp_path / "loans.csv")

    assert result.exit_code == 1
    assert result.stderr == f"Error: {tmp_path}/loans.csv: there is no such file\n"


def test_an_impossible_moment_is_one_line(run: Run) -> None:
    result = run("alert", "--at", "1404-13-01")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: --at: '1404-13-01' is no day or moment")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-11-22", "2026-11-21T20:30"),
        ("1405-09-01", "2026-11-21T20:30"),
        ("۱۴۰۵/۹/۱", "2026-11-21T20:30"),
        ("1405-02-31T08:00", "2026-05-21T04:30"),
        ("2026-11-22 08:00", "2026-11-22T04:30"),
        ("2026-11-22T08:00Z", "2026-11-22T08:00"),
    ],
)
def test_a_moment_is_read_in_either_calendar(typed: str, meant: str) -> None:
    at = moment(Settings(zone="Asia/Tehran"), typed)

    assert at == datetime.fromisoformat(f"{meant}+00:00")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_disk_that_is_full_is_said_in_one_line(run: Run, sessions: Sessions) -> None:
    engine = sessions.kw["bind"]

    def let_it_grow_no_more(connection: Any, _: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    event.listen(engine, "connect", let_it_grow_no_more)
    engine.dispose()
    named = ("--name", "L" * 1_000_000)

    result = run("staff", "add", "a@b.test", "--password", "p" * 12, *named)

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: database: database or disk is full. "
        "`hamkhan doctor` says how much room is left\n"
    )


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said, error = ended(tmp_path, "web", "--port", place.partition(":")[2])

    assert code == 1
    assert said == ""
    assert error == f"Error: {place}: Address already in use; another: --port\n"


def test_a_port_that_there_is_not_is_wrong_usage(run: Run) -> None:
    assert run("web", "--port", "80000").exit_code == 2


def test_a_setting_that_is_no_number_is_one_line(tmp_path: Path) -> None:
    code, _, error = ended(tmp_path, "init", HAMKHAN_FLOOR="x")

    assert code == 1
    assert error == "Error: HAMKHAN_FLOOR: 'x' is no number\n"


def test_a_database_without_tables_says_what_to_run(tmp_path: Path) -> None:
    code, _, error = ended(tmp_path, "source", "list")

    assert code == 1
    assert "run `hamkhan init`" in error
    assert len(error.splitlines()) == 1


def test_delivering_loads_neither_scipy_nor_flask() -> None:
    ask = (
        "import sys, api.cli, api.commands.telling;"
        "print([m for m in ('scipy', 'flask', 'sklearn') if m in sys.modules])"
    )
    asked = subprocess.run(  # noqa: S603 -- our own code
        [sys.executable, "-c", ask], capture_output=True, text=True, check=True
    )

    assert asked.stdout == "[]\n"
