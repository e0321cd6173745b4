"""`hamkhan worker`: apart from the pages, so that it loads no Flask."""

import click

from api.commands.options import pass_runtime
from api.working import listening
from api.working.bell import QUEUES
from library.runtime import Runtime


@click.command()
@click.option(
    "--queue",
    "queues",
    multiple=True,
    type=click.Choice(QUEUES),
    help="Only this kind of work; repeat for more. Default: all.",
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="How much is done at once.",
)
@pass_runtime
def worker(runtime: Runtime, *, queues: tuple[str, ...], processes: int) -> None:
    """Do the work and keep the schedule; as many workers as you like."""
    listening.work(runtime, queues=queues or QUEUES, processes=processes)
