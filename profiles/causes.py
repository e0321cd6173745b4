"""Why a message is held back or never goes, in the words rows and reports share."""

from enum import StrEnum


class Cause(StrEnum):
    """Why not, or why not yet."""

    CONSENT = "no consent"
    INACTIVE = "membership is over"
    OFF = "digests are off"
    NO_ADDRESS = "no address"
    UNCONFIRMED = "address not confirmed"
    STOPPED = "address stopped"
    TEST = "test installation"
    PAUSE = "pause"
    QUIET = "quiet hours"
    CAP = "cap"
    BOUNCED = "soft bounce"
    RATE = "rate of the receiving domain"
    EXPIRED = "too late"
    NOTHING_LEFT = "nothing left to tell"
    CANCELLED = "cancelled"
    GONE = "patron is gone"
