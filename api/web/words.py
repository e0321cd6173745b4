"""Words that patrons' and librarians' pages share."""

from typing import Final

from library.i18n.messages import _
from library.vocabulary import Channel, DeliveryState
from notifier.canary import Standstill
from profiles.causes import Cause
from profiles.contacts import Trouble

ALERTS, SAVED = "alerts", "saved"
SHELVES: Final = {
    ALERTS: _("New for you"),
    "for_you": _("For you"),
    "new": _("New in your branch"),
    "popular": _("Popular in your branch"),
    SAVED: _("Saved"),
}
SHELF_NOTES: Final = {
    ALERTS: _("What came in and suits you, newest first."),
    "for_you": _("From all the library has."),
    "new": _("Whatever your taste."),
    "popular": _("What others borrow most."),
    SAVED: _("You wanted to keep these in sight."),
}
STATES: Final = {
    DeliveryState.PENDING: _("waiting"),
    DeliveryState.SENDING: _("on its way"),
    DeliveryState.SENT: _("sent"),
    DeliveryState.WITHHELD: _("not sent"),
    DeliveryState.ABANDONED: _("could not be delivered"),
}

STANDSTILLS: Final = {
    Standstill.SCHEDULE: _("No worker has done its turns for 15 minutes."),
    Standstill.ALERTS: _("No messages have been made for 15 minutes."),
    Standstill.MAIL: _("The mail server could not be reached for 15 minutes."),
}
CHANNELS: Final = {
    Channel.EMAIL: _("e-mail"),
    Channel.PAGE: _("page"),
    Channel.FEED: _("feed"),
    Channel.PUSH: _("device"),
    Channel.WEBHOOK: _("app"),
}
TROUBLES: Final = {
    Trouble.HARD: _("there is no such address"),
    Trouble.SOFT: _("messages came back again and again"),
    Trouble.COMPLAINT: _("the reader called a message spam"),
    Trouble.GONE: _("given up"),
    None: _("the mail server refused it"),
}
"""Why an address was stopped."""
CAUSES: Final = {
    Cause.CONSENT: _("not agreed to"),
    Cause.INACTIVE: _("membership is over"),
    Cause.OFF: _("messages are switched off"),
    Cause.NO_ADDRESS: _("no address"),
    Cause.UNCONFIRMED: _("address not confirmed"),
    Cause.STOPPED: _("address stopped after returned mail"),
    Cause.TEST: _("test installation"),
    Cause.PAUSE: _("pause"),
    Cause.QUIET: _("quiet hours"),
    Cause.CAP: _("enough messages this week"),
    Cause.BOUNCED: _("mail came back, tried again later"),
    Cause.EXPIRED: _("too late to be of use"),
    Cause.NOTHING_LEFT: _("nothing left to tell"),
    Cause.CANCELLED: _("cancelled"),
    Cause.GONE: _("patron is gone"),
}
