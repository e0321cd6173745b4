"""Reading loans from SQLite and PostgreSQL into the arrays training starts from.

The bare side is one plain cursor over the same rows.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

from bench.libraries import NOON, fill
from bench.measuring import FULL, Result, megabytes
from library.db import make_engine, make_sessions, reading
from library.migrate import upgrade
from recommender.catalogue import read_work_ids
from recommender.interactions import read_codes, read_signals

LOANS = 10_000_000 if FULL else 200_000
PATRONS, WORKS = LOANS // 10, 20_000
POSTGRESQL = os.environ.get(  # noqa: TID251 -- a bench is told by it where a server is
    "HAMKHAN_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
)


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        results = [_measured("SQLite", f"sqlite:///{Path(folder) / 'bench.db'}")]
    with _postgresql() as url:
        return results + ([_measured("PostgreSQL", url)] if url else [])


def _measured(kind: str, url: str) -> Result:
    engine = make_engine(url)
    upgrade(engine)
    sessions = make_sessions(engine)
    fill(sessions, patrons=PATRONS, works=WORKS, loans=LOANS)
    engine.dispose()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        bare = pool.apply(_plain_cursor, (url,))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        seconds, loans, peak, before = pool.apply(_into_arrays, (url,))
    return Result(
        f"reading {loans:,} loans from {kind}",
        {
            "rows/s": round(loans / seconds),
            "seconds": round(seconds, 2),
            "bare cursor seconds": round(bare, 2),
            "ratio": round(seconds / bare, 2),
            "peak MB": peak,
            "of it before": before,
        },
    )


def _into_arrays(url: str) -> tuple[float, int, int, int]:
    before = megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    sessions = make_sessions(make_engine(url))
    began = time.perf_counter()
    with reading(sessions) as session:
        codes, works = read_codes(session), read_work_ids(session)
        loans = read_signals(session, works, codes, at=NOON).loans
    seconds = time.perf_counter() - began
    peak = megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return seconds, len(loans.row), peak, before


def _plain_cursor(url: str) -> float:
    sessions = make_sessions(make_engine(url))
    began = time.perf_counter()
    with reading(sessions) as session:
        plain = text("SELECT patron_id, work_id, borrowed_at FROM loan")
        rows = session.connection().exec_driver_sql(plain.text)
        while rows.fetchmany(50_000):
            pass
    return time.perf_counter() - began


@contextmanager
def _postgresql() -> Iterator[str | None]:
    """Give a database of this run's own, or None where no server answers."""
    name = f"hamkhan_bench_{os.getpid()}"
    server = create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT")
    try:
        server.connect().close()
    except Exception:  # noqa: BLE001 -- whatever it is, there is no server to measure
        yield None
        return
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        url = make_url(POSTGRESQL).set(database=name)
        yield url.render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
