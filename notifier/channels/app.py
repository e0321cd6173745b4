"""The library's own app: each digest as data, posted to one address, signed."""

from datetime import datetime

from library.clock import utc_now
from library.errors import DeliveryFailed
from library.fetching.fetch import Fetcher
from library.settings import Settings
from library.webhooks import Use, signed
from notifier.channels.posting import Meanings, Poster
from notifier.message import Message

MEANINGS = Meanings(
    gone=frozenset({410}),
    ours=frozenset({301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 415}),
    of_the_library=True,
)
"""410 says that this patron does not use the app any more."""


class AppChannel:
    """Posts messages to `HAMKHAN_APP_URL`."""

    def __init__(self, settings: Settings, fetcher: Fetcher) -> None:
        self._settings = settings
        self._poster = Poster(fetcher, MEANINGS)

    def open(self) -> None:
        """It is always ready: each exchange has a connection of its own."""

    def hand_over(self, message: Message, *, before: datetime) -> None:
        """Have one message taken.

        Raises:
            DeliveryFailed: It was not taken, or nobody knows whether it was.
        """
        if not self._settings.app_url:  # it was taken away since this was stored
            raise DeliveryFailed("HAMKHAN_APP_URL is not set", ours=True)
        body = message.data.encode()
        headers = signed(
            self._settings, Use.APP, call_id(message.message_id), body, at=utc_now()
        )
        self._poster.post(self._settings.app_url, body, headers, before=before)

    def answer(self) -> str:
        """Say that the app has it."""
        return "taken"

    def close(self) -> None:
        """Try the app again where it was away."""
        self._poster.close()


def call_id(message_id: str) -> str:
    """Return the `webhook-id` of a message: its own id, without what mail needs.

    The domain goes too: no point may stand in what is signed with points between.
    """
    return message_id.strip("<>").partition("@")[0]
