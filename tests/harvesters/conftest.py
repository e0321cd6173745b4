"""Every test here runs under the guard: no packet leaves the machine."""

import socket
from collections.abc import Iterator

import pytest

from tests.harvesters import loopback
from tests.harvesters.loopback import Guard, Site


@pytest.fixture(autouse=True)
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    watching = Guard()

    def connect(connection: socket.socket, address: object) -> None:
        watching.connect(connection, address)

    def connect_ex(connection: socket.socket, address: object) -> int:
        watching.connect(connection, address)
        return 0

    def sendto(connection: socket.socket, data: bytes, *where: object) -> int:
        watching.check(where[-1])
        raise OSError("no test sends datagrams")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
    monkeypatch.setattr(socket.socket, "sendto", sendto)
    monkeypatch.setattr(socket, "getaddrinfo", watching.getaddrinfo)
    yield watching
    assert watching.tripped == []


@pytest.fixture
def site() -> Iterator[Site]:
    with loopback.site() as served:
        yield served
