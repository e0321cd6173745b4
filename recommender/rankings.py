"""Rankings as files, so that anyone can compute the metrics again."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from recommender.measure import Ranked
from recommender.metrics import NOBODY


def write_rankings(
    path: Path, ranked: Ranked, *, patrons: Sequence[str], works: Sequence[str]
) -> None:
    """Write patron_id, work_id, rank and score of the best works of each patron.

    Args:
        path: Of the CSV file; its folder is made.
        ranked: Of one scorer.
        patrons: The measured patrons' names, in the order of the rankings.
        works: The candidates' names, by place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(("patron_id", "work_id", "rank", "score"))
        for patron, places, scores in zip(
            patrons, ranked.places.tolist(), ranked.scores.tolist(), strict=True
        ):
            lines.writerows(
                (patron, works[place], rank, f"{score:.6g}")
                for rank, (place, score) in enumerate(
                    zip(places, scores, strict=True), start=1
                )
                if place != NOBODY
            )
