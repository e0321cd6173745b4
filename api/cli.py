"""The `hamkhan` command: every job of the service, by hand.

A command is looked up by name and its module loaded only then, so that carrying
messages loads no scipy and asking for help loads nothing.
"""

import importlib
import logging
from typing import Any, NamedTuple

import click
from sqlalchemy.exc import OperationalError, ProgrammingError

from library.errors import ServiceError


class Entry(NamedTuple):
    """A command: where it is defined, and one line on what it does."""

    module: str
    attribute: str
    says: str


SECTIONS: dict[str, dict[str, Entry]] = {
    "Set up": {
        "init": Entry("setup", "init", "Make the folders, the database and a branch."),
        "doctor": Entry("doctor", "doctor", "Look whether all is well, or what to do."),
        "db": Entry("database", "db", "Bring the database up to date."),
        "branch": Entry(
            "branches", "branch", "What branches are called; their addresses."
        ),
        "staff": Entry("staff", "staff", "Librarians' accounts; another password."),
        "app-secret": Entry("setup", "app_secret", "How the app knows us."),
        "key": Entry("staff", "key", "Keys for other systems that call the API."),
    },
    "Bring in": {
        "import": Entry("imports", "import_", "Read works, patrons or loans."),
        "source": Entry("sources", "source", "Where new works come from."),
        "harvest": Entry("sources", "harvest", "Read what is new from the sources."),
    },
    "Recommend and tell": {
        "train": Entry("learning", "train", "Learn from the loans of who agreed."),
        "model": Entry("learning", "model", "The models made so far; go back to one."),
        "signals": Entry("learning", "signals", "What loans and verdicts weigh."),
        "outcomes": Entry("outcomes", "outcomes", "What was borrowed after showing."),
        "experiment": Entry("outcomes", "experiment", "Compare ways of matching."),
        "match": Entry("learning", "match", "Find the patrons whom new works suit."),
        "alert": Entry("telling", "alert", "Choose what to tell; make digests."),
        "preview": Entry("telling", "preview", "Look at a digest before it goes."),
        "deliver": Entry("telling", "deliver", "Send the messages that are due."),
        "ledger": Entry("telling", "ledger", "What was sent; what became of it."),
        "fence": Entry("telling", "fence", "Whether a restored database may send."),
        "bounces": Entry("telling", "bounces", "Take in mail that came back."),
    },
    "Patrons": {
        "patron": Entry("patrons", "patron", "Show, take out or erase a patron."),
        "signin-link": Entry("patrons", "signin_link", "Make a link to sign in by."),
    },
    "Run": {
        "run": Entry("serving", "run", "Web, worker and schedule in one process."),
        "web": Entry("serving", "web", "The pages and the API alone."),
        "worker": Entry("working", "worker", "The worker and the schedule alone."),
    },
    "Try out": {
        "demo": Entry("demo", "demo", "Do the whole job on a sample library."),
        "evaluate": Entry("evaluate", "evaluate", "Measure on real loans."),
    },
}

ENTRIES = {
    name: entry for section in SECTIONS.values() for name, entry in section.items()
}


class Hamkhan(click.Group):
    """The commands by section, each loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click passes it
        """Name all commands, in the order of use."""
        return list(ENTRIES)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 -- click passes it
        cmd_name: str,
    ) -> click.Command | None:
        """Load a command, or return None for a name there is not."""
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"api.commands.{entry.module}")
        command: click.Command = getattr(module, entry.attribute)
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 -- click passes it
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the commands by section."""
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, e.says) for name, e in section.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what is at fault outside comes out as one line."""
        try:
            return super().invoke(ctx)
        except ServiceError as error:
            raise click.ClickException(str(error)) from error
        except (OperationalError, ProgrammingError) as error:
            raise click.ClickException(_database_trouble(error)) from error
        except OSError as error:
            raise click.ClickException(_system_trouble(error)) from error


@click.group(cls=Hamkhan)
@click.version_option(package_name="hamkhan", prog_name="hamkhan")
@click.option("-v", "--verbose", is_flag=True, help="Say more of what is going on.")
def hamkhan(*, verbose: bool) -> None:
    """Tell each patron of the library about the new works that suit them.

    The way of a new work is: harvest, match, alert, deliver. `hamkhan run` does all of
    it by itself; each step can also be run by hand, as often as you like.
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


def main() -> None:
    """Run the command line."""
    hamkhan()


def _database_trouble(error: OperationalError | ProgrammingError) -> str:
    cause = str(error.orig).strip().splitlines()[0] if error.orig else "no answer"
    if "no such table" in cause or "does not exist" in cause:
        return "the database has no tables yet, or old ones: run `hamkhan init`"
    if "disk" in cause:  # SQLite's words for one that is full
        return f"database: {cause}. `hamkhan doctor` says how much room is left"
    return f"database: {cause}"


def _system_trouble(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"
