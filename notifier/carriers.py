"""Which channels an installation has, and mail to its own staff by them."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from library.errors import DeliveryFailed
from library.fetching.fetch import Fetcher
from library.settings import Settings
from library.vocabulary import Channel
from notifier.channels import Channels, MessageChannel
from notifier.channels.app import AppChannel
from notifier.channels.email import EmailChannel, Timeouts, parse_server
from notifier.channels.file import FileChannel
from notifier.channels.page import PageChannel
from notifier.channels.push import PushChannel
from notifier.message import Message
from notifier.signing import signer_of

logger = logging.getLogger(__name__)

# Where no other worker can have it, there is no lease that could end.
_NO_END = datetime.max.replace(tzinfo=UTC)


def channels_for(settings: Settings) -> Channels:
    """Return the channels of an installation: mail as files where no server is set."""
    fetcher = Fetcher.of(settings)
    return {
        Channel.EMAIL: mail_channel(settings),
        Channel.PAGE: PageChannel(),
        Channel.FEED: PageChannel(),
        Channel.PUSH: PushChannel(settings, fetcher),
        Channel.WEBHOOK: AppChannel(settings, fetcher),
    }


def mail_channel(
    settings: Settings, *, patience: float | None = None
) -> MessageChannel:
    """Return what carries mail: to the server that is set, else into files.

    Args:
        settings: The installation's.
        patience: Seconds to wait for an answer, where that is not the usual.

    Raises:
        InvalidInput: The server's address or the key that signs is none.
    """
    if not settings.smtp_url:
        return FileChannel(settings.mail)
    server = parse_server(settings.smtp_url)
    timeouts = Timeouts(patience, patience, patience) if patience else None
    return EmailChannel(server, timeouts=timeouts, sign=signer_of(settings))


def carry_to_staff(settings: Settings, messages: Iterable[Message]) -> int:
    """Send mail about the service itself to librarians; return how many were taken.

    It is no patron's, so no gate is asked and no row kept. One that is refused stops no
    other.

    Raises:
        DeliveryFailed: None was taken.
    """
    mail = mail_channel(settings)
    sent, trouble = 0, None
    try:
        mail.open()
        for message in messages:
            try:
                mail.hand_over(message, before=_NO_END)
                mail.answer()
                sent += 1
            except DeliveryFailed as error:
                logger.warning("a letter to a librarian was not taken: %s", error)
                trouble = error
    finally:
        mail.close()
    if trouble is not None and not sent:
        raise trouble
    return sent
