"""One patron's shelves made fresh, and whole matching runs, as a library grows.

The model is trained while the library is small; what a patron's page then costs must
not depend on how many others there are, and a run must grow with them and no faster.
"""

from __future__ import annotations

import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from sqlalchemy import insert, update

from bench.libraries import NOON, enrol, fill
from bench.measuring import FULL, Result, megabytes
from library.db import Sessions, make_engine, make_sessions, reading
from library.migrate import upgrade
from library.settings import Settings
from library.tables import Acquisition
from library.vocabulary import NewMeans
from recommender.matching import match
from recommender.shelves import fresh_shelves
from recommender.training import train

WORKS = 5_000 if FULL else 1_000
TRAINED = 10_000 if FULL else 1_000
"""Patrons when the model is trained."""
SIZES = (10_000, 100_000, 1_000_000) if FULL else (1_000, 2_000)
EACH = 10
"""Loans of each patron."""
ASKED = 300
NEW = 100
MATCHED = 10_000
"""Patrons up to which a whole run with reasons is made: it takes milliseconds each."""


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(Settings(), home=Path(folder))
        engine = make_engine(settings.database)
        upgrade(engine)
        sessions = make_sessions(engine)
        fill(sessions, patrons=TRAINED, works=WORKS, loans=TRAINED * EACH)
        train(sessions, settings, at=NOON)
        with sessions.begin() as session:
            rows = [_acquisition(i) for i in range(1, NEW + 1)]
            session.execute(insert(Acquisition), rows)
        results = []
        patrons = TRAINED
        for size in SIZES:
            more = range(patrons + 1, size + 1)
            if more:
                enrol(sessions, more, works=WORKS, loans=len(more) * EACH)
            patrons = max(patrons, size)
            results.append(_shelf(sessions, settings, patrons))
            if patrons <= MATCHED:
                results.append(_match(sessions, settings, patrons))
        engine.dispose()
    return results


def _shelf(sessions: Sessions, settings: Settings, patrons: int) -> Result:
    seconds, work = [], []
    for patron in np.random.default_rng(0).integers(1, patrons + 1, ASKED + 1):
        began, worked = time.perf_counter(), time.process_time()
        with reading(sessions) as session:
            fresh_shelves(session, settings, int(patron), at=NOON)
        seconds.append(time.perf_counter() - began)
        work.append(time.process_time() - worked)
    p50, p99 = np.quantile(seconds[1:], [0.5, 0.99]) * 1000
    own = np.quantile(work[1:], 0.5) * 1000
    return Result(
        f"fresh shelves among {patrons:,} patrons",
        {
            "p50 ms": round(p50, 1),
            "p99 ms": round(p99, 1),
            "p50 ms of processor time": round(own, 1),
            "peak MB": megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss),
        },
    )


def _match(sessions: Sessions, settings: Settings, patrons: int) -> Result:
    with sessions.begin() as session:
        session.execute(update(Acquisition).values(matched_at=None))
    began, worked = time.perf_counter(), time.process_time()
    report = match(sessions, settings, at=NOON)
    seconds, work = time.perf_counter() - began, time.process_time() - worked
    return Result(
        f"matching {patrons:,} patrons x {NEW} works, read, told why and written",
        {
            "seconds": round(seconds, 1),
            "ms a patron": round(seconds / patrons * 1000, 2),
            "ms of processor time": round(work / patrons * 1000, 2),
            "matches": report.matched,
            "peak MB": megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss),
        },
    )


def _acquisition(work_id: int) -> dict[str, object]:
    return {
        "work_id": work_id,
        "branch_id": 1,
        "eligible_at": NOON,
        "cause": NewMeans.FIRST_SEEN,
    }
