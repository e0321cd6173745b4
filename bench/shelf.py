"""One patron's shelves made fresh, and a whole matching run, through the database."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from sqlalchemy import insert

from bench.libraries import NOON, fill
from bench.measuring import FULL, Result
from library.db import make_engine, make_sessions, reading
from library.migrate import upgrade
from library.settings import Settings
from library.tables import Acquisition
from library.vocabulary import NewMeans
from recommender.matching import match
from recommender.shelves import fresh_shelves
from recommender.training import train

PATRONS = 1_000_000 if FULL else 2_000
WORKS = 10_000 if FULL else 2_000
ASKED = 300
NEW = 100


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        settings = replace(Settings(), home=home)
        engine = make_engine(settings.database)
        upgrade(engine)
        sessions = make_sessions(engine)
        fill(sessions, patrons=PATRONS, works=WORKS, loans=PATRONS * 10)
        began = time.perf_counter()
        train(sessions, settings, at=NOON)
        trained = time.perf_counter() - began
        with sessions.begin() as session:
            rows = [_acquisition(i) for i in range(1, NEW + 1)]
            session.execute(insert(Acquisition), rows)
        seconds = []
        for patron in np.random.default_rng(0).integers(1, PATRONS + 1, ASKED + 1):
            began = time.perf_counter()
            with reading(sessions) as session:
                fresh_shelves(session, settings, int(patron), at=NOON)
            seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
        report = match(sessions, settings, at=NOON)
        matched = time.perf_counter() - began
        engine.dispose()
    p50, p99 = np.quantile(seconds[1:], [0.5, 0.99]) * 1000
    return [
        Result(
            f"fresh shelves among {PATRONS:,} patrons",
            {"p50 ms": round(p50, 1), "p99 ms": round(p99, 1)},
        ),
        Result(
            f"training and matching {PATRONS:,} patrons x {NEW} works, with reasons",
            {
                "training s": round(trained, 1),
                "matching s": round(matched, 1),
                "matches": report.matched,
            },
        ),
    ]


def _acquisition(work_id: int) -> dict[str, object]:
    return {
        "work_id": work_id,
        "branch_id": 1,
        "eligible_at": NOON,
        "cause": NewMeans.FIRST_SEEN,
    }
