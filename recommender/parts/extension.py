"""Make room in fitted parts for works that came after the training.

They have no loans, so each part learns of them through the bridge of `coldstart`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix

from recommender.arrays import FloatArray, WorksText
from recommender.parts import coldstart, content, roster, semantics
from recommender.parts.collaborative import Factors
from recommender.parts.content import Content
from recommender.parts.links import Links
from recommender.parts.popularity import Popularity
from recommender.parts.roster import Fitted, Part, Texts
from recommender.parts.semantics import Semantics
from recommender.parts.successors import EDGES, Succession


def extend_texts(texts: Texts, works: WorksText) -> Texts:
    """Append works; fields and terms the training had not met are passed over."""
    fields = {
        name: content.extend(field, works, name) for name, field in texts.fields.items()
    }
    joint = roster.join_fields(fields, texts.joint.shape[0] + len(works))
    directions = texts.semantics.directions
    places = Semantics(semantics.place(joint, directions), directions)
    return Texts(fields, joint, places, texts.neighbourhood)


def extend_parts(
    parts: tuple[Part, ...],
    texts: Texts,
    works: WorksText,
    lent: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> tuple[Part, ...]:
    """Append works to every part.

    Args:
        parts: Fitted on the first works.
        texts: Already extended.
        works: The appended ones.
        lent: Shape (first works,), which had loans.
    """
    n_works = texts.joint.shape[0]
    bridge = coldstart.neighbour_weights(
        texts.joint,
        texts.semantics.works,
        cold=np.arange(len(lent), n_works),
        warm=np.flatnonzero(lent),
        by=texts.neighbourhood,
    )
    done: dict[int, Fitted] = {}
    extended = []
    for part in parts:
        key = id(part.fitted)
        if key not in done:
            done[key] = _extend(part, texts, works, bridge)
        extended.append(replace(part, fitted=done[key]))
    return tuple(extended)


def _extend(part: Part, texts: Texts, works: WorksText, bridge: csr_matrix) -> Fitted:
    fitted, more = part.fitted, len(works)
    match fitted:
        case Factors():
            vectors = np.pad(fitted.works, [(0, more), (0, 0)])
            known = np.pad(fitted.known, (0, more))
            wide = replace(fitted, works=vectors, known=known)
            extended: Fitted = coldstart.bridge_factors(wide, bridge)
        case Links():
            extended = coldstart.bridge_links(_wider_links(fitted, more), bridge)
        case Succession():
            wider = _wider_succession(fitted, more)
            extended = coldstart.bridge_succession(wider, bridge)
        case Popularity():
            extended = coldstart.bridge_popularity(_wider_counts(fitted, more), bridge)
        case Content() | Semantics():
            extended = roster.text_part(part.name, texts)
        case _:
            told = _arrived(works)
            if part.name == roster.LATEST_LENT:
                told = np.full(more, np.nan, np.float32)
            extended = np.concatenate([fitted, told]).astype(np.float32)
    return extended


def _wider_links(links: Links, more: int) -> Links:
    coo = links.matrix.tocoo()
    n = links.matrix.shape[0] + more
    matrix = csr_matrix((coo.data, (coo.row, coo.col)), shape=(n, n))
    return Links(matrix, np.pad(links.known, (0, more)))


def _wider_succession(succession: Succession, more: int) -> Succession:
    coo = succession.matrix.tocoo()
    old = succession.matrix.shape[1]
    n = old + more
    row = coo.row.astype(np.int64)
    row = row // old * n + row % old
    shape = ((len(EDGES) - 1) * n, n)
    matrix = csr_matrix((coo.data, (row, coo.col)), shape=shape)
    return Succession(matrix, np.pad(succession.known, (0, more)))


def _wider_counts(popularity: Popularity, more: int) -> Popularity:
    return Popularity(
        np.pad(popularity.whole, (0, more)),
        np.pad(popularity.groups, [(0, 0), (0, more)]),
        np.pad(popularity.known, (0, more)),
    )


def _arrived(works: WorksText) -> FloatArray:
    if works.arrived is None:
        return np.full(len(works), np.nan, np.float32)
    return works.arrived
