"""One rule table for text: how a word is shown, compared, searched, sorted and keyed.

Catalogues mix Arabic and Persian letters, lose half-spaces (ZWNJ, U+200C) and use
three digit sets. Index and query go through the same functions here, so a word is found
however it was typed. Everything is pure.

`FOLD_VERSION` stands beside every stored key. Changing a rule raises it, and a job
makes all keys again.
"""

from library.text.identifiers import doi, isbn13, issn
from library.text.order import sort_key, title_direction
from library.text.spelling import FOLD_VERSION, canon, fold, squash, terms
from library.text.works import work_key

__all__ = [
    "FOLD_VERSION",
    "canon",
    "doi",
    "fold",
    "isbn13",
    "issn",
    "sort_key",
    "squash",
    "terms",
    "title_direction",
    "work_key",
]
