"""Words that patrons' and librarians' pages share."""

from typing import Final

from library.i18n.messages import _
from library.vocabulary import DeliveryState

STATES: Final = {
    DeliveryState.PENDING: _("waiting"),
    DeliveryState.SENDING: _("on its way"),
    DeliveryState.SENT: _("sent"),
    DeliveryState.WITHHELD: _("not sent"),
    DeliveryState.ABANDONED: _("could not be delivered"),
}
