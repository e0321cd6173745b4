"""Matching a million patrons with a thousand works, against the bare matrix product.

Both sides multiply the same blocks of the same synthetic factors; ours then applies
floors, what is out of the question, and keeps each patron's best, with the very
function that matching uses. The two take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import resource
import time

import numpy as np

from bench.measuring import FULL, Result, megabytes
from recommender.arrays import FloatArray
from recommender.matching import LONGEST, STRETCH
from recommender.metrics import BoolArray
from recommender.parts.roster import DIMENSIONS
from recommender.ranking import FURTHER
from recommender.selection import best_above

SIZES = (10_000, 100_000, 1_000_000) if FULL else (10_000, 100_000)
WORKS = 1_000


def run() -> list[Result]:
    return [
        _matched(patrons, dimension) for dimension in DIMENSIONS for patrons in SIZES
    ]


def _matched(patrons: int, dimension: int) -> Result:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((patrons, dimension), np.float32)
    works = np.ascontiguousarray(rng.standard_normal((WORKS, dimension), np.float32).T)
    borrowed = rng.random((STRETCH, WORKS)) < 0.01
    scores = np.empty((STRETCH, WORKS), np.float32)
    bare = ours = bare_work = our_work = 0.0
    kept = 0
    for at in range(0, patrons, STRETCH):
        block = vectors[at : at + STRETCH]
        out = scores[: len(block)]
        began, worked = time.perf_counter(), time.process_time()
        np.matmul(block, works, out=out)
        middle, half = time.perf_counter(), time.process_time()
        kept += _ours(block, works, out, borrowed)
        bare, bare_work = bare + middle - began, bare_work + half - worked
        ours += time.perf_counter() - middle
        our_work += time.process_time() - half
    return Result(
        f"matching {patrons:,} patrons x {WORKS:,} works in {dimension} dimensions",
        {
            "seconds": round(ours, 2),
            "bare seconds": round(bare, 2),
            "ratio": round(ours / bare, 2),
            "ratio of processor time": round(our_work / bare_work, 2),
            "peak MB": megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss),
            "kept": kept,
        },
    )


def _ours(
    block: FloatArray,
    works: FloatArray,
    out: FloatArray,
    borrowed: BoolArray,
) -> int:
    np.matmul(block, works, out=out)
    spread = block.shape[1] ** 0.5  # of such scores: the floor is one deviation
    floors = np.full(len(block), spread, np.float32)
    return int(
        (
            best_above(out, floors, LONGEST * FURTHER, nos=borrowed[: len(block)]) >= 0
        ).sum()
    )
