"""Where warnings go: a mail server and a small web site, both on loopback."""

from collections.abc import Iterator

import pytest

from tests import loopback
from tests.loopback import Site
from tests.notifier.mail_server import MailServer


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running


@pytest.fixture
def site() -> Iterator[Site]:
    with loopback.site() as served:
        yield served
