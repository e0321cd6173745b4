"""Posting to an address that somebody else named, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from library.clock import utc_now
from library.errors import DeliveryFailed, FetchFailed
from library.fetching.fetch import Fetcher, Limits, post
from notifier.channels.patience import require_time

LIMITS = Limits(size=64 * 1024, seconds=20.0)

_AWAY = frozenset({"dns", "refused", "tls", "timeout"})
_HALF_WAY = frozenset({"timeout", "encoding", "too_large"})
_BUSY = frozenset({408, 425, 429})


@dataclass(frozen=True)
class Meanings:
    """What a channel takes an answer for, by HTTP status.

    Any other 3xx and 4xx refuses this message for good; 5xx and too many requests pass.
    """

    gone: frozenset[int] = frozenset()
    """Nobody is there any more."""
    ours: frozenset[int] = frozenset()
    """It refuses us and not this message."""
    of_the_library: bool = False
    """The address is the library's own: what is wrong with it is ours."""


@dataclass
class Poster:
    """Posts messages one after another, through the guard of addresses.

    A host that was not reached is left alone until the channel is closed: one that
    hangs must not keep all messages to it, and those behind them, for its time-out.
    """

    fetcher: Fetcher
    meanings: Meanings
    _away: set[str] = field(default_factory=set)

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, before: datetime
    ) -> None:
        """Post one message.

        Args:
            url: Where; a redirect is not followed.
            body: As it goes.
            headers: More of them.
            before: Not after this moment.

        Raises:
            DeliveryFailed: It was not taken, or nobody knows whether it was.
        """
        host = urlsplit(url).netloc
        if host in self._away:
            raise DeliveryFailed(f"{host} was not reached just now")
        require_time(before)
        try:
            post(self.fetcher, url, body, headers=headers, at=utc_now(), limits=LIMITS)
        except FetchFailed as error:
            if error.cause in _AWAY:
                self._away.add(host)
            raise meaning(error, self.meanings) from error

    def close(self) -> None:
        """Forget which hosts were away."""
        self._away.clear()


def meaning(error: FetchFailed, meanings: Meanings) -> DeliveryFailed:
    """Return what a refusal means for the message. Pure."""
    status, said = error.status, str(error)
    if error.cause == "not_allowed":
        ours = meanings.of_the_library
        return DeliveryFailed(said, ours=ours, gone=not ours)
    if status is None:
        return DeliveryFailed(said, ambiguous=error.cause in _HALF_WAY)
    if status in meanings.gone:
        return DeliveryFailed(said, gone=True)
    if status in meanings.ours:
        return DeliveryFailed(said, ours=True, retry_after=error.retry_after)
    if status in _BUSY or status >= 500:
        return DeliveryFailed(said, retry_after=error.retry_after)
    return DeliveryFailed(said, permanent=True)
