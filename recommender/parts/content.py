"""Content: what is written about a work, as TF-IDF vectors of length 1.

Salton, Buckley: Term-Weighting Approaches in Automatic Text Retrieval (1988), a
patron's profile being the sum of the works' vectors (Rocchio 1971). Each field has
its own vectors, so that a library whose subjects are good can weigh them above titles.
Persian and Arabic spellings meet by `library.text.fold`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix, diags

from library.text import fold, squash
from recommender.arrays import FloatArray, History, IntArray, WorksText

FIELDS = ("creators", "subjects", "classification", "words", "letters", "language")
"""Kinds of terms; `words` are of the title or the bag of words, `letters` are runs
of characters, which meet inflected words and scripts without spaces."""

LEAST_WORKS = 2
MOST_TERMS = 200_000
GRAMS = (3, 4)
WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Content:
    """One field's vectors.

    Attributes:
        vectors: Works x terms, rows of length 1, or 0 for a work without terms.
        vocabulary: The terms, in column order.
        rarity: Shape (terms,), inverse document frequencies.
    """

    vectors: csr_matrix
    vocabulary: tuple[str, ...]
    rarity: FloatArray

    @cached_property
    def known(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which works have a term at all."""
        return np.diff(self.vectors.indptr) > 0


def fit(works: WorksText, field: str) -> Content:
    """Weigh the terms of one field: (1 + ln count) x (1 + ln((1 + N) / (1 + df)))."""
    counts = term_counts(works, field)
    spread: Counter[str] = Counter()
    for terms in counts:
        spread.update(terms.keys())
    common = [term for term, df in spread.items() if df >= LEAST_WORKS]
    common.sort(key=lambda term: (-spread[term], term))
    vocabulary = tuple(sorted(common[:MOST_TERMS]))
    df = np.array([spread[term] for term in vocabulary], np.float32)
    n = sum(1 for terms in counts if terms)
    rarity = (1 + np.log((1 + n) / (1 + df))).astype(np.float32)
    return Content(_vectors(counts, vocabulary, rarity), vocabulary, rarity)


def extend(content: Content, works: WorksText, field: str) -> Content:
    """Append works that came after the fit; terms not met before are passed over."""
    more = _vectors(term_counts(works, field), content.vocabulary, content.rarity)
    both = _stack(content.vectors, more)
    return Content(both, content.vocabulary, content.rarity)


def score(
    content: Content,
    history: History,
    candidates: IntArray,
    *,
    half_life: float | None = None,
) -> FloatArray:
    """Return inner products of profiles and works; nan for a work without terms."""
    profiles = history.matrix(half_life) @ content.vectors
    if len(history) == 1:  # to pick the candidates out costs more than to score all
        profile = np.asarray(profiles.toarray()[0], np.float32)
        scores = (content.vectors @ profile)[None, candidates]
    else:
        scores = (profiles @ content.vectors[candidates].T).toarray()
    scores = scores.astype(np.float32)
    scores[:, ~content.known[candidates]] = np.nan
    return np.asarray(scores, np.float32)


def term_counts(works: WorksText, field: str) -> list[Mapping[str, float]]:
    """Count each work's terms in one of `FIELDS`; empty where nothing is written."""
    return [READERS[field](works, column) for column in range(len(works))]


def _at(values: Sequence[Sequence[str]], column: int) -> Sequence[str]:
    return values[column] if values else ()


def _creators(works: WorksText, column: int) -> Mapping[str, float]:
    return Counter(filter(None, map(name_key, _at(works.creators, column))))


def name_key(name: str) -> str:
    """Return one key for "Malory, Thomas" and "Thomas Malory"."""
    return " ".join(sorted(WORD.findall(fold(name))))


def _subjects(works: WorksText, column: int) -> Mapping[str, float]:
    return Counter(filter(None, map(squash, _at(works.subjects, column))))


def _classification(works: WorksText, column: int) -> Mapping[str, float]:
    prefixes: Counter[str] = Counter()
    for mark in _at(works.classification, column):
        text = fold(mark).strip()
        prefixes.update(text[:length] for length in range(1, len(text) + 1))
    return prefixes


def _words(works: WorksText, column: int) -> Mapping[str, float]:
    if works.words and works.words[column]:
        return works.words[column]
    return Counter(WORD.findall(fold(works.title[column])))


def _letters(works: WorksText, column: int) -> Mapping[str, float]:
    grams: Counter[str] = Counter()
    for word in WORD.findall(fold(works.title[column])):
        padded = f" {word} "
        for size in GRAMS:
            grams.update(padded[at : at + size] for at in range(len(padded) - size + 1))
    return grams


def _language(works: WorksText, column: int) -> Mapping[str, float]:
    code = fold(works.language[column]).strip() if works.language else ""
    return {code: 1} if code else {}


READERS: Mapping[str, Callable[[WorksText, int], Mapping[str, float]]] = {
    "creators": _creators,
    "subjects": _subjects,
    "classification": _classification,
    "words": _words,
    "letters": _letters,
    "language": _language,
}


def _vectors(
    counts: Iterable[Mapping[str, float]],
    vocabulary: Sequence[str],
    rarity: FloatArray,
) -> csr_matrix:
    place = {term: column for column, term in enumerate(vocabulary)}
    indptr: list[int] = [0]
    indices: list[int] = []
    values: list[float] = []
    for terms in counts:
        met = sorted((place[t], n) for t, n in terms.items() if t in place)
        indices.extend(column for column, _ in met)
        values.extend(n for _, n in met)
        indptr.append(len(indices))
    data = (1 + np.log(np.array(values, np.float32))) * rarity[
        np.array(indices, np.int64)
    ]
    shape = (len(indptr) - 1, len(vocabulary))
    return unit_rows(csr_matrix((data, indices, indptr), shape, dtype=np.float32))


def unit_rows(matrix: csr_matrix) -> csr_matrix:
    """Scale each row to length 1; an empty row stays empty."""
    squares = np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel()
    scale = 1 / np.sqrt(np.where(squares > 0, squares, 1))
    return csr_matrix(diags(scale.astype(np.float32)) @ matrix, dtype=np.float32)


def _stack(upper: csr_matrix, lower: csr_matrix) -> csr_matrix:
    indptr = np.concatenate([upper.indptr, upper.indptr[-1] + lower.indptr[1:]])
    return csr_matrix(
        (
            np.concatenate([upper.data, lower.data]),
            np.concatenate([upper.indices, lower.indices]),
            indptr,
        ),
        shape=(upper.shape[0] + lower.shape[0], upper.shape[1]),
    )
