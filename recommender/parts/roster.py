"""Which parts a library gets, and fitting and running them all.

A part here is one way to score with one reading of the history: the same links read
with two half-lives are two parts, and the blend chooses between them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, hstack

from recommender.arrays import FloatArray, History, IntArray, WorksText
from recommender.parts import (
    coldstart,
    collaborative,
    content,
    ease,
    latest,
    links,
    neighbours,
    popularity,
    semantics,
    successors,
)
from recommender.parts.coldstart import NEIGHBOURHOODS, Neighbourhood
from recommender.parts.collaborative import Factors
from recommender.parts.content import Content
from recommender.parts.links import Links
from recommender.parts.popularity import Popularity
from recommender.parts.semantics import Semantics
from recommender.parts.successors import Succession

Fitted = Factors | Links | Succession | Content | Semantics | Popularity | FloatArray
"""What a part learnt; a bare array is the works' arrival."""

ALPHA = 100.0
REGULARISATION = 100.0
"""Of ALS: on held-back loans better alone, and more beside EASE, than 10 and 0.01."""

DIMENSIONS = (64, 256)
FEWEST_FACTORS = 64
"""Above this, more factors than patrons to learn them from are not tried."""

POPULARITY_HALF_LIVES = (30.0, 90.0, 180.0, 365.0)
HISTORY_HALF_LIVES = (30.0, 180.0)
LATEST_LENT = "latest-lent"
"""Lent for the first time last, which need not be what arrived or appeared last."""


@dataclass(frozen=True)
class Part:
    """One way to score.

    Attributes:
        name: Such as "als-64@30": family, variant, half-life of the history in days.
        fitted: Arrays about works only.
        half_life: How the history is weighed by age; None for evenly.
        codes: Which code of the patron is read: "branch", "category" or "".
    """

    name: str
    fitted: Fitted
    half_life: float | None = None
    codes: str = ""

    @property
    def family(self) -> str:
        """The name without variant and half-life."""
        return self.name.split("@")[0].split("-")[0]


def score(  # noqa: PLR0911 -- one return per kind of fitted part
    part: Part, history: History, candidates: IntArray
) -> FloatArray:
    """Run one part, shape (patrons, candidates); nan where it knows nothing."""
    fitted, half_life = part.fitted, part.half_life
    match fitted:
        case Factors():
            return collaborative.score(fitted, history, candidates, half_life=half_life)
        case Links():
            return links.score(fitted, history, candidates, half_life=half_life)
        case Succession():
            return successors.score(fitted, history, candidates, half_life=half_life)
        case Content():
            return content.score(fitted, history, candidates, half_life=half_life)
        case Semantics():
            return semantics.score(fitted, history, candidates, half_life=half_life)
        case Popularity():
            codes = getattr(history, part.codes) if part.codes else None
            return popularity.score(fitted, len(history), candidates, codes=codes)
        case _:
            return latest.score(fitted, len(history), candidates)


@dataclass(frozen=True)
class Texts:
    """What is known of the works from their words, with or without loans.

    Attributes:
        fields: Vectors by field; a field nobody filled is left out.
        joint: All fields side by side, rows of length 1 or 0.
        semantics: The joint vectors in few dimensions.
        neighbourhood: What a work without loans leans on.
    """

    fields: Mapping[str, Content]
    joint: csr_matrix
    semantics: Semantics
    neighbourhood: Neighbourhood = NEIGHBOURHOODS[0]


def fit_texts(works: WorksText, *, seed: int) -> Texts:
    """Read the works' words; loans play no role in it."""
    fields = {field: content.fit(works, field) for field in content.FIELDS}
    fields = {name: field for name, field in fields.items() if field.vectors.nnz}
    joint = join_fields(fields, len(works))
    return Texts(fields, joint, semantics.fit(joint, seed=seed))


def join_fields(fields: Mapping[str, Content], n_works: int) -> csr_matrix:
    """Put the fields' vectors side by side, rows of length 1 or 0."""
    if not fields:
        return links.nothing(n_works, 1)
    side_by_side = hstack([field.vectors for field in fields.values()], format="csr")
    return content.unit_rows(csr_matrix(side_by_side))


def settle(texts: Texts, history: History, *, seed: int) -> Texts:
    """Choose by the loans what works without them lean on."""
    chosen = coldstart.choose_neighbourhood(
        texts.joint, texts.semantics.works, history.matrix(), seed=seed
    )
    return replace(texts, neighbourhood=chosen)


def fit_parts(
    history: History,
    works: WorksText,
    texts: Texts,
    *,
    seed: int,
    wanted: Collection[str] | None = None,
    bridged: npt.NDArray[np.bool_] | None = None,
) -> tuple[Part, ...]:
    """Fit every part of the roster that this library has the data for.

    Args:
        history: All patrons' works; works without loans get bridged from their
            neighbours in content.
        works: In column order.
        texts: Fitted on the same works.
        seed: Of every random step.
        wanted: Names of parts; the others are not fitted. None wants all.
        bridged: Shape (works,), which works without loans get the bridge, for a
            bridge to thousands that nobody will ask for is dear. None: all.
    """
    lent = np.bincount(history.column, minlength=history.n_works) > 0
    bridge = coldstart.neighbour_weights(
        texts.joint,
        texts.semantics.works,
        cold=np.flatnonzero(~lent if bridged is None else bridged & ~lent),
        warm=np.flatnonzero(lent),
        by=settle(texts, history, seed=seed).neighbourhood,
    )
    names = Wanted(wanted)
    return tuple(
        part
        for parts in (
            _popularity_parts(history, bridge, names),
            _latest_parts(history, works, names),
            _factor_parts(history, bridge, names, seed),
            _link_parts(history, bridge, names),
            _successor_parts(history, bridge, names),
            _text_parts(history, texts, names),
        )
        for part in parts
    )


@dataclass(frozen=True)
class Wanted:
    """Names of parts to fit; None stands for all."""

    names: Collection[str] | None

    def __contains__(self, name: str) -> bool:
        """Is the part of this name to be fitted?"""
        return self.names is None or name in self.names

    def readings(self, name: str, history: History) -> list[tuple[str, float | None]]:
        """Return the wanted readings of a history: evenly and by half-lives."""
        lives = HISTORY_HALF_LIVES if history.age is not None else ()
        pairs = [(name, None), *((f"{name}@{life:g}", life) for life in lives)]
        return [pair for pair in pairs if pair[0] in self]


def _popularity_parts(
    history: History, bridge: csr_matrix, wanted: Wanted
) -> Iterator[Part]:
    lives = POPULARITY_HALF_LIVES if history.age is not None else ()
    for life in (None, *lives):
        name = "popularity" if life is None else f"popularity-{life:g}"
        if name in wanted:
            fitted = popularity.fit(history, half_life=life)
            yield Part(name, coldstart.bridge_popularity(fitted, bridge))
    if history.age is not None and "popularity-season" in wanted:
        fitted = popularity.fit_season(history)
        yield Part("popularity-season", coldstart.bridge_popularity(fitted, bridge))
    for codes in ("branch", "category"):
        of_patron: IntArray = getattr(history, codes)
        name = f"popularity-{codes}"
        if (of_patron >= 0).any() and name in wanted:
            fitted = popularity.fit(history, half_life=365, codes=of_patron)
            bridged = coldstart.bridge_popularity(fitted, bridge)
            yield Part(name, bridged, codes=codes)


def _latest_parts(history: History, works: WorksText, wanted: Wanted) -> Iterator[Part]:
    arrived = latest.fit(history, works.arrived)
    if "latest" in wanted and np.isfinite(arrived).any():
        yield Part("latest", arrived)
    first = latest.first_lent(history)
    differs = bool((np.isfinite(arrived) & (arrived != first)).any())
    if LATEST_LENT in wanted and differs and np.isfinite(first).any():
        yield Part(LATEST_LENT, first)


def _factor_parts(
    history: History, bridge: csr_matrix, wanted: Wanted, seed: int
) -> Iterator[Part]:
    loans = history.matrix()
    patrons = int((history.lengths > 1).sum())
    for dimension in DIMENSIONS:
        readings = wanted.readings(f"als-{dimension}", history)
        idle = wanted.names is None and dimension > max(FEWEST_FACTORS, patrons)
        if readings and loans.nnz and not idle:
            fitted = collaborative.fit(
                loans,
                dimension=dimension,
                seed=seed,
                alpha=ALPHA,
                regularisation=REGULARISATION,
            )
            bridged = coldstart.bridge_factors(fitted, bridge)
            yield from (Part(name, bridged, life) for name, life in readings)


def _link_parts(history: History, bridge: csr_matrix, wanted: Wanted) -> Iterator[Part]:
    loans = history.matrix()
    if not loans.nnz:
        return
    if readings := wanted.readings("knn", history):
        fitted = coldstart.bridge_links(neighbours.fit(loans), bridge)
        yield from (Part(name, fitted, life) for name, life in readings)
    plain, rare = (wanted.readings(name, history) for name in ("ease", "ease-rare"))
    if plain or rare:
        learnt = ease.fit(loans)
        fitted = coldstart.bridge_links(learnt, bridge)
        yield from (Part(name, fitted, life) for name, life in plain)
        fitted = coldstart.bridge_links(ease.rarer(learnt, loans), bridge)
        yield from (Part(name, fitted, life) for name, life in rare)


def _successor_parts(
    history: History, bridge: csr_matrix, wanted: Wanted
) -> Iterator[Part]:
    if history.age is None:
        return
    readings = wanted.readings("successors", history)
    if readings:
        fitted = coldstart.bridge_succession(successors.fit(history), bridge)
        yield from (Part(name, fitted, life) for name, life in readings)


def _text_parts(history: History, texts: Texts, wanted: Wanted) -> Iterator[Part]:
    several = [f"content-{field}" for field in texts.fields]
    names = [*(several if len(several) > 1 else ()), "content"]
    if texts.semantics.works.shape[1]:
        names.append("lsi")
    for name in names:
        fitted = text_part(name, texts)
        yield from (
            Part(reading, fitted, life)
            for reading, life in wanted.readings(name, history)
        )


def text_part(name: str, texts: Texts) -> Content | Semantics:
    """Return what the part of this name reads: a field, all of them, or LSI."""
    bare = name.split("@", maxsplit=1)[0]
    if bare == "lsi":
        return texts.semantics
    if bare == "content":
        return Content(texts.joint, (), np.empty(0, np.float32))
    return texts.fields[bare.removeprefix("content-")]
