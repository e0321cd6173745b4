"""The fixed words that tables and pure modules share.

Each enum is stored by its value, so a value is never renamed without a migration.
"""

from enum import StrEnum


class SourceKind(StrEnum):
    """How a source is read."""

    FEED = "feed"
    OAI_PMH = "oai-pmh"
    MARC = "marc"
    CSV = "csv"
    KBART = "kbart"
    ONIX = "onix"
    KOHA = "koha"
    PUSH = "push"


class RegroupingKind(StrEnum):
    """What a librarian did to works."""

    JOIN = "join"
    SPLIT = "split"


class NewMeans(StrEnum):
    """What makes a work new here, as the library chooses per source."""

    ORDERED = "ordered"
    RECEIVED = "received"
    AVAILABLE = "available"
    FIRST_SEEN = "first_seen"


class ConsentPurpose(StrEnum):
    """What a patron may agree to, each alone; all are off at first."""

    HISTORY = "history"
    MODEL = "model"
    ALERTS = "alerts"
    TRACKING = "tracking"
    SURVEY = "survey"


class InterestKind(StrEnum):
    """What an interest names."""

    SUBJECT = "subject"
    CREATOR = "creator"
    SERIES = "series"
    KEYWORD = "keyword"


class InterestOrigin(StrEnum):
    """Who put an interest into a profile."""

    STATED = "stated"
    INFERRED = "inferred"
    STAFF = "staff"


class SuppressionKind(StrEnum):
    """What a patron never wants to be shown, or wants less of."""

    WORK = "work"
    CREATOR = "creator"
    SUBJECT = "subject"
    SERIES = "series"


class Verdict(StrEnum):
    """A patron's answer to a work."""

    WANTED = "wanted"
    READ_ALREADY = "read_already"
    NOT_FOR_ME = "not_for_me"


class Rhythm(StrEnum):
    """How often a patron wants a digest."""

    OFF = "off"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class Channel(StrEnum):
    """By what a message is carried."""

    EMAIL = "email"
    PAGE = "page"
    FEED = "feed"
    PUSH = "push"
    WEBHOOK = "webhook"


class Purpose(StrEnum):
    """What a message is for; the gate judges each differently."""

    DIGEST = "digest"
    SIGN_IN = "sign_in"
    CONFIRM = "confirm"
    AVAILABLE = "available"
    CAMPAIGN = "campaign"
    SURVEY = "survey"
    ENQUIRY = "enquiry"


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    WITHHELD = "withheld"
    ABANDONED = "abandoned"


class ReasonKind(StrEnum):
    """Why a work suits a patron."""

    LOAN = "loan"
    INTEREST = "interest"
    CREATOR = "creator"
    SERIES = "series"
    SUBJECT = "subject"
    NEIGHBOURS = "neighbours"
    POPULAR = "popular"
    LATEST = "latest"
    RULE = "rule"
    DIFFERENT = "different"
    """No reason but a mark: few borrow it, and it keeps the list varied."""


class RuleAction(StrEnum):
    """What a librarian's rule does to its target."""

    PIN = "pin"
    BOOST = "boost"
    BURY = "bury"
    EXCLUDE = "exclude"


class RuleTarget(StrEnum):
    """What a librarian's rule names."""

    WORK = "work"
    CREATOR = "creator"
    SUBJECT = "subject"
    SERIES = "series"


class ModelState(StrEnum):
    """Where a model version stands."""

    CANDIDATE = "candidate"
    CURRENT = "current"
    RETIRED = "retired"
    FAILED = "failed"


class StaffRole(StrEnum):
    """What a member of staff may do: curate, or run the installation too."""

    LIBRARIAN = "librarian"
    SYSTEMS = "systems"


class JobState(StrEnum):
    """Where a long job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


class SlotState(StrEnum):
    """Where one run of a scheduled job stands."""

    DUE = "due"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
