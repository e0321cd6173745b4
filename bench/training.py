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
WHOLE = 200_000 if FULL else 20_000
"""Loans for all parts and the tuning of the blend."""
DIMENSION = 64
TURNS = 3
TODAY = 740_400


def run() -> list[Result]:
    loans, _ = _library(LOANS)
    return [
        _factors(build_history(loans, today=TODAY).matrix()),
        _whole(*_library(WHOLE)),
    ]


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


def _whole(loans: Loans, works: WorksText) -> Result:
    began = time.perf_counter()
    history = build_history(loans, today=TODAY)
    fit_parts(history, works, fit_texts(works, seed=0), seed=0)
    once = time.perf_counter() - began
    began = time.perf_counter()
    fit_model(loans, works, today=TODAY, seed=0)
    tuned = time.perf_counter() - began
    return Result(
        f"all parts and the blend on {len(loans.row):,} loans",
        {
            "seconds of every part once": round(once, 2),
            "with tuning": round(tuned, 2),
            "ratio": round(tuned / once, 2),
        },
    )


def _library(n_loans: int) -> tuple[Loans, WorksText]:
    n_patrons, n_works = n_loans // 20, max(n_loans // 200, 1000)
    rng = np.random.default_rng(0)
    row = rng.integers(0, n_patrons, n_loans)
    liked = (row % 50 + 50 * rng.integers(0, n_works // 50, n_loans)) % n_works
    column = np.where(
        rng.random(n_loans) < 0.7, liked, rng.integers(0, n_works, n_loans)
    )
    day = rng.integers(TODAY - 1400, TODAY, n_loans)
    texts = WorksText(
        title=[f"Work {i} of subject {i % 50}" for i in range(n_works)],
        subjects=[(f"Subject {i % 50}",) for i in range(n_works)],
    )
    return Loans(n_patrons, n_works, row, column, day), texts
