import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.fetching.addresses import first_refused, is_open


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "93.184.216.34", "2001:4860:4860::8888", "::ffff:8.8.8.8"],
)
def test_the_open_internet_may_be_read(address: str) -> None:
    assert is_open(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 -- judged, not bound
        "192.0.0.8",
        "192.88.99.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
        "3fff::1",
        "fc00::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "not an address",
        "",
    ],
)
def test_everything_else_is_refused(address: str) -> None:
    assert not is_open(address)


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_judged_alike(address: object) -> None:
    assert is_open(f"::ffff:{address}") == is_open(str(address))


def test_one_bad_address_of_a_name_refuses_it() -> None:
    assert first_refused(["8.8.8.8", "10.0.0.1"]) == "10.0.0.1"
    assert first_refused(["8.8.8.8"]) is None
