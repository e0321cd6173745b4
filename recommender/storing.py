"""A model as plain arrays and back, for an .npz file: no pickle and no patron."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from recommender.blend import Softening
from recommender.parts import roster
from recommender.parts.coldstart import Neighbourhood
from recommender.parts.collaborative import Factors
from recommender.parts.content import Content
from recommender.parts.links import Links
from recommender.parts.popularity import Popularity
from recommender.parts.roster import Fitted, Part, Texts
from recommender.parts.semantics import Semantics
from recommender.parts.successors import Succession
from recommender.scoring import Model, Stratum, TableRow

Array = npt.NDArray[Any]

TEXT = "text"
"""Stands for what a part reads of the texts, which are stored once."""


def arrays_of(model: Model) -> dict[str, Array]:
    """Return the model's arrays by name; the settings are JSON in one of them."""
    arrays: dict[str, Array] = {"lent": model.lent}
    places: dict[int, str] = {}
    for part in model.parts:
        if id(part.fitted) not in places:
            places[id(part.fitted)] = _put(arrays, f"part{len(places)}", part.fitted)
    for field, content in model.texts.fields.items():
        _put_sparse(arrays, f"{TEXT}.{field}", content.vectors)
        arrays[f"{TEXT}.{field}.rarity"] = content.rarity
        arrays[f"{TEXT}.{field}.terms"] = _letters("\n".join(content.vocabulary))
    arrays["semantics.works"] = model.texts.semantics.works
    arrays["semantics.directions"] = model.texts.semantics.directions
    arrays["settings"] = _letters(json.dumps(_settings(model, places)))
    return arrays


def model_of(arrays: Mapping[str, Array]) -> Model:
    """Make the model again of its arrays."""
    settings = json.loads(_read(arrays["settings"]))
    leaning = Neighbourhood(**settings["neighbourhood"])
    texts = replace(_texts(arrays, settings["fields"]), neighbourhood=leaning)
    fitted: dict[str, Fitted] = {}
    parts = []
    for name, half_life, codes, place in settings["parts"]:
        if place == TEXT:
            parts.append(Part(name, roster.text_part(name, texts), half_life, codes))
            continue
        if place not in fitted:
            fitted[place] = _get(arrays, place, settings["scalars"].get(place))
        parts.append(Part(name, fitted[place], half_life, codes))
    return Model(
        parts=tuple(parts),
        texts=texts,
        lent=arrays["lent"],
        weights={Stratum(s): weights for s, weights in settings["weights"].items()},
        softening={
            Stratum(s): Softening(value) for s, value in settings["softening"].items()
        },
        table=tuple(_row(**row) for row in settings["table"]),
        seed=settings["seed"],
    )


def _row(*, stratum: str, part: str, ndcg: float, patrons: int) -> TableRow:
    return TableRow(Stratum(stratum), part, ndcg, patrons)


def _settings(model: Model, places: Mapping[int, str]) -> dict[str, Any]:
    return {
        "seed": model.seed,
        "neighbourhood": asdict(model.texts.neighbourhood),
        "fields": list(model.texts.fields),
        "parts": [
            [part.name, part.half_life, part.codes, places[id(part.fitted)]]
            for part in model.parts
        ],
        "scalars": {
            places[id(part.fitted)]: [part.fitted.alpha, part.fitted.regularisation]
            for part in model.parts
            if isinstance(part.fitted, Factors)
        },
        "weights": {str(s): dict(weights) for s, weights in model.weights.items()},
        "softening": {str(s): str(value) for s, value in model.softening.items()},
        "table": [asdict(row) for row in model.table],
    }


def _put(arrays: dict[str, Array], place: str, fitted: Fitted) -> str:
    match fitted:
        case Content() | Semantics():
            return TEXT
        case Factors():
            arrays[f"{place}.factors"] = fitted.works
            arrays[f"{place}.gram"] = fitted.gram
            arrays[f"{place}.known"] = fitted.known
        case Links() | Succession():
            kind = "links" if isinstance(fitted, Links) else "succession"
            _put_sparse(arrays, f"{place}.{kind}", fitted.matrix)
            arrays[f"{place}.known"] = fitted.known
        case Popularity():
            arrays[f"{place}.whole"] = fitted.whole
            arrays[f"{place}.groups"] = fitted.groups
            arrays[f"{place}.known"] = fitted.known
        case _:
            arrays[f"{place}.arrived"] = fitted
    return place


def _get(
    arrays: Mapping[str, Array], place: str, scalars: list[float] | None
) -> Fitted:
    if f"{place}.arrived" in arrays:
        return arrays[f"{place}.arrived"]
    known = arrays[f"{place}.known"]
    if scalars is not None:
        works, gram = arrays[f"{place}.factors"], arrays[f"{place}.gram"]
        return Factors(works, known, gram, *scalars)
    if f"{place}.whole" in arrays:
        whole, groups = arrays[f"{place}.whole"], arrays[f"{place}.groups"]
        return Popularity(whole, groups, known)
    if f"{place}.links.data" in arrays:
        return Links(_get_sparse(arrays, f"{place}.links"), known)
    return Succession(_get_sparse(arrays, f"{place}.succession"), known)


def _texts(arrays: Mapping[str, Array], names: list[str]) -> Texts:
    fields = {
        name: Content(
            _get_sparse(arrays, f"{TEXT}.{name}"),
            tuple(_read(arrays[f"{TEXT}.{name}.terms"]).split("\n")),
            arrays[f"{TEXT}.{name}.rarity"],
        )
        for name in names
    }
    semantics = Semantics(arrays["semantics.works"], arrays["semantics.directions"])
    return Texts(fields, roster.join_fields(fields, len(arrays["lent"])), semantics)


def _put_sparse(arrays: dict[str, Array], name: str, matrix: csr_matrix) -> None:
    arrays[f"{name}.data"] = matrix.data
    arrays[f"{name}.indices"] = matrix.indices
    arrays[f"{name}.indptr"] = matrix.indptr
    arrays[f"{name}.shape"] = np.array(matrix.shape)


def _get_sparse(arrays: Mapping[str, Array], name: str) -> csr_matrix:
    rows, columns = (int(size) for size in arrays[f"{name}.shape"])
    stored = (arrays[f"{name}.{key}"] for key in ("data", "indices", "indptr"))
    return csr_matrix(tuple(stored), shape=(rows, columns))


def _letters(text: str) -> Array:
    return np.frombuffer(text.encode(), np.uint8)


def _read(letters: Array) -> str:
    return letters.tobytes().decode()
