"""Which network addresses a source may be read from: only those of the open internet.

`ipaddress` alone will not do: its `is_global` is true for addresses that carry a
private one inside, and the answer differs between releases of Python.
"""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

_REFUSED_4 = tuple(
    IPv4Network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4", "240.0.0.0/4")
)
# Their last 32 bits are the IPv4 address that is really reached.
_CARRIERS = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
_OPEN_6 = IPv6Network("2000::/3")
_REFUSED_6 = tuple(
    IPv6Network(text)
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


def is_open(address: str) -> bool:
    """Tell whether an address lies on the open internet; junk does not."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return _is_open_4(parsed)
    return _is_open_6(parsed)


def first_refused(addresses: Iterable[str]) -> str | None:
    """Return the first address that may not be connected to, None if all may."""
    return next((address for address in addresses if not is_open(address)), None)


def _is_open_4(address: IPv4Address) -> bool:
    return address.is_global and not any(address in net for net in _REFUSED_4)


def _is_open_6(address: IPv6Address) -> bool:
    if any(address in net for net in _CARRIERS):
        return _is_open_4(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _OPEN_6 and not any(address in net for net in _REFUSED_6)
