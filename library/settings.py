"""What an operator can set: one field here is one `HAMKHAN_*` variable.

`docs/settings.md` tells each in words, and a test holds it to this list.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from library.errors import InvalidInput
from library.setting_values import fault_of, slips

PREFIX = "HAMKHAN_"


@dataclass(frozen=True)
class Settings:
    """One installation's settings, read once when a process starts."""

    home: Path = field(default=Path("var"))
    """Folder of everything the service keeps: database, models, mail, secret."""
    database_url: str = ""
    """Empty: SQLite in `home`."""
    broker_url: str = ""
    """Empty: a broker inside the process, that needs no server."""
    smtp_url: str = ""
    """`smtp://[user:password@]host[:port]` (`smtps://` for TLS at once, `?starttls=1`);
    empty: mail is written as files into `home`/mail."""
    base_url: str = "http://127.0.0.1:8000"
    """How patrons' browsers reach the pages; it stands in every link sent."""
    secret: str = ""
    """Signs links; empty: made by `hamkhan init` and kept in `home`/secret."""
    library_name: str = "Hamkhan Library"
    library_name_fa: str = "کتابخانهٔ همخوان"
    contact: str = "library@localhost"
    """Told to the servers we harvest, and the sender of mail."""
    bounce_address: str = ""
    """Where servers return mail, told apart by a signed `+tag`; empty: to `contact`."""
    bounce_mailbox: str = ""
    """Where returned mail waits: `imaps://user:password@host/FOLDER`, or a folder."""
    dkim_key: str = ""
    """File with the private key that signs our mail; empty: it is not signed."""
    dkim_selector: str = ""
    """Under which name the public key is in the DNS."""
    domain_rate: int = 0
    """Messages a minute to one receiving domain; 0 leaves it open."""
    hourly_rate: int = 0
    """Mails an hour that our mail server takes from us; 0 leaves it open."""
    daily_brake: int = 0
    """Mails in 24 hours after which all mail waits for a look; 0: no brake."""
    language: str = "en"
    """Of pages before a patron has chosen: en or fa_IR."""
    zone: str = "UTC"
    """The library's time zone, an IANA name."""
    fetch_allow: tuple[str, ...] = ()
    """Private hosts a source may be read from, as host:port, with commas."""
    warn_webhook: str = ""
    """Where failing sources are told to, signed; empty: by mail alone."""
    app_url: str = ""
    """Where the library's own app gets digests, signed; empty: there is none."""
    deliver_only_to: tuple[str, ...] = ()
    """A test installation: addresses or @domains that may get mail; others get none."""
    floor: float = 1.0
    """The least score worth telling, where a branch sets none."""
    allowance: int = 20
    """Alerts per patron and week, where a branch sets none."""
    message_cap: int = 7
    """Messages per patron and week over alerts and campaigns."""
    digest_limit: int = 20
    """Works in one digest; the rest waits on the page."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings from `HAMKHAN_*` variables.

        Raises:
            InvalidInput: A variable has a value that cannot be used; `field` names it.
        """
        given: dict[str, Any] = {
            f.name: _read(f.name, f.default, env[PREFIX + f.name.upper()])
            for f in fields(cls)
            if PREFIX + f.name.upper() in env
        }
        for name, value in given.items():
            wanted = fault_of(name, value)
            if wanted:
                variable = PREFIX + name.upper()
                # Not the value: it may hold a password.
                raise InvalidInput(f"{variable}: wanted is {wanted}", field=variable)
        return cls(**given)

    @property
    def database(self) -> str:
        """The database's address, with the driver we use."""
        url = self.database_url or f"sqlite:///{self.home.absolute() / 'hamkhan.db'}"
        for plain in ("postgres://", "postgresql://"):
            if url.startswith(plain):
                return "postgresql+psycopg://" + url.removeprefix(plain)
        return url

    @property
    def models(self) -> Path:
        """Folder of the model files."""
        return self.home / "models"

    @property
    def mail(self) -> Path:
        """Folder into which mail is written where no SMTP server is set."""
        return self.home / "mail"

    @property
    def mail_domain(self) -> str:
        """The domain in our Message-IDs and List-Id."""
        return urlsplit(self.base_url).hostname or "localhost"


def misspelt(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that nearly are settings, each with the one meant."""
    # Without what all share, or all would look alike.
    given = [name.removeprefix(PREFIX) for name in env if name.startswith(PREFIX)]
    found = slips(given, [f.name.upper() for f in fields(Settings)])
    return {PREFIX + name: PREFIX + meant for name, meant in found.items()}


def _read(name: str, default: object, text: str) -> object:
    try:
        if isinstance(default, tuple):
            return tuple(part.strip() for part in text.split(",") if part.strip())
        if isinstance(default, Path):
            return Path(text)
        if isinstance(default, int | float):
            return type(default)(text)
    except ValueError as error:
        variable = PREFIX + name.upper()
        raise InvalidInput(
            f"{variable}: {text!r} is no number", field=variable
        ) from error
    return text.rstrip("/") if name == "base_url" else text
