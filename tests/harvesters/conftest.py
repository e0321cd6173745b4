"""Every test here runs under the guard: no packet leaves the machine."""

from collections.abc import Iterator

import pytest

from tests import loopback
from tests.loopback import Guard, Site


@pytest.fixture(autouse=True)
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    with loopback.guarded(monkeypatch) as watching:
        yield watching


@pytest.fixture
def site() -> Iterator[Site]:
    with loopback.site() as served:
        yield served
