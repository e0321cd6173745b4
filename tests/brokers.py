"""Real brokers for the tests, each in a corner of this run's own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from kombu import Connection

from tests.databases import SERVICES_REQUIRED

REDIS = os.environ.get(  # noqa: TID251 -- tests are told by it where servers are
    "HAMKHAN_TEST_REDIS", "redis://127.0.0.1:6379"
)
RABBITMQ = os.environ.get(  # noqa: TID251 -- the same
    "HAMKHAN_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672"
)


def redis_answers() -> bool:
    """Tell whether a Redis server can be used."""
    try:
        with redis.Redis.from_url(REDIS) as server:
            return bool(server.ping())
    except redis.ConnectionError:
        return False


@contextmanager
def redis_database() -> Iterator[str]:
    """Find a database that nobody uses, and empty it at the end.

    A marker of our own in it keeps two runs at once apart.
    """
    for number in range(15, 0, -1):
        url = f"{REDIS}/{number}"
        with redis.Redis.from_url(url) as server:
            if server.dbsize() == 0 and server.set(
                "hamkhan-tests", os.getpid(), nx=True
            ):
                try:
                    yield url
                finally:
                    server.flushdb()
                return
    raise RuntimeError("every database of the Redis server is in use")


def rabbitmq_answers() -> bool:
    """Tell whether a RabbitMQ server can be used, and its vhosts be made."""
    if shutil.which("rabbitmqctl") is None:
        return False
    try:
        with Connection(RABBITMQ, connect_timeout=2) as connection:
            connection.connect()
    except OSError:
        return False
    return True


@contextmanager
def rabbitmq_vhost() -> Iterator[str]:
    """Make a vhost of this run's own, and delete it at the end."""
    name = f"hamkhan_test_{os.getpid()}"
    user = RABBITMQ.split("//")[1].split(":")[0]
    _rabbitmqctl("add_vhost", name)
    try:
        _rabbitmqctl("set_permissions", "-p", name, user, ".*", ".*", ".*")
        yield f"{RABBITMQ}/{name}"
    finally:
        _rabbitmqctl("delete_vhost", name)


def _rabbitmqctl(*arguments: str) -> None:
    command = Path(str(shutil.which("rabbitmqctl")))
    subprocess.run([command, "-q", *arguments], check=True, capture_output=True)  # noqa: S603 -- fixed words


__all__ = [
    "SERVICES_REQUIRED",
    "rabbitmq_answers",
    "rabbitmq_vhost",
    "redis_answers",
    "redis_database",
]
