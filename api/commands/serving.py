"""`hamkhan run` and `hamkhan web`."""

from collections.abc import Callable
from urllib.parse import urlsplit

import click

from api.commands.options import pass_runtime
from api.commands.setup import prepare
from api.working import serving
from library.runtime import Runtime

host_option = click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on."
)
port_option = click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port to listen on. Default: that of HAMKHAN_BASE_URL.",
)


@click.command()
@host_option
@port_option
@pass_runtime
def run(runtime: Runtime, *, host: str, port: int | None) -> None:
    """Do everything in one process: pages, harvests, matches, digests, mail."""
    prepare(runtime)
    port = port or port_of(runtime)
    serving.run(runtime, host=host, port=port, begun=_saying(runtime, host, port))


@click.command()
@host_option
@port_option
@pass_runtime
def web(runtime: Runtime, *, host: str, port: int | None) -> None:
    """Serve the pages and the API; a `hamkhan worker` must run beside."""
    port = port or port_of(runtime)
    serving.serve(runtime, host=host, port=port, begun=_saying(runtime, host, port))


def port_of(runtime: Runtime) -> int:
    """Return the port that the base URL names, else 8000."""
    return urlsplit(runtime.settings.base_url).port or 8000


def _saying(runtime: Runtime, host: str, port: int) -> Callable[[], None]:
    site = runtime.settings.base_url
    words = f"Serving {site}, listening on {host}:{port}; Ctrl-C ends."
    return lambda: click.echo(words)
