"""The process's settings and sessions: the only reader of the environment."""

import os
import secrets
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from library.db import Sessions, make_engine, make_sessions
from library.settings import Settings, misspelt


@dataclass(frozen=True)
class Runtime:
    """What a process needs of its surroundings."""

    settings: Settings
    sessions: Sessions


@cache
def runtime() -> Runtime:
    """Return this process's runtime, made at the first call."""
    return start(told_settings())


def told_settings() -> Settings:
    """Return what the environment says, for what needs neither database nor secret."""
    return Settings.from_env(os.environ)  # noqa: TID251 -- the one place that reads it


def told_amiss() -> dict[str, str]:
    """Return variables that nearly are settings and are read by nobody."""
    return misspelt(os.environ)  # noqa: TID251 -- the one place that reads it


def start(settings: Settings) -> Runtime:
    """Make a runtime from `settings`, with a secret in it.

    The secret is made at the first start and kept in the home folder, readable by its
    owner alone.
    """
    settings = replace(settings, secret=settings.secret or _kept_secret(settings.home))
    return Runtime(settings, make_sessions(make_engine(settings.database)))


def _kept_secret(home: Path) -> str:
    path = home / "secret"
    home.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secret := secrets.token_urlsafe(32))
    return secret
