"""Brokers for the tests of the worker."""

from collections.abc import Iterator

import pytest

from tests import brokers


@pytest.fixture(scope="session")
def redis_broker() -> Iterator[str]:
    if not brokers.redis_answers():
        _do_without("Redis")
    with brokers.redis_database() as url:
        yield url


@pytest.fixture(scope="session")
def rabbitmq_broker() -> Iterator[str]:
    if not brokers.rabbitmq_answers():
        _do_without("RabbitMQ")
    with brokers.rabbitmq_vhost() as url:
        yield url


def _do_without(what: str) -> None:
    if brokers.SERVICES_REQUIRED:
        pytest.fail(f"HAMKHAN_REQUIRE_SERVICES=1, and no {what} server answers")
    pytest.skip(f"no {what} server answers")
