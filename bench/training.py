"""Training against a bare `implicit` fit on the same matrix, in turns."""

from __future__ import annotations

import time
from statistics import median

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from bench.measuring import FULL, Result
from recommender.arrays import Loans, WorksText, build_history
from recommender.parts import collaborative
from recommender.parts.roster import ALPHA, fit_parts, fit_texts
from recommender.tuning import fit_model

LOANS = 2_000_000 if FULL else 40_000
PATRONS, WORKS = LOANS // 20, 10_000 if FULL else 2_000
DIMENSION = 64
TURNS = 3


def run() -> list[Result]:
    loans, works = _library()
    today = int(loans.day.max()) + 1 if loans.day is not None else None
    history = build_history(loans, today=today)
    return [_factors(history.matrix()), _whole(loans, works, today)]


def _factors(matrix: csr_matrix) -> Result:
    bare, ours = [], []
    for turn in range(TURNS):
        began = time.perf_counter()
        with threadpool_limits(1, "blas"):
            AlternatingLeastSquares(
                factors=DIMENSION,
                regularization=0.01,
                alpha=ALPHA,
                iterations=collaborative.ROUNDS,
                random_state=turn,
                dtype=np.float32,
            ).fit(matrix, show_progress=False)
        middle = time.perf_counter()
        collaborative.fit(matrix, dimension=DIMENSION, seed=turn, alpha=ALPHA)
        bare.append(middle - began)
        ours.append(time.perf_counter() - middle)
    return Result(
        f"the ALS part on {matrix.nnz:,} loans",
        {
            "seconds": round(median(ours), 2),
            "bare seconds": round(median(bare), 2),
            "ratio": round(median(ours) / median(bare), 2),
        },
    )


def _whole(loans: Loans, works: WorksText, today: int | None) -> Result:
    began = time.perf_counter()
    history = build_history(loans, today=today)
    fit_parts(history, works, fit_texts(works, seed=0), seed=0)
    once = time.perf_counter() - began
    began = time.perf_counter()
    fit_model(loans, works, today=today, seed=0)
    tuned = time.perf_counter() - began
    return Result(
        f"all parts and the blend on {len(loans.row):,} loans",
        {
            "seconds of every part once": round(once, 2),
            "with tuning": round(tuned, 2),
            "ratio": round(tuned / once, 2),
        },
    )


def _library() -> tuple[Loans, WorksText]:
    rng = np.random.default_rng(0)
    row = rng.integers(0, PATRONS, LOANS)
    liked = (row % 50 + 50 * rng.integers(0, WORKS // 50, LOANS)) % WORKS
    column = np.where(rng.random(LOANS) < 0.7, liked, rng.integers(0, WORKS, LOANS))
    day = rng.integers(739_000, 740_400, LOANS)
    texts = WorksText(
        title=[f"Work {i} of subject {i % 50}" for i in range(WORKS)],
        subjects=[(f"Subject {i % 50}",) for i in range(WORKS)],
    )
    return Loans(PATRONS, WORKS, row, column, day), texts
