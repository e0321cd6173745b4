import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from api.cli import ENTRIES, hamkhan
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
