"""How we sign in at a source: kept sealed, sent to its own host alone."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from library.errors import InvalidInput, NotAllowed
from library.sealing import seal, unseal
from library.settings import Settings

SEALED = "sealed_login"
"""The setting of a source that holds the password."""
USER = "login"


@dataclass(frozen=True)
class Login:
    """A name and its password; or a client's id and secret."""

    user: str
    password: str


def sealed_login(settings: Settings, login: Login) -> dict[str, str]:
    """Return the settings of a source that keep a login.

    Raises:
        InvalidInput: The name cannot be sent.
    """
    if not login.user or ":" in login.user:
        raise InvalidInput("a login has a name, without a colon", field="user")
    return {USER: login.user, SEALED: seal(_key(settings), login.password)}


def login_of(settings: Settings, kept: Mapping[str, Any]) -> Login | None:
    """Return the login that a source's settings keep; None where there is none.

    Raises:
        NotAllowed: It was sealed with another secret, or is no seal at all.
    """
    if SEALED not in kept:
        return None
    try:
        password = unseal(_key(settings), str(kept[SEALED]))
    except ValueError as error:
        raise NotAllowed("the login of this source is not sealed rightly") from error
    return Login(str(kept.get(USER, "")), password)


def basic(login: Login) -> dict[str, str]:
    """Return the header of HTTP Basic (RFC 7617)."""
    pair = b64encode(f"{login.user}:{login.password}".encode()).decode("ascii")
    return {"Authorization": f"Basic {pair}"}


def _key(settings: Settings) -> str:
    return f"login of a source:{settings.secret}"
