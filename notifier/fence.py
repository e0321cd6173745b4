"""The fence: what this machine sent, kept outside the database.

A database restored from a dump, or copied elsewhere, does not know what went out since.
The fence does: it keeps whose it is, how many deliveries were ever claimed, and the
Message-IDs of the last fourteen days. Where the two do not fit, nothing is sent until
somebody who runs the service has agreed; what the fence lists never goes again.
"""

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from errno import ENOSPC
from pathlib import Path
from threading import Lock

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from library.db import Sessions, reading
from library.remembering import remember
from library.tables import Delivery, LedgerEntry, Setting
from library.vocabulary import DeliveryState
from notifier.outbox import OPEN
from notifier.outcomes import Outcome

KEPT_FOR = timedelta(days=14)
SENT_BEFORE = "it went out before, says the fence"
_NAME = "installation"
_LINE = re.compile(r"([123]) (<[^\s\0<>]+>)\n?")


class Trace(StrEnum):
    """How far a message came, in the order in which it goes."""

    MARKED = "1"
    """It was about to leave, and if no more is written, it never did."""
    LEFT = "2"
    """It was being handed over: nobody knows, unless the database does."""
    TAKEN = "3"


@dataclass(frozen=True)
class Mark:
    """How far an installation has come: in the database, and on its fence."""

    installation: str
    claims: int
    agreed_at: str | None = None
    """When somebody last agreed that a restored database may send."""


class Fence:
    """The fence of one machine: the folder `fence` in its home."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "fence"
        self._list: tuple[date, int] | None = None
        """The day and the open file of what was taken last."""
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="fence")
        self._syncing: Future[None] | None = None
        self._writing = Lock()

    def trouble(self, sessions: Sessions, *, at: datetime) -> str | None:
        """Return why nothing may be sent; None when all fits.

        The first time, and on a database that never sent, both get the same mark.
        """
        with self._locked(), sessions.begin() as session:
            own, stored = self._read(), _stored(session)
            if stored is None:
                stored = Mark(secrets.token_hex(8), 0)
                _store(session, stored)
            if own is None and stored.claims == 0:
                self._write(stored)
                own = stored
            self._forget_old(at)
        return _trouble(own, stored)

    def looked_at(self, sessions: Sessions) -> str | None:
        """Return what `trouble` would, and change nothing."""
        with reading(sessions) as session:
            own, stored = self._read(), _stored(session)
        if stored is None or (own is None and stored.claims == 0):
            return None if own is None else _trouble(own, Mark("", 0))
        return _trouble(own, stored)

    def claimed(self, session: Session, count: int) -> Mark | None:
        """Count claims in the transaction that makes them; to be kept after it."""
        if not count:
            return None
        stored = _stored(session, lock=True)
        if stored is None:
            return None
        mark = Mark(stored.installation, stored.claims + count, stored.agreed_at)
        _store(session, mark)
        return mark

    def keep(self, mark: Mark | None) -> None:
        """Keep how far the claims have come, before anything of them is sent."""
        if mark is None:
            return
        with self._locked():
            own = self._read()
            if own is None or own.claims < mark.claims:
                self._write(mark)

    def marked(self, message_ids: Iterable[str], *, at: datetime) -> None:
        """Write that these are about to leave, one after another."""
        self._write_down(Trace.MARKED, message_ids, at)

    def leaving(self, message_id: str, *, at: datetime) -> None:
        """Write that a message is being handed over."""
        self._write_down(Trace.LEFT, [message_id], at)

    def sent(self, message_id: str, *, at: datetime) -> None:
        """Write that a message was taken: from here on a kill makes no copy of it."""
        self._write_down(Trace.TAKEN, [message_id], at)

    def sync(self) -> None:
        """Have what was written brought to the disk, for the case of a power cut.

        Beside other work: who has not come to an end takes what follows along.
        """
        if self._list is None or not (self._syncing is None or self._syncing.done()):
            return
        if self._syncing is not None:
            self._syncing.result()
        self._syncing = self._beside.submit(os.fdatasync, self._list[1])

    def close(self) -> None:
        """Let go of the list, when all of it is on the disk."""
        if self._list is not None:
            wait([self._syncing] if self._syncing else [])
            os.fdatasync(self._list[1])
            os.close(self._list[1])
        self._list = self._syncing = None

    def lists(self, message_ids: set[str]) -> set[str]:
        """Return which of these went out in the last fourteen days."""
        traces = self.traces(message_ids)
        return {one for one, trace in traces.items() if trace is Trace.TAKEN}

    def traces(
        self, message_ids: set[str] | None = None, *, since: date | None = None
    ) -> dict[str, Trace]:
        """Return how far messages came in the last fourteen days, or since a day.

        What a power cut left of a line, or put in its place, is passed over.

        Args:
            message_ids: Of these alone; of all if None.
            since: The first day to look at.
        """
        found: dict[str, Trace] = {}
        oldest = self._file(since) if since else None
        for path in self._files():
            if oldest is not None and path < oldest:
                continue
            with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
                for line in filter(None, map(_LINE.fullmatch, lines)):
                    trace, message_id = line.groups()
                    if message_ids is None or message_id in message_ids:
                        found[message_id] = max(
                            Trace(trace), found.get(message_id, Trace.MARKED)
                        )
        return found

    def _write_down(
        self, trace: Trace, message_ids: Iterable[str], at: datetime
    ) -> None:
        day = at.date()
        text = "".join(f"{trace} {message_id}\n" for message_id in message_ids)
        lines = text.encode()
        with self._writing:
            if self._list is None or self._list[0] != day:
                self.close()
                self._folder.mkdir(parents=True, exist_ok=True)
                self._list = day, _opened(self._file(day))
            # What one call appends stands together, whoever else appends.
            if os.write(self._list[1], lines) < len(lines):
                self.close()  # opened again, what follows begins a line
                raise OSError(ENOSPC, "no room to write down what is sent")

    def agree(self, sessions: Sessions, *, at: datetime) -> int:
        """Let a restored or copied database send; return how many had gone out.

        What the fence lists is settled as sent; what is too late is withheld when its
        turn comes, as always.
        """
        with self._locked(), sessions.begin() as session:
            own, stored = self._read(), _stored(session)
            claims = max(own.claims if own else 0, stored.claims if stored else 0)
            installation = stored.installation if stored else secrets.token_hex(8)
            mark = Mark(installation, claims, at.isoformat())
            _store(session, mark)
            self._write(mark)
            session.execute(delete(Setting).where(Setting.name.startswith("hold:")))
            return self._settle_listed(session, at)

    def _settle_listed(self, session: Session, at: datetime) -> int:
        waiting = {
            row.message_id: row
            for row in session.execute(
                select(
                    Delivery.id,
                    Delivery.patron_id,
                    Delivery.attempts,
                    Delivery.message_id,
                ).where(Delivery.state.in_(OPEN))
            )
        }
        gone = [waiting[one] for one in self.lists(set(waiting))]
        if not gone:
            return 0
        session.execute(
            update(Delivery)
            .where(Delivery.id.in_([row.id for row in gone]))
            .values(state=DeliveryState.SENT, worker=None, settled_at=at, data_at=at)
        )
        session.add_all(
            LedgerEntry(
                delivery_id=row.id,
                patron_id=row.patron_id,
                attempt=row.attempts,
                outcome=Outcome.SENT.value,
                reason=SENT_BEFORE,
                at=at,
            )
            for row in gone
        )
        return len(gone)

    def _read(self) -> Mark | None:
        try:
            return Mark(**json.loads(self._mark.read_text(encoding="ascii")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):  # cut off: as good as none
            return None

    def _write(self, mark: Mark) -> None:
        draft = self._mark.with_suffix(".part")
        draft.write_text(json.dumps(vars(mark)), encoding="ascii")
        draft.replace(self._mark)

    @property
    def _mark(self) -> Path:
        return self._folder / "mark"

    def _file(self, day: date) -> Path:
        return self._folder / f"sent-{day.isoformat()}"

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("sent-*"))

    def _forget_old(self, at: datetime) -> None:
        oldest = self._file((at - KEPT_FOR).date())
        for path in self._files():
            if path < oldest:
                path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _opened(path: Path) -> int:
    """Open a list to append to, on a line of its own whatever a power cut left."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        os.write(file, b"\n")
    return file


def agreed_lately(session: Session, *, at: datetime) -> bool:
    """Tell whether a restored database began to send so lately that its lists count."""
    stored = _stored(session)
    if stored is None or stored.agreed_at is None:
        return False
    return datetime.fromisoformat(stored.agreed_at) > at - KEPT_FOR


def _trouble(own: Mark | None, stored: Mark) -> str | None:
    if own is None:
        return "fence: this machine never sent for this database"
    if own.installation != stored.installation:
        return "fence: the database is of another installation"
    if own.claims > stored.claims:
        return "fence: more was sent than the database knows; was it restored?"
    return None


def _stored(session: Session, *, lock: bool = False) -> Mark | None:
    query = select(Setting.value).where(Setting.name == _NAME)
    value = session.scalar(query.with_for_update() if lock else query)
    return Mark(**value) if value else None


def _store(session: Session, mark: Mark) -> None:
    remember(session, _NAME, vars(mark))
