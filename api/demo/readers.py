"""Invented names for the patrons of the sample library."""

from itertools import product
from typing import Final

_PERSIAN_FIRST: Final = (
    "آرش", "بهار", "پویا", "ترانه", "جواد", "چکاوک", "خسرو", "درسا", "رامین", "ژاله",
)  # fmt: skip
_PERSIAN_LAST: Final = (
    "سپیدرود", "کوهسار", "باغ‌گلی", "نیک‌روز", "دریابندی", "مهرآذین", "پارسه", "زرنگار",
)  # fmt: skip
_ENGLISH_FIRST: Final = (
    "Alma", "Basil", "Cora", "Dorian", "Edda", "Fergus", "Greta", "Hollis", "Iris",
    "Jory",
)  # fmt: skip
_ENGLISH_LAST: Final = (
    "Ashmere", "Bramwell", "Coldbrook", "Dunmore", "Everly", "Fairhaven", "Graymoor",
)  # fmt: skip

PERSIAN: Final = [
    f"{first} {last}" for last, first in product(_PERSIAN_LAST, _PERSIAN_FIRST)
]
ENGLISH: Final = [
    f"{first} {last}" for last, first in product(_ENGLISH_LAST, _ENGLISH_FIRST)
]
