"""The sizes and values that the data's own README gives for checking an evaluator."""

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix, diags
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize

from recommender.arrays import FloatArray, IntArray
from recommender.measure import Question, measure
from recommender.splits import Split, cold_works, divide, question_of, warm_works
from tests.recommender.real_loans import (
    CUTS,
    RealLoans,
    cold_columns,
    read_real_loans,
    warm_test_rows,
)

SMALL = ("shakespeare", "sibgmu")
SETS = [
    *SMALL,
    *(pytest.param(n, marks=pytest.mark.slow) for n in ("goodbooks", "citeulike-t")),
]

WARM = {
    "shakespeare": (68, 3001, 5613, 0.0180, 0.0359),
    "sibgmu": (361, 2520, 1004, 0.1500, 0.0477),
    "goodbooks": (29063, 179302, 10000, 0.0006, 0.0003),
    "citeulike-t": (3790, 23662, 25584, 0.0336, 0.0209),
}
WARM_KNOWN = {
    "shakespeare": (64, 1643, 4694, 0.0256, 0.0381),
    "sibgmu": (352, 2140, 842, 0.1721, 0.0516),
    "goodbooks": (29063, 179302, 10000, 0.0006, 0.0003),
    "citeulike-t": (3729, 22494, 24614, 0.0349, 0.0215),
}
COLD = {
    "shakespeare": (66, 1410, 919),
    "sibgmu": (274, 472, 162),
    "goodbooks": (28648, 93792, 1000),
    "citeulike-t": (3745, 12145, 2558),
}
OWN_WORDS = {"shakespeare": (0.0806, 0.0752), "sibgmu": (0.3912, 0.1235)}


def warm_split(shared: Path, name: str, real: RealLoans) -> Split:
    loans = real.loans
    aside = np.zeros(len(loans.row), bool)
    if loans.day is not None:
        aside = loans.day >= CUTS[name].toordinal()
    else:
        aside[warm_test_rows(shared / "data", name)] = True
    return divide(loans, aside, day=None)


def by_popularity(question: Question) -> tuple[float, float]:
    popular = question.popularity.astype(np.float32)

    def scores(rows: IntArray) -> dict[str, FloatArray]:
        return {"popularity": np.tile(popular, (len(rows), 1))}

    return figures(question, scores)


def figures(question: Question, scorers: object) -> tuple[float, float]:
    found = measure(question, scorers)  # type: ignore[arg-type]
    (ranked,) = found.values()
    values = ranked.figures()
    return values["recall@20"].value, values["ndcg@10"].value


@pytest.mark.parametrize("name", SETS)
def test_warm(shared: Path, name: str) -> None:
    real = read_real_loans(shared / "data", name)
    split = warm_split(shared, name, real)

    for candidates, expected in (
        (np.unique(real.loans.column), WARM[name]),
        (warm_works(split.loans), WARM_KNOWN[name]),
    ):
        question = question_of(split, candidates, left_out=True, fewest=5)
        sizes = len(question.truth), len(question.truth.column), len(candidates)
        assert sizes == expected[:3]
        assert by_popularity(question) == pytest.approx(expected[3:], abs=5.1e-5)


@pytest.mark.parametrize("name", SETS)
def test_cold(shared: Path, name: str) -> None:
    real = read_real_loans(shared / "data", name)
    split, candidates = cold_split(shared, name, real)

    question = question_of(split, candidates, left_out=False, fewest=3)

    sizes = len(question.truth), len(question.truth.column), len(candidates)
    assert sizes == COLD[name]


@pytest.mark.parametrize("name", SMALL)
def test_cold_by_own_words(shared: Path, name: str) -> None:
    real = read_real_loans(shared / "data", name)
    split, candidates = cold_split(shared, name, real)
    question = question_of(split, candidates, left_out=False, fewest=3)
    vectors = own_words(real, warm_works(split.loans))
    loans = split.loans
    shape = (loans.n_patrons, loans.n_works)
    borrowed = csr_matrix((np.ones(len(loans.row)), (loans.row, loans.column)), shape)
    borrowed.data[:] = 1

    def scores(rows: IntArray) -> dict[str, FloatArray]:
        found = (borrowed[rows] @ vectors @ vectors[candidates].T).toarray()
        return {"own words": found}

    assert figures(question, scores) == pytest.approx(OWN_WORDS[name], abs=5.1e-5)


def cold_split(shared: Path, name: str, real: RealLoans) -> tuple[Split, IntArray]:
    if real.loans.day is not None:
        split = warm_split(shared, name, real)
        return split, cold_works(split)
    cold = cold_columns(shared / "data", name, real)
    return divide(real.loans, np.isin(real.loans.column, cold), day=None), cold


def own_words(real: RealLoans, trained: IntArray) -> csr_matrix:
    texts = [
        " ".join(
            line.get(field, "")
            for field in ("title", "creator", "genre", "call_number")
        )
        for line in real.fields
    ]
    counts = CountVectorizer(analyzer="char_wb", ngram_range=(2, 3)).fit_transform(
        texts
    )
    counts = counts.astype(np.float64)
    df = np.bincount(counts[trained].indices, minlength=counts.shape[1])
    rarity = np.where(df >= 2, 1 + np.log((1 + len(trained)) / (1 + df)), 0)
    counts.data = 1 + np.log(counts.data)
    return csr_matrix(normalize(counts @ diags(rarity)))
