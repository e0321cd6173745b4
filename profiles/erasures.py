"""Who was erased, kept outside the database so that a restored dump forgets them again.

A list of keyed hashes beside the fence, in `HAMKHAN_HOME`: without the secret they are
nobody's, and who comes back as a new patron has another. The database keeps how far it
knows the list; one restored from a dump knows less of it than is there.
"""

import fcntl
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from library.remembering import remember
from library.settings import Settings
from library.tables import Patron, Setting

_LINE: Final = 65
"""Bytes of each line: a SHA-256 in hexadecimal. The first line names the list."""


class Erasures:
    """The list of one machine: the file `erased` in the folder of its fence."""

    def __init__(self, settings: Settings) -> None:
        self._path: Path = settings.home / "fence" / "erased"
        self._keys = settings.secret.split() or [settings.secret]

    def add(self, session: Session, patron_id: int, created_at: datetime) -> None:
        """List a patron, as the last step of the transaction that erases them.

        Where it still fails, the erasure is done when the list is next looked at: it
        was asked for.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        one = _hash(self._keys[0], patron_id, created_at)
        with self._locked() as file:
            lines = file.read().decode("ascii").split()
            if one not in lines[1:]:
                lines = [*(lines or [secrets.token_hex(32)]), one]
                file.seek(0, os.SEEK_END)
                new = lines if len(lines) == 2 else lines[-1:]
                file.write("".join(f"{line}\n" for line in new).encode("ascii"))
                file.flush()
                os.fsync(file.fileno())
        _note(session, lines)

    def is_known(self, session: Session) -> bool:
        """Tell whether this database knows of all that are listed; it costs little."""
        if not self._path.exists():
            return True
        with self._path.open("rb") as file:
            name = file.read(_LINE).decode("ascii").strip()
        listed = self._path.stat().st_size // _LINE - 1
        known = session.get(Setting, _known_as(name))
        return known is not None and int(known.value["listed"]) >= listed

    def there(self, session: Session) -> list[int]:
        """Return which patrons are listed and in the database all the same."""
        listed = set(self._path.read_text(encoding="ascii").split())
        rows = session.execute(
            select(Patron.id, Patron.created_at).execution_options(yield_per=5_000)
        )
        return [
            patron_id
            for patron_id, created_at in rows
            if any(_hash(key, patron_id, created_at) in listed for key in self._keys)
        ]

    def note(self, session: Session) -> None:
        """Keep in the database that it knows the whole list."""
        _note(session, self._path.read_text(encoding="ascii").split())

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        with self._path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            size = file.seek(0, os.SEEK_END)
            file.truncate(size - size % _LINE)  # a line that was cut off is none
            file.seek(0)
            yield file


def _note(session: Session, lines: list[str]) -> None:
    value = {"listed": len(lines) - 1}
    remember(session, _known_as(lines[0]), value)
    session.flush()


def _known_as(name: str) -> str:
    return f"erasures:{name[:16]}"


def _hash(key: str, patron_id: int, created_at: datetime) -> str:
    # A number may be given again, but not to somebody of the same moment.
    said = f"erased|{patron_id}|{created_at.astimezone(UTC).isoformat()}"
    return hmac.new(key.encode(), said.encode(), hashlib.sha256).hexdigest()
