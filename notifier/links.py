"""Signed links in messages: who holds one may do that one thing, until it expires.

A token names rows and no person. Each purpose has its own key, so a token at another
door is refused. `HAMKHAN_SECRET` may hold several secrets parted by spaces: the first
signs, all are believed, so that it can be changed without breaking mail that is out.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from itsdangerous.signer import SigningAlgorithm

from library.clock import utc_now
from library.errors import NotAllowed
from library.settings import Settings
from library.vocabulary import Channel, Purpose, Verdict

VERDICT_LIFE = timedelta(days=180)
LEAVE_LIFE = timedelta(days=400)
CONFIRM_LIFE = timedelta(days=3)
UNDO_LIFE = timedelta(days=1)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PART = "~"  # stands as it is in an address, and in none of our words


@dataclass(frozen=True)
class VerdictLink:
    """What a verdict link says."""

    alert_id: int
    verdict: Verdict


@dataclass(frozen=True)
class LessLink:
    """What a link to less of something says: of which alert, which of its reasons."""

    alert_id: int
    place: int
    """From 0, as the alert keeps them."""


@dataclass(frozen=True)
class LeaveLink:
    """What a link to fewer messages says: of which delivery, and what to stop."""

    delivery_id: int
    scope: str
    """A message purpose, "all", or "interest:<id>"."""


def verdict_token(
    secret: str, alert_id: int, verdict: Verdict, *, at: datetime | None = None
) -> str:
    """Sign a verdict on one alert; it holds for `VERDICT_LIFE` from `at`, or now."""
    return _sign(secret, "verdict", [alert_id, verdict.value], VERDICT_LIFE, at)


def read_verdict(secret: str, token: str, *, at: datetime | None = None) -> VerdictLink:
    """Read a verdict link.

    Raises:
        NotAllowed: It was altered, is not one of ours, or is too old.
    """
    alert_id, verdict = _read(secret, "verdict", token, 2, at)
    return VerdictLink(int(alert_id), Verdict(verdict))


def less_token(
    secret: str, alert_id: int, place: int, *, at: datetime | None = None
) -> str:
    """Sign a link to less of what one reason of an alert names."""
    return _sign(secret, "less", [alert_id, place], VERDICT_LIFE, at)


def read_less(secret: str, token: str, *, at: datetime | None = None) -> LessLink:
    """Read a link to less of what a reason names.

    Raises:
        NotAllowed: It was altered, is not one of ours, or is too old.
    """
    alert_id, place = _read(secret, "less", token, 2, at)
    return LessLink(int(alert_id), int(place))


def leave_token(
    secret: str, delivery_id: int, scope: str, *, at: datetime | None = None
) -> str:
    """Sign a link by which the reader of one delivery gets fewer messages."""
    return _sign(secret, "leave", [delivery_id, scope], LEAVE_LIFE, at)


def read_leave(secret: str, token: str, *, at: datetime | None = None) -> LeaveLink:
    """Read a link to fewer messages.

    Raises:
        NotAllowed: It was altered, is not one of ours, or is too old.
    """
    delivery_id, scope = _read(secret, "leave", token, 2, at)
    return LeaveLink(int(delivery_id), str(scope))


def undo_token(
    secret: str, delivery_id: int, before: str, *, at: datetime | None = None
) -> str:
    """Sign how it was before a choice of this delivery's reader, to put it back."""
    return _sign(secret, "undo", [delivery_id, before], UNDO_LIFE, at)


def read_undo(
    secret: str, token: str, delivery_id: int, *, at: datetime | None = None
) -> str:
    """Return how it was before.

    Raises:
        NotAllowed: It was altered, is of another delivery, or is too old.
    """
    signed_for, before = _read(secret, "undo", token, 2, at)
    if int(signed_for) != delivery_id:
        raise NotAllowed("this is of another message")
    return before


def confirm_token(
    secret: str, contact_point_id: int, *, at: datetime | None = None
) -> str:
    """Sign the link by which a patron confirms an address."""
    return _sign(secret, "confirm", [contact_point_id], CONFIRM_LIFE, at)


def read_confirm(secret: str, token: str, *, at: datetime | None = None) -> int:
    """Return the contact point a link confirms.

    Raises:
        NotAllowed: It was altered, is not one of ours, or is too old.
    """
    (contact_point_id,) = _read(secret, "confirm", token, 1, at)
    return int(contact_point_id)


def bounce_token(secret: str, delivery_id: int, *, at: datetime | None = None) -> str:
    """Sign the return address of one delivery, in small letters and digits.

    Servers on the way may write an address all in small letters.
    """
    words = f"{delivery_id}-{((at or utc_now()) + LEAVE_LIFE - _EPOCH).days}"
    return f"{words}-{_tag(_keys(secret)[-1], words)}"


def read_bounce(secret: str, token: str, *, at: datetime | None = None) -> int:
    """Return the delivery that came back to a return address of ours.

    Raises:
        NotAllowed: It was altered, is not one of ours, or is too old.
    """
    words, _, tag = token.lower().rpartition("-")
    believed = any(
        hmac.compare_digest(tag.encode(), _tag(key, words).encode())
        for key in _keys(secret)
    )
    if not believed:
        raise NotAllowed("this return address is not one of ours")
    delivery_id, _, last_day = words.partition("-")
    if ((at or utc_now()) - _EPOCH).days > int(last_day):
        raise NotAllowed("this return address is too old")
    return int(delivery_id)


def return_address(
    settings: Settings, delivery_id: int, *, at: datetime | None = None
) -> str:
    """Return where a mail server sends back this delivery's message."""
    local, _, domain = settings.bounce_address.rpartition("@")
    if not local:
        return settings.contact
    return f"{local}+{bounce_token(settings.secret, delivery_id, at=at)}@{domain}"


def verdict_url(
    settings: Settings, alert_id: int, verdict: Verdict, *, at: datetime | None = None
) -> str:
    """Return the address of the page on which the verdict can be given."""
    token = verdict_token(settings.secret, alert_id, verdict, at=at)
    return f"{settings.base_url}/answer/{token}"


def less_url(
    settings: Settings, alert_id: int, place: int, *, at: datetime | None = None
) -> str:
    """Return the address of the page on which less of a reason can be had."""
    token = less_token(settings.secret, alert_id, place, at=at)
    return f"{settings.base_url}/less/{token}"


def confirm_url(
    settings: Settings, contact_point_id: int, *, at: datetime | None = None
) -> str:
    """Return the address of the page that confirms a contact point, by POST."""
    token = confirm_token(settings.secret, contact_point_id, at=at)
    return f"{settings.base_url}/confirm/{token}"


def leave_url(
    settings: Settings, delivery_id: int, scope: str, *, at: datetime | None = None
) -> str:
    """Return the address that offers fewer messages; a one-click POST acts at once."""
    return (
        f"{settings.base_url}/leave/"
        f"{leave_token(settings.secret, delivery_id, scope, at=at)}"
    )


def page_url(settings: Settings) -> str:
    """Return the address of the patron's own page."""
    return f"{settings.base_url}/me"


def alerts_url(settings: Settings) -> str:
    """Return the address of the page of all that the patron was told of."""
    return f"{settings.base_url}/me/alerts"


def interests_url(settings: Settings) -> str:
    """Return the address of the page of the patron's interests."""
    return f"{settings.base_url}/me/interests"


def preferences_url(settings: Settings) -> str:
    """Return the address of the page that says how to be told."""
    return f"{settings.base_url}/me/preferences"


def feed_url(settings: Settings, token: str) -> str:
    """Return the address of a private feed."""
    return f"{settings.base_url}/feed/{token}"


def message_id(
    settings: Settings, patron_id: int, purpose: Purpose, period: str, channel: Channel
) -> str:
    """Return the Message-ID of what a patron gets for a purpose, period and channel.

    The same again gives the same, so a second one cannot be stored, and one made again
    after a restore is the same message. The hash is keyed: it tells nothing of whom.
    """
    said = f"{patron_id}|{purpose}|{period}|{channel}"
    key = _keys(settings.secret)[-1].encode()
    digest = hmac.new(key, said.encode(), hashlib.sha256).hexdigest()[:40]
    return f"<{digest}@{settings.mail_domain}>"


def _sign(
    secret: str,
    purpose: str,
    said: list[int | str],
    life: timedelta,
    at: datetime | None,
) -> str:
    # In whole days, so that a message made again is the same to the last byte.
    last_day = ((at or utc_now()) + life - _EPOCH).days
    words = _PART.join(str(word) for word in (*said, last_day))
    return _signer(secret, purpose).sign(words).decode("ascii")


def _read(
    secret: str, purpose: str, token: str, count: int, at: datetime | None
) -> list[str]:
    try:
        words = _signer(secret, purpose).unsign(token).decode("ascii")
    except (BadSignature, UnicodeError) as error:
        raise NotAllowed("this link is not complete, or not one of ours") from error
    if not _as_we_write(token.rpartition(".")[2]):
        raise NotAllowed("this link is not one of ours")
    *said, last_day = words.split(_PART)
    if ((at or utc_now()) - _EPOCH).days > int(last_day) or len(said) != count:
        raise NotAllowed("this link is too old")
    return said


def _as_we_write(signature: str) -> bool:
    """Tell whether no bit is set that says nothing: its last letter has some."""
    return base64_encode(base64_decode(signature)).decode("ascii") == signature


class _Sha256(SigningAlgorithm):
    """HMAC in one call: a message has thirty links, and each is signed."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        """Return the signature, as itsdangerous asks for it."""
        return hmac.digest(key, value, "sha256")


@lru_cache(maxsize=64)
def _signer(secret: str, purpose: str) -> Signer:
    salt = f"hamkhan.{purpose}".encode()
    keys = [hmac.digest(key.encode(), salt, "sha256") for key in _keys(secret)]
    return Signer(keys, salt=salt, key_derivation="none", algorithm=_Sha256())


def _tag(key: str, words: str) -> str:
    said = f"hamkhan.bounce.{words}".encode()
    return hmac.digest(key.encode(), said, "sha256").hex()[:24]


def _keys(secret: str) -> list[str]:
    # itsdangerous signs with the last and believes all.
    return list(reversed(secret.split(" "))) if secret.strip() else [secret]
