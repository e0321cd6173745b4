"""Fixtures of the fault runs; nothing is imported from here."""

from collections.abc import Callable, Iterator

import pytest

from tests.faults.runs import Run, keeping


@pytest.fixture
def run(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Iterator[Run]:
    """This test as a fault run."""
    with keeping(request.node.name, record_property) as run:
        yield run
